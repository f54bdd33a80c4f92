"""Device memory that a training step needs, counted by torch's allocator without stalling the device."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

MIB = 2**20


class StepMemory:
    """The most that the steps of one member took beyond what lay on the device before each.

    Companions that are on the device at the same time do not count: it is a difference within a step.

    Args:
        device: where the member trains; nothing is measured unless it is CUDA.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device if device.type == "cuda" else None
        self._before = 0
        self.bytes: int | None = None

    def __enter__(self) -> StepMemory:
        if self._device is not None:
            torch.cuda.reset_peak_memory_stats(self._device)
            self._before = torch.cuda.memory_allocated(self._device)
        return self

    def __exit__(self, *_: object) -> None:
        if self._device is not None:
            taken = torch.cuda.max_memory_allocated(self._device) - self._before
            self.bytes = max(self.bytes or 0, taken)


def tensor_bytes(tensors: Iterable[Tensor]) -> int:
    """Return the bytes of tensors of any shape, those that share storage counted once."""
    sizes = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(sizes.values())
