"""The running process's sign of life: ``status.json`` in the run folder, for ``bench status`` in another shell."""

from __future__ import annotations

import json
import os
import socket
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.cells import Cell
from bench.errors import Interrupted
from bench.relay import Listener
from bench.status import STATUS
from bench.store import Record

SCHEMA = 1
EVERY_S = 2.0
_PACE_POINTS = 60
_MOST_FAILURES = 20


class Heartbeat(Listener):
    """Writes where the run stands, at most every two seconds and only while something happens.

    A write that fails, on a full disk say, is tried again with the next one.

    Args:
        folder: the run folder.
        every_s: least seconds between two writes.
    """

    title = "the status file"

    def __init__(self, folder: Path, every_s: float = EVERY_S) -> None:
        self._path = folder / STATUS
        self._every_s = every_s
        self._open = False
        self._next = 0.0
        self._total = self._done = 0
        self._pace: deque[tuple[float, int]] = deque(maxlen=_PACE_POINTS)
        self._record: Record = {}

    def __enter__(self) -> Self:
        self._open = True
        self._record = {
            "schema": SCHEMA,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started": _now(),
            "ended": None,
            "group": None,
            "scores": {},
            "failures": {},
        }
        self._write()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stopped = isinstance(error, Interrupted | KeyboardInterrupt)
        how = "finished" if error is None else "interrupted" if stopped else f"{type(error).__name__}: {error}"
        self._record |= {"ended": how, "group": None}
        self._write()
        self._open = False

    def begin(self, total_iterations: int) -> None:
        """Note how much there is to do."""
        self._total = total_iterations

    def group(self, name: str, cells: list[Cell], start: int, iterations: int) -> None:
        """Note the group."""
        self._done += start
        self._pace.clear()
        ids = [cell.id for cell in cells]
        group = {"name": name, "cells": ids, "iteration": start, "iterations": iterations, "begun": _now()}
        self._record |= {"group": group, "scores": {}}
        self._beat()

    def step(self, done: int, iterations: int) -> None:
        """Note the progress."""
        self._done += 1
        if group := self._record.get("group"):
            group["iteration"] = done
        self._beat()

    def score(self, cell: Cell, done: int, miou: float | None) -> None:
        """Note the score."""
        self._record.setdefault("scores", {})[cell.id] = {"iteration": done, "miou": miou}
        self._beat()

    def ended(self, cell: Cell, state: str, detail: str) -> None:
        """Note why a cell ended without a result, and that it trains no more."""
        group = self._record.get("group")
        if group and cell.id in group["cells"]:
            group["cells"].remove(cell.id)
        if state != "done":
            failures = self._record.setdefault("failures", {})
            failures[cell.id] = {"state": state, "reason": detail}
            while len(failures) > _MOST_FAILURES:
                failures.pop(next(iter(failures)))
        self._beat()

    def message(self, text: str) -> None:
        """Show that the process lives."""
        self._beat()

    def _beat(self) -> None:
        if self._open and time.monotonic() >= self._next:
            self._write()

    def _write(self) -> None:
        now = time.monotonic()
        self._next = now + self._every_s
        self._pace.append((now, self._done))
        record = {**self._record, "updated": _now(), "iterations_done": self._done, "iterations_total": self._total}
        record |= self._speed()
        temporary = self._path.with_name(f".{STATUS}.tmp")
        try:
            # not through the store: its writes wait for the disk, which training must not, and nothing here is precious
            temporary.write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8", errors="replace")
            temporary.replace(self._path)
        except OSError:
            return

    def _speed(self) -> dict[str, Any]:
        (start, before), (now, done) = self._pace[0], self._pace[-1]
        if done <= before or now <= start:
            return {"iterations_per_s": None, "eta_s": None}
        rate = (done - before) / (now - start)
        return {"iterations_per_s": rate, "eta_s": max(0, self._total - done) / rate}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
