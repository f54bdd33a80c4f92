"""How a run stands, from its folder alone: cells by state, what trains now, whether a process is at it."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from filelock import FileLock, Timeout
from pydantic import AwareDatetime, BaseModel, ConfigDict

from bench.store.folders import FAILED, FAILURE, RESULT, CellFolder, RunFolder
from bench.store.frame import read_plan

STATUS = "status.json"
LOCK = ".lock"
FRESH_S = 60.0
"""Where the lock cannot be asked, a sign of life younger than this counts as one."""
RUNNING_CELL = "running"
_UNFINISHED = (*FAILED, "corrupt")


class Life(StrEnum):
    """What can be said of the process."""

    TRAINING = "training"
    PREPARING = "preparing"
    DEAD = "dead"
    ENDED = "ended"
    IDLE = "not running"
    UNKNOWN = "unknown"

    @property
    def alive(self) -> bool:
        """Whether a process is at work, or may be."""
        return self in (Life.TRAINING, Life.PREPARING, Life.UNKNOWN)


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True)


class Score(_Told):
    """A score on the way.

    Attributes:
        iteration: when it was taken.
        metric: name and unit of the primary metric.
        text: its value, as shown.
    """

    iteration: int
    metric: str = "score"
    text: str = "-"


class TrainingGroup(_Told):
    """The group in training.

    Attributes:
        name: dataset, pair and seed.
        cells: ids of the members that still train.
        iteration: how far it is.
        iterations: how far it goes.
    """

    name: str
    cells: tuple[str, ...]
    iteration: int
    iterations: int


class Beat(_Told):
    """A sign of life, as :mod:`bench.train.heartbeat` writes it.

    Attributes:
        pid: the process.
        host: its machine.
        updated: when it was written.
        ended: how the process ended, None while it has not.
        group: what trains.
        scores: the last ones of the group, by cell id.
        iterations_done: over all groups.
        iterations_total: alike.
        iterations_per_s: recent speed, None where it cannot be told yet.
        eta_s: seconds until all is done, alike.
    """

    pid: int
    host: str
    updated: AwareDatetime
    ended: str | None = None
    group: TrainingGroup | None = None
    scores: dict[str, Score] = {}
    iterations_done: int = 0
    iterations_total: int = 0
    iterations_per_s: float | None = None
    eta_s: float | None = None

    @property
    def age_s(self) -> float:
        """Seconds since it was written."""
        return max(0.0, (datetime.now(UTC) - self.updated).total_seconds())


@dataclass(frozen=True)
class Failure:
    """A cell without a result.

    Attributes:
        cell_id: the cell.
        state: how it ended.
        reason: why.
    """

    cell_id: str
    state: str
    reason: str


@dataclass(frozen=True)
class Status:
    """How a run stands.

    Attributes:
        name: of the run.
        life: what can be said of the process.
        states: number of cells by state; those that train now are ``running``.
        failures: cells without a result, the last ones first.
        beat: the last sign of life, None where there is none that can be read.
        notes: what could not be read.
    """

    name: str
    life: Life
    states: Mapping[str, int]
    failures: tuple[Failure, ...]
    beat: Beat | None = None
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Cells of the run."""
        return sum(self.states.values())


class Watcher:
    """Reads a run again and again; cells whose files did not change are not read twice.

    Args:
        run: the run folder.
    """

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._known: dict[str, tuple[object, str, str]] = {}

    def look(self) -> Status:
        """Return how the run stands now; nothing is written but a lock that is free is held for an instant."""
        beat = _read_beat(self._run)
        life = _life(self._run, beat)
        plan = read_plan(self._run)
        running = set(beat.group.cells) if life is Life.TRAINING and beat and beat.group else set()
        found = {folder.cell_id: self._state(folder) for folder in self._run.cells()}
        for cell_id, entry in plan.cells.items():
            state = found.setdefault(cell_id, ("planned", ""))[0]
            if state == "planned" and entry.get("state") == "skipped":
                found[cell_id] = ("skipped", str(entry.get("reason") or ""))
        shown = {
            cell_id: (RUNNING_CELL if cell_id in running and state != "done" else state)
            for cell_id, (state, _) in found.items()
        }
        failures = [Failure(cell_id, *found[cell_id]) for cell_id in self._newest_first(found)]
        notes = (plan.problem,) if plan.problem else ()
        return Status(plan.name, life, dict(Counter(shown.values())), tuple(failures), beat, notes)

    def _state(self, folder: CellFolder) -> tuple[str, str]:
        mark = tuple(_mark(folder, name) for name in (RESULT, FAILURE))
        known = self._known.get(folder.cell_id)
        if known is not None and known[0] == mark and any(mark):
            return known[1], known[2]
        state, record = folder.state()
        reason = str(record.get("reason") or "") if state != "done" else ""
        self._known[folder.cell_id] = mark, state, reason
        return state, reason

    def _newest_first(self, found: Mapping[str, tuple[str, str]]) -> list[str]:
        ended = [cell_id for cell_id, (state, _) in found.items() if state in _UNFINISHED]

        def when(cell_id: str) -> float:
            times = [mark[0] for name in (FAILURE, RESULT) if (mark := _mark(self._run.cell(cell_id), name))]
            return max(times, default=0.0)

        return sorted(ended, key=when, reverse=True)


def _mark(folder: CellFolder, name: str) -> tuple[float, int] | None:
    try:
        stat = (folder.path / name).stat()
    except OSError:
        return None
    return stat.st_mtime, stat.st_size


def _read_beat(run: RunFolder) -> Beat | None:
    try:
        return Beat.model_validate_json((run.path / STATUS).read_bytes())
    except (OSError, ValueError):
        return None


def _life(run: RunFolder, beat: Beat | None) -> Life:
    held = lock_held(run)
    over = beat is None or beat.ended is not None or _surely_gone(beat)
    if held:
        return Life.PREPARING if over else Life.TRAINING
    if beat is None:
        return Life.IDLE if held is False else Life.UNKNOWN
    if beat.ended is not None:
        return Life.ENDED
    if held is None and not over:
        return Life.TRAINING if beat.age_s < FRESH_S else Life.UNKNOWN
    return Life.DEAD


def _surely_gone(beat: Beat) -> bool:
    """Tell whether the process that wrote the sign of life is known to be gone; of another machine nothing is known."""
    if beat.host != socket.gethostname() or beat.pid <= 0:
        return False
    try:
        os.kill(beat.pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        return False
    return False


def lock_held(run: RunFolder) -> bool | None:
    """Tell whether a process writes to the run; None where the lock cannot be asked."""
    path = run.path / LOCK
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return None
    lock.release()
    return False
