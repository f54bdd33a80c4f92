"""The arms of a run: every method of a dataset and pair with what became of each seed, to set against another run's."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError
from bench.base.files import canonical
from bench.leaderboard.pairing import DONE, LOST_STATES, Picked, by_seed, seed_gains
from bench.leaderboard.protocols import dotted, recipe_protocols
from bench.leaderboard.rows import Cell
from bench.matrix.baseline import BASELINE
from bench.store.folders import RESULT, Record, RunFolder
from bench.store.frame import load, shown_name
from bench.tasks.metric import GAIN, Scoring
from bench.tasks.scorings import scoring_of

AMBIGUOUS = "ambiguous"

_PLACE_OF_MODEL = ("name", "options")
_PLACE_OF_DATASET = ("name", "options", "train_split", "eval_split")


@dataclass(frozen=True)
class Identity:
    """What makes two arms of different runs the same row; each field but the label is canonical JSON.

    Attributes:
        dataset: name, options and splits.
        teacher: name and options, or ``null``.
        student: name and options.
        method: name and all hyperparameters.
        label: the name in tables.
    """

    dataset: str
    teacher: str
    student: str
    method: str
    label: str

    @property
    def is_baseline(self) -> bool:
        """Whether it is the method that gains are told against."""
        return bool(json.loads(self.method)["name"] == BASELINE)

    @property
    def place(self) -> str:
        """Dataset and pair in one line."""
        dataset, student = (shown_name(json.loads(text)) for text in (self.dataset, self.student))
        teacher = json.loads(self.teacher)
        return f"{dataset}: {shown_name(teacher)} → {student}" if teacher else f"{dataset}: {student}"

    def fields(self) -> dict[str, Any]:
        """Return all of it by dotted path."""
        parts = {name: json.loads(getattr(self, name)) for name in ("dataset", "teacher", "student", "method")}
        fields: dict[str, Any] = dotted(parts)
        return fields


@dataclass(frozen=True)
class Conditions:
    """What must be equal for two scores of one row to be comparable.

    Attributes:
        protocol: hash of the protocol, empty where it was not recorded.
        models: canonical JSON of what the models start from: weights, preparation of their images.
        fields: what the protocol's hash is made of.
    """

    protocol: str
    models: str
    fields: Mapping[str, Any] = field(default_factory=dict, compare=False, hash=False)

    def against(self, other: Conditions) -> dict[str, tuple[Any, Any]]:
        """Return what differs: dotted path to this value and the other's."""
        mine, theirs = (dotted(json.loads(side.models)) for side in (self, other))
        if self.protocol != other.protocol:
            mine |= dotted(dict(self.fields))
            theirs |= dotted(dict(other.fields))
        paths = sorted(path for path in mine.keys() | theirs.keys() if mine.get(path) != theirs.get(path))
        if not paths and self.protocol != other.protocol:
            return {"protocol": (self.protocol or None, other.protocol or None)}
        return {path: (mine.get(path), theirs.get(path)) for path in paths}


@dataclass(frozen=True)
class Trial:
    """One seed of an arm.

    Attributes:
        cell_id: the cell.
        state: as in the store.
        reason: why it has no score, or None.
        key: the cell's key; None for a cell without a result.
        metrics: as stored, by key, and the ``gain`` over the baseline of the same seed.
        torch: version that it was trained with.
        device: what it was trained on.
        provenance: digests of code, data and weights.
        folder: where the cell lies; None for one that was read from a file of references.
    """

    cell_id: str
    state: str
    reason: str | None = None
    key: str | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    torch: str | None = None
    device: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None


@dataclass(frozen=True)
class Arm:
    """A method on one dataset and pair.

    Attributes:
        identity: which row it is.
        conditions: under what it was trained and scored.
        trials: by seed.
        scoring: how its task is scored.
    """

    identity: Identity
    conditions: Conditions
    trials: Mapping[int, Trial]
    scoring: Scoring

    def scores(self, key: str | None = None) -> dict[int, float | None]:
        """Return a metric by seed, the primary one if none is named.

        None stands for cells that were tried and have none, nothing for those that were not tried.
        """
        name = key or self.scoring.primary.key
        return {
            seed: trial.metrics.get(name)
            for seed, trial in self.trials.items()
            if trial.state == DONE or trial.state in LOST_STATES
        }

    def known(self, key: str | None = None) -> dict[int, float]:
        """Return a metric by seed, the primary one if none is named, only where it is a number."""
        return {seed: value for seed, value in self.scores(key).items() if value is not None}


@dataclass(frozen=True)
class Arms:
    """All arms of a run.

    Attributes:
        arms: in the order of their identities.
        unplaced: cells of which nothing readable tells what they are: state by cell id.
    """

    arms: tuple[Arm, ...]
    unplaced: Mapping[str, str] = field(default_factory=dict)


