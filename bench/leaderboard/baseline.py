"""The file of reference scores that ``bench check`` holds a run against."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, FiniteFloat, StrictStr, ValidationError

from bench import __version__
from bench.base.errors import BenchError, NotComparable
from bench.base.files import canonical, write_json, write_problem
from bench.leaderboard.arms import Arm, Conditions, Identity, Trial
from bench.store.folders import Record, seal
from bench.tasks.metric import GAIN
from bench.tasks.scorings import DEFAULT, scoring_of

REFERENCES_SCHEMA = 1
REMEDY = "Restore it from version control, or delete it and write it anew with --update."


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class _Seed(_Kept):
    """One seed of a row."""

    cell: StrictStr
    state: StrictStr
    key: StrictStr | None = None
    torch: StrictStr | None = None
    device: StrictStr | None = None
    metrics: dict[StrictStr, FiniteFloat | None] = {}


class _Named(_Kept):
    """A dataset, model or method by name; what else is known of it are further fields."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    name: StrictStr

    def text(self) -> str:
        """Return it as canonical JSON."""
        return canonical(self.model_dump())


class _Row(_Kept):
    """One arm."""

    dataset: _Named
    teacher: _Named | None
    student: _Named
    method: _Named
    label: StrictStr
    protocol: StrictStr
    models: dict[StrictStr, Any]
    task: StrictStr | None = None
    scoring: dict[StrictStr, Any] | None = None
    seeds: dict[StrictStr, _Seed]


class _File(_Kept):
    """The whole file."""

    created: StrictStr
    run: StrictStr
    bench: StrictStr
    protocols: dict[StrictStr, dict[StrictStr, Any]]
    rows: list[_Row]


@dataclass(frozen=True)
class Baseline:
    """Reference scores.

    Attributes:
        arms: the rows.
        created: when they were written, UTC.
        run: name of the run that they are of.
    """

    arms: tuple[Arm, ...]
    created: str
    run: str


def read_baseline(path: Path) -> Baseline:
    """Read a file of reference scores.

    Raises:
        NotComparable: there is no such file.
        BenchError: it cannot be read, is damaged, or was written by a newer version.
    """
    record = _verified(path)
    try:
        file = _File.model_validate(record)
        arms = tuple(_arm(row, file.protocols) for row in file.rows)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BenchError(f"{path}: {where}: {first['msg']}. {REMEDY}") from None
    except ValueError as error:
        raise BenchError(f"{path}: {error}. {REMEDY}") from None
    return Baseline(arms, file.created, file.run)


def _verified(path: Path) -> Record:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotComparable(f"no baseline at {path}. Give --update to write the scores of this run there.") from None
    except OSError as error:
        raise BenchError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise BenchError(f"{path} is no baseline, or a torn one: {error}. {REMEDY}") from None
    if not isinstance(record, dict) or type(record.get("schema")) is not int or record["schema"] < 1:
        raise BenchError(f"{path} is no baseline: it has no schema version. Name a file that --update wrote.")
    if record["schema"] > REFERENCES_SCHEMA:
        raise BenchError(
            f"{path} has schema {record['schema']}, this version reads up to {REFERENCES_SCHEMA}: upgrade bench"
        )
    try:
        intact = record.get("digest") == seal(record)["digest"]
    except (ValueError, RecursionError):
        intact = False
    if not intact:
        raise BenchError(f"{path} does not match its digest: it was changed after it was written. {REMEDY}")
    return record


def _arm(row: _Row, protocols: Mapping[str, Mapping[str, Any]]) -> Arm:
    teacher = row.teacher.text() if row.teacher else canonical(None)
    identity = Identity(row.dataset.text(), teacher, row.student.text(), row.method.text(), row.label)
    conditions = Conditions(row.protocol, canonical(row.models), protocols.get(row.protocol, {}))
    trials = {
        int(seed): Trial(
            kept.cell, kept.state, key=kept.key, metrics=kept.metrics, torch=kept.torch, device=kept.device
        )
        for seed, kept in row.seeds.items()
    }
    return Arm(
        identity,
        conditions,
        dict(sorted(trials.items())),
        scoring_of({"task": row.task, "scoring": row.scoring}),
    )


def write_baseline(path: Path, arms: Sequence[Arm], run: str, created: str) -> None:
    """Write the scores of a run as reference, in place of what is there, atomically.

    Arms without any score are left out; seeds that ended without one are kept with their state.

    Args:
        path: the file; its folder is made.
        arms: of the run.
        run: name of the run.
        created: time of writing, UTC.

    Raises:
        BenchError: no arm has a score, or the file cannot be written.
    """
    kept = [arm for arm in arms if arm.known()]
    if not kept:
        raise BenchError("no cell of this run has a score: there is nothing to keep as a baseline. Finish it first.")
    record = {
        "schema": REFERENCES_SCHEMA,
        "created": created,
        "run": run,
        "bench": __version__,
        "protocols": {arm.conditions.protocol: dict(arm.conditions.fields) for arm in kept},
        "rows": [_row(arm) for arm in kept],
    }
    try:
        write_json(path, seal(record))
    except OSError as error:
        raise BenchError(write_problem(path, error).replace("--results folder", "--baseline file")) from None


def _row(arm: Arm) -> Record:
    identity = arm.identity
    parts = {name: json.loads(getattr(identity, name)) for name in ("dataset", "teacher", "student", "method")}
    return {
        **parts,
        "label": identity.label,
        "protocol": arm.conditions.protocol,
        "models": json.loads(arm.conditions.models),
        **_task(arm),
        "seeds": {str(seed): _seed(arm, trial) for seed, trial in arm.trials.items() if seed in arm.scores()},
    }


def _task(arm: Arm) -> Record:
    """Return how the scores are to be read where that is not the default, so that no plug-in is needed for it."""
    if arm.scoring.name == DEFAULT:
        return {}
    return {"task": arm.scoring.name, "scoring": arm.scoring.record()}


def _seed(arm: Arm, trial: Trial) -> Record:
    metrics = {key: trial.metrics[key] for key in (*arm.scoring.keys, GAIN) if key in trial.metrics}
    return {
        "cell": trial.cell_id,
        "state": trial.state,
        "key": trial.key,
        "torch": trial.torch,
        "device": trial.device,
        "metrics": metrics,
    }
