"""Time spent, on the CPU by the clock and on CUDA by events, without stalling the device."""

from __future__ import annotations

import time

import torch


class Stopwatch:
    """Adds up the time between entering and leaving.

    Args:
        device: where the timed work runs. On CUDA pairs of events are read only when :meth:`take` is called.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._total_s = 0.0
        self._pending: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []
        self._start_s = 0.0

    def __enter__(self) -> Stopwatch:
        if self._cuda:
            pair = (_event(), _event())
            pair[0].record()
            self._pending.append(pair)
        else:
            self._start_s = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        if self._cuda:
            self._pending[-1][1].record()
        else:
            self._total_s += time.perf_counter() - self._start_s

    def take(self) -> float:
        """Return the seconds since the last call and start from zero; waits for the device where it must."""
        for start, end in self._pending:
            end.synchronize()
            self._total_s += start.elapsed_time(end) / 1e3
        self._pending.clear()
        total, self._total_s = self._total_s, 0.0
        return total


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
