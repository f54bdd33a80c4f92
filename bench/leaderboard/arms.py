"""The arms of a run: every method of a dataset and pair with what became of each seed, to set against another run's."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError
from bench.base.files import canonical
from bench.leaderboard import BASELINE
from bench.leaderboard.protocols import dotted
from bench.store.folders import RESULT, Record, RunFolder
from bench.store.frame import load, shown_name

SCORES = ("miou", "macc", "pixel_accuracy", "mean_boundary_iou")
GAIN = "gain"
LOST_STATES = frozenset({"failed", "diverged", "timeout", "corrupt"})
"""States of a cell that was tried and has no score to show for it."""
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
        metrics: ratios in 0..1 by name of :data:`SCORES`, and the ``gain`` over the baseline of the same seed.
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
    """

    identity: Identity
    conditions: Conditions
    trials: Mapping[int, Trial]

    def scores(self, metric: str = "miou") -> dict[int, float | None]:
        """Return a metric by seed; None for cells that were tried and have none, nothing for those that were not."""
        return {
            seed: trial.metrics.get(metric)
            for seed, trial in self.trials.items()
            if trial.state == "done" or trial.state in LOST_STATES
        }

    def known(self, metric: str = "miou") -> dict[int, float]:
        """Return a metric by seed, only where it is a number."""
        return {seed: value for seed, value in self.scores(metric).items() if value is not None}


@dataclass(frozen=True)
class Arms:
    """All arms of a run.

    Attributes:
        arms: in the order of their identities.
        unplaced: cells of which nothing readable tells what they are: state by cell id.
    """

    arms: tuple[Arm, ...]
    unplaced: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Match:
    """An arm and its counterpart.

    Attributes:
        first: of the first run, None where it has none.
        second: of the second run, alike.
        differing: what keeps the two from being comparable: values of both by dotted path.
    """

    first: Arm | None
    second: Arm | None
    differing: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


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
    cells = load(run).to_dict("records")
    known = [cell for cell in cells if cell["dataset_key"] is not None]
    protocols = _protocols(known)
    grouped: dict[tuple[Identity, Conditions], dict[int, list[tuple[bool, Trial]]]] = {}
    for cell in known:
        place = _identity(cell), _conditions(cell, protocols)
        seeds = grouped.setdefault(place, defaultdict(list))
        seeds[int(cell["seed"])].append((bool(cell["planned"]), _trial(cell)))
    arms = [
        Arm(identity, conditions, {seed: _pick(found) for seed, found in sorted(seeds.items())})
        for (identity, conditions), seeds in grouped.items()
    ]
    arms.sort(key=_order)
    unplaced = {str(cell["cell_id"]): str(cell["state"]) for cell in cells if cell["dataset_key"] is None}
    return Arms(tuple(_with_gains(arms)), unplaced)


def _order(arm: Arm) -> tuple[object, ...]:
    identity = arm.identity
    return (identity.place, not identity.is_baseline, identity.label, identity.method, arm.conditions.protocol)


