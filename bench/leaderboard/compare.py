"""Two runs side by side: the paired difference of every row that both have."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bench.base.errors import EXIT_DONE, EXIT_NOT_COMPARABLE
from bench.leaderboard.arms import Arm, Arms
from bench.leaderboard.draws import read_evidence
from bench.leaderboard.findings import Rules
from bench.leaderboard.floors import Spreads, floor_of, spreads_of
from bench.leaderboard.matching import Match, match, names
from bench.leaderboard.statistics import (
    Difference,
    ImageInterval,
    Resamples,
    holm,
    image_difference,
    paired_difference,
    resampled,
)
from bench.store.folders import COUNTS
from bench.tasks.metric import Evidence, Metric

UNKNOWN = "(not recorded)"
_PROVENANCE = (
    ("method", "method", "code of"),
    ("student", "student", "code of"),
    ("teacher", "teacher", "code of"),
    ("teacher_weights", "teacher", "weights of"),
    ("dataset", "dataset", "content of"),
)


@dataclass(frozen=True)
class Compared:
    """One row that both runs have.

    Attributes:
        place: dataset and pair.
        name: method label, made distinct.
        first: the arm of the first run.
        second: the arm of the second run.
        seeds: those with a score in both.
        difference: second minus first of the primary metric over those seeds, as stored.
        p_holm: its p-value, Holm-adjusted over all rows; None without a test.
        images: the same difference with its interval over images; None where the two were not scored on the same.
        differing: fields in which protocol or weights differ; where there are any, so does what is compared.
        alpha: level of the test.
        allowed: how far the mean of so many seeds may move by the gate's rule, the first run taken as the reference.
    """

    place: str
    name: str
    first: Arm
    second: Arm
    seeds: tuple[int, ...]
    difference: Difference
    p_holm: float | None = None
    images: ImageInterval | None = None
    differing: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    alpha: float = 0.05
    allowed: float = math.inf

    @property
    def metric(self) -> Metric:
        """What is compared."""
        return self.second.scoring.primary

    @property
    def beyond_seeds(self) -> bool:
        """Whether the runs differ by more than the gate allows so many seeds."""
        return not self.differing and abs(self.difference.mean or 0.0) > self.allowed

    @property
    def unclear_but_large(self) -> bool:
        """Whether the runs differ by more than the gate calls large and the seeds cannot tell that from noise."""
        told = self.beyond_seeds or (self.p_holm is not None and self.p_holm <= self.alpha)
        return not told and not self.differing and abs(self.difference.mean or 0.0) > self.metric.large


@dataclass(frozen=True)
class Alone:
    """A row that only one run has, or without a common seed.

    Attributes:
        place: dataset and pair.
        name: method label, made distinct.
        side: 0 for the first run, 1 for the second, None where both have it.
        reason: why there is nothing to compare.
    """

    place: str
    name: str
    side: int | None
    reason: str


@dataclass(frozen=True)
class ComparedRuns:
    """The outcome of a comparison.

    Attributes:
        rows: what both runs have.
        alone: the rest.
        apart: what differs between the runs besides: torch, devices, digests of code; values of both by name.
    """

    rows: tuple[Compared, ...]
    alone: tuple[Alone, ...]
    apart: Mapping[str, tuple[str, str]]

    @property
    def exit_code(self) -> int:
        """4 where no cell of the one has a counterpart in the other, else 0."""
        return EXIT_DONE if self.rows else EXIT_NOT_COMPARABLE


def compare(first: Arms, second: Arms, alpha: float = 0.05) -> ComparedRuns:
    """Compare two runs row by row, seeds paired.

    Args:
        first: arms of the run to compare with.
        second: arms of the other; differences are second minus first.
        alpha: intervals have coverage ``1 - alpha``.
    """
    matches = match(first.arms, second.arms)
    arms = [arm for found in matches if (arm := found.first or found.second)]
    resamples: dict[int, Resamples] = {}
    spreads = spreads_of(first.arms)
    rows: list[Compared] = []
    alone: list[Alone] = []
    for found, arm, name in zip(matches, arms, names([arm.identity for arm in arms]), strict=True):
        row = _compared(found, arm.identity.place, name, alpha, resamples, spreads)
        if isinstance(row, Compared):
            rows.append(row)
        else:
            alone.append(row)
    adjusted = holm([row.difference.p for row in rows], len(rows))
    rows = [replace(row, p_holm=p) for row, p in zip(rows, adjusted, strict=True)]
    return ComparedRuns(tuple(rows), tuple(alone), _apart(rows))


def _compared(
    found: Match, place: str, name: str, alpha: float, resamples: dict[int, Resamples], spreads: Spreads
) -> Compared | Alone:
    first, second = found.first, found.second
    if first is None or second is None:
        side = 0 if second is None else 1
        return Alone(place, name, side, _states(first or second))
    difference = paired_difference(second.scores(), first.scores(), 1 - alpha)
    known = second.known()
    seeds = tuple(seed for seed in first.known() if seed in known)
    if not seeds:
        return Alone(place, name, None, f"no seed with a score in both: {_states(first)}; {_states(second)}")
    images = _over_images(first, second, seeds, 1 - alpha, resamples)
    floor = floor_of(first, second, Rules(), spreads)
    allowed = floor.allowed(difference.n) if floor else math.inf
    return Compared(place, name, first, second, seeds, difference, None, images, found.differing, alpha, allowed)


def _states(arm: Arm | None) -> str:
    counts = Counter(trial.state for trial in arm.trials.values()) if arm else {}
    return ", ".join(f"{n} {state}" for state, n in counts.items())


def _over_images(
    first: Arm, second: Arm, seeds: Sequence[int], confidence: float, resamples: dict[int, Resamples]
) -> ImageInterval | None:
    """Bootstrap the difference over images; None where the two sides were not scored on the same labels."""
    sides = [[_evidence(arm, seed) for seed in seeds] for arm in (first, second)]
    known = [evidence for side in sides for evidence in side if evidence is not None]
    if len(known) < 2 * len(seeds) or known[0].n_images < 2:
        return None
    labels = known[0].labels()
    if not all(np.array_equal(evidence.labels(), labels) for evidence in known):
        return None
    draws = resamples.setdefault(known[0].n_images, Resamples(known[0].n_images))
    before, now = (resampled(side, draws) for side in (known[: len(seeds)], known[len(seeds) :]))
    return image_difference(now, before, confidence)


def _evidence(arm: Arm, seed: int) -> Evidence | None:
    folder = arm.trials[seed].folder
    return None if folder is None else read_evidence(arm.scoring, folder / COUNTS)


def _apart(rows: Sequence[Compared]) -> dict[str, tuple[str, str]]:
    """Return what differs in the surroundings of the compared cells: each side's values by name."""
    sides: list[dict[str, set[str]]] = [{}, {}]
    for row in rows:
        for side, arm in zip(sides, (row.first, row.second), strict=True):
            for seed in row.seeds:
                for name, value in _surroundings(arm, seed):
                    side.setdefault(name, set()).add(value)
    found = {}
    for name in dict.fromkeys((*sides[0], *sides[1])):
        told = tuple(", ".join(sorted(side.get(name, {UNKNOWN}))) for side in sides)
        if told[0] != told[1]:
            found[name] = (told[0], told[1])
    return found


def _surroundings(arm: Arm, seed: int) -> Iterator[tuple[str, str]]:
    trial, identity = arm.trials[seed], arm.identity
    yield "torch", trial.torch or UNKNOWN
    yield "device", trial.device or UNKNOWN
    for part, kind, what in _PROVENANCE:
        if part in trial.provenance:
            named = json.loads(getattr(identity, kind)) or {}
            yield f"{what} {kind} {named.get('name', '')}", str(trial.provenance[part] or UNKNOWN)[:16]
