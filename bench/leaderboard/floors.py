"""The floor under each row of a check: how far its mean may fall, from the references' own spread."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean

from bench.leaderboard.arms import Arm
from bench.leaderboard.findings import Rules
from bench.leaderboard.statistics import Floor, own_spread, typical_spread
from bench.tasks.metric import Metric

Kind = tuple[str, Metric]
"""A dataset and the metric that it is scored by."""

Spreads = Mapping[Kind, float | None]
"""The standard deviation of a seed, as stored, that is typical of the rows of a kind; None where no row has two."""

_LEAST_SPREAD = 0.01
"""Part of what one seed may move: a smaller spread of a reference counts as this one."""
_COLLAPSE = 3
"""A method has collapsed where its score is less than its reference's divided by this, or its error more than times."""


def spreads_of(reference: Sequence[Arm]) -> Spreads:
    """Return the typical spread of the references of each kind."""
    grouped: dict[Kind, list[list[float]]] = defaultdict(list)
    for arm in reference:
        grouped[_kind(arm)].append([*arm.known().values()])
    return {kind: typical_spread(rows, kind[1].noticeable * _LEAST_SPREAD) for kind, rows in grouped.items()}


def floor_of(reference: Arm, current: Arm, rules: Rules, spreads: Spreads) -> Floor | None:
    """Return what the mean of a row is held to; None where a threshold looks at it instead.

    The spread is the reference's own or that which is typical of its kind, whichever is wider.
    """
    keys = [threshold.key(current.scoring) for threshold in rules.guards(current.scoring)]
    if any(reference.known(key) and current.known(key) for key in keys):
        return None
    metric, known = current.scoring.primary, [*reference.known().values()]
    found = [spread for spread in (own_spread(known), spreads.get(_kind(reference))) if spread is not None]
    return Floor(metric.noticeable, max(found, default=None), _collapse(metric, known))


def _collapse(metric: Metric, known: Sequence[float]) -> float:
    """Return the change for the worse that no spread excuses; infinite where the score has no zero to fall to."""
    mean = fmean(known) if known else 0.0
    if mean <= 0:
        return math.inf
    return mean - mean / _COLLAPSE if metric.higher_is_better else mean * _COLLAPSE - mean


def _kind(arm: Arm) -> Kind:
    return arm.identity.dataset, arm.scoring.primary