def _protocols(cells: Sequence[Mapping[Hashable, Any]]) -> dict[tuple[Any, ...], tuple[str, Mapping[str, Any]]]:
    """Return the protocol of cells that recorded none: that of their recipe's other cells, where it is one."""
    found: dict[tuple[Any, ...], dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for cell in cells:
        if cell["protocol"]:
            found[_alike(cell)][str(cell["protocol"])] = cell["protocol_fields"] or {}
    return {alike: next(iter(places.items())) for alike, places in found.items() if len(places) == 1}


def _alike(cell: Mapping[Hashable, Any]) -> tuple[Any, ...]:
    return cell["dataset_key"], cell["student_key"], cell["recipe"]


def _identity(cell: Mapping[Hashable, Any]) -> Identity:
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


def _conditions(
    cell: Mapping[Hashable, Any], protocols: Mapping[tuple[Any, ...], tuple[str, Mapping[str, Any]]]
) -> Conditions:
    models = {}
    for kind in ("teacher", "student"):
        record = json.loads(cell[f"{kind}_key"]) if cell[f"{kind}_key"] else {}
        models[kind] = {name: value for name, value in record.items() if name not in _PLACE_OF_MODEL}
    recorded = (str(cell["protocol"]), cell["protocol_fields"] or {}) if cell["protocol"] else None
    protocol, fields = recorded or protocols.get(_alike(cell), ("", {}))
    return Conditions(protocol, canonical({kind: value for kind, value in models.items() if value}), fields)


def _trial(cell: Mapping[Hashable, Any]) -> Trial:
    trial = Trial(str(cell["cell_id"]), str(cell["state"]), cell["reason"], folder=Path(str(cell["folder"])))
    if trial.state != "done":
        return trial
    record = json.loads((Path(str(cell["folder"])) / RESULT).read_text(encoding="utf-8"))
    environment, provenance = record.get("environment") or {}, record.get("provenance") or {}
    return replace(
        trial,
        key=record["cell"].get("key"),
        metrics={name: _number(record["metrics"].get(name)) for name in SCORES if name in record["metrics"]},
        torch=(environment.get("packages") or {}).get("torch") or provenance.get("torch"),
        device=environment.get("device"),
        provenance=provenance,
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _pick(found: Sequence[tuple[bool, Trial]]) -> Trial:
    """Return the one trial of a seed: the one that the plan lists, where there are several."""
    if len(found) > 1:
        found = [(planned, trial) for planned, trial in found if planned] or found
    if len(found) == 1:
        return found[0][1]
    ids = ", ".join(trial.cell_id for _, trial in found)
    return Trial(found[0][1].cell_id, AMBIGUOUS, f"several cells of one method and seed, none is picked: {ids}")


def _with_gains(arms: Iterable[Arm]) -> list[Arm]:
    """Add every seed's gain over the baseline of the same dataset, student and conditions."""
    arms = list(arms)
    baselines = {_ground(arm): arm.known() for arm in arms if arm.identity.is_baseline}
    made = []
    for arm in arms:
        base = {} if arm.identity.is_baseline else baselines.get(_ground(arm), {})
        known = arm.known()
        trials = {
            seed: replace(trial, metrics={**trial.metrics, GAIN: known[seed] - base[seed]})
            if seed in known and seed in base
            else trial
            for seed, trial in arm.trials.items()
        }
        made.append(replace(arm, trials=trials))
    return made


def _ground(arm: Arm) -> tuple[str, ...]:
    student: Record = json.loads(arm.conditions.models).get("student") or {}
    return arm.identity.dataset, arm.identity.student, arm.conditions.protocol, canonical(student)


def match(first: Sequence[Arm], second: Sequence[Arm]) -> list[Match]:
    """Pair the arms of two runs.

    Arms of one identity and equal conditions go together; what is left of an identity is paired by the fewest
    differing fields.

    Returns:
        Every arm of both runs once, in the order of the first, then those that only the second has.
    """
    rest = list(second)
    partners: dict[int, Match] = {}
    for place, arm in enumerate(first):
        twin = next((o for o in rest if (o.identity, o.conditions) == (arm.identity, arm.conditions)), None)
        if twin is not None:
            rest.remove(twin)
            partners[place] = Match(arm, twin)
    for place, arm in enumerate(first):
        alike = [other for other in rest if other.identity == arm.identity]
        if place in partners or not alike:
            continue
        nearest = min(alike, key=lambda other: len(arm.conditions.against(other.conditions)))
        rest.remove(nearest)
        partners[place] = Match(arm, nearest, arm.conditions.against(nearest.conditions))
    return [partners.get(place, Match(arm, None)) for place, arm in enumerate(first)] + [Match(None, o) for o in rest]


def names(identities: Sequence[Identity]) -> list[str]:
    """Return a name for each row: its label, with what tells it apart where others of its place share the label."""
    shown = []
    shared = Counter((identity.place, identity.label) for identity in set(identities))
    for identity in identities:
        name = identity.label
        if shared[(identity.place, name)] > 1:
            others = {o for o in identities if (o.place, o.label) == (identity.place, name) and o != identity}
            mine = identity.fields()
            apart = [p for p, value in mine.items() if any(o.fields().get(p) != value for o in others)]
            name += f" ({', '.join(f'{path}={mine[path]}' for path in apart) or 'defaults'})"
        shown.append(name)
    return shown