def require_run(folder: Path) -> RunFolder:
    """Return the run in a folder.

    Raises:
        BenchError: there is none.
    """
    if not (folder / "cells").is_dir() and not (folder / "plan.json").is_file():
        raise BenchError(f"no run in {folder}: it has neither cells/ nor plan.json. Name the folder of a run.")
    return RunFolder(folder)


def read_arms(run: RunFolder) -> Arms:
    """Read all cells of a run, finished or not, into arms."""
    cells: list[Cell] = load(run).to_dict("records")  # type: ignore[assignment]
    known = [cell for cell in cells if cell["dataset_key"] is not None]
    grouped: dict[tuple[Identity, Conditions], list[Cell]] = defaultdict(list)
    for cell, (protocol, fields) in zip(known, recipe_protocols(known), strict=True):
        grouped[_identity(cell), _conditions(cell, protocol, fields)].append(cell)
    scorings = {cell["dataset_key"]: cell["scoring"] for cell in known if cell["scoring"]}
    arms = [
        Arm(
            identity,
            conditions,
            {seed: _trial(picked) for seed, picked in by_seed(own).items()},
            scorings.get(own[0]["dataset_key"]) or scoring_of({}),
        )
        for (identity, conditions), own in grouped.items()
    ]
    arms.sort(key=_order)
    unplaced = {str(cell["cell_id"]): str(cell["state"]) for cell in cells if cell["dataset_key"] is None}
    return Arms(tuple(_with_gains(arms)), unplaced)


def _order(arm: Arm) -> tuple[object, ...]:
    identity = arm.identity
    return (identity.place, not identity.is_baseline, identity.label, identity.method, arm.conditions.protocol)


def _identity(cell: Cell) -> Identity:
    def part(kind: str, names: Sequence[str]) -> str:
        record = json.loads(cell[f"{kind}_key"]) if cell[f"{kind}_key"] else None
        return canonical(record and {name: record.get(name) for name in names})

    method = {"name": cell["method"], "params": json.loads(cell["hyperparameters"])}
    return Identity(
        part("dataset", _PLACE_OF_DATASET),
        part("teacher", _PLACE_OF_MODEL),
        part("student", _PLACE_OF_MODEL),
        canonical(method),
        str(cell["label"]),
    )


def _conditions(cell: Cell, protocol: str, fields: Mapping[str, Any]) -> Conditions:
    models = {}
    for kind in ("teacher", "student"):
        record = json.loads(cell[f"{kind}_key"]) if cell[f"{kind}_key"] else {}
        models[kind] = {name: value for name, value in record.items() if name not in _PLACE_OF_MODEL}
    return Conditions(protocol, canonical({kind: value for kind, value in models.items() if value}), fields)


def _trial(picked: Picked) -> Trial:
    """Return what became of a seed; several results that contradict each other are no score."""
    cell = picked.cell
    if cell is None:
        ids = ", ".join(str(other["cell_id"]) for other in picked.left_out)
        return Trial(str(picked.left_out[0]["cell_id"]), AMBIGUOUS, f"{picked.reason}: {ids}")
    trial = Trial(str(cell["cell_id"]), str(cell["state"]), cell["reason"], folder=Path(str(cell["folder"])))
    if trial.state != DONE:
        return trial
    record = json.loads((Path(str(cell["folder"])) / RESULT).read_text(encoding="utf-8"))
    environment, provenance = record.get("environment") or {}, record.get("provenance") or {}
    return replace(
        trial,
        key=record["cell"].get("key"),
        metrics=cell["metrics"],
        torch=(environment.get("packages") or {}).get("torch") or provenance.get("torch"),
        device=environment.get("device"),
        provenance=provenance,
    )


def _with_gains(arms: Iterable[Arm]) -> list[Arm]:
    """Add every seed's gain over the baseline of the same dataset, student and conditions."""
    arms = list(arms)
    baselines = {_ground(arm): arm.known() for arm in arms if arm.identity.is_baseline}
    made = []
    for arm in arms:
        base = {} if arm.identity.is_baseline else baselines.get(_ground(arm), {})
        gains = seed_gains(arm.scoring.primary, arm.known(), base)
        trials = {
            seed: replace(trial, metrics={**trial.metrics, GAIN: gains[seed]}) if seed in gains else trial
            for seed, trial in arm.trials.items()
        }
        made.append(replace(arm, trials=trials))
    return made


def _ground(arm: Arm) -> tuple[str, ...]:
    student: Record = json.loads(arm.conditions.models).get("student") or {}
    return arm.identity.dataset, arm.identity.student, arm.conditions.protocol, canonical(student)
