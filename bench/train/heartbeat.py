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

from bench.base.errors import Interrupted
from bench.store.folders import Record
from bench.store.status import STATUS
from bench.train.events import Begun, Ended, Event, GroupBegun, Listener, Scored, Stepped, TermsRead

HEARTBEAT_SCHEMA = 1
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
            "schema": HEARTBEAT_SCHEMA,
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

    def tell(self, event: Event) -> None:
        """Note it, and write where it is time."""
        match event:
            case Begun(iterations):
                self._total = iterations
                return
            case GroupBegun():
                self._group(event)
            case Stepped(done, _):
                self._done += 1
                if group := self._record.get("group"):
                    group["iteration"] = done
            case Scored(cell, done, metric, value):
                score = {"iteration": done, "metric": metric.title, "text": metric.text(value) or "-"}
                self._record.setdefault("scores", {})[cell.id] = score
            case Ended():
                self._end(event)
            case TermsRead():
                return
        self._beat()

    def _group(self, event: GroupBegun) -> None:
        self._done += event.start
        self._pace.clear()
        group = {
            "name": event.name,
            "cells": [cell.id for cell in event.cells],
            "iteration": event.start,
            "iterations": event.iterations,
            "begun": _now(),
        }
        self._record |= {"group": group, "scores": {}}

    def _end(self, event: Ended) -> None:
        """Note why a cell ended without a result, and that it trains no more."""
        group = self._record.get("group")
        if group and event.cell.id in group["cells"]:
            group["cells"].remove(event.cell.id)
        if event.state == "done":
            return
        failures = self._record.setdefault("failures", {})
        failures[event.cell.id] = {"state": event.state, "reason": event.detail}
        while len(failures) > _MOST_FAILURES:
            failures.pop(next(iter(failures)))

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
            temporary.unlink(missing_ok=True)  # it may be a link that leads elsewhere
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
