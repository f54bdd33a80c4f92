"""Limits on how far a score may move, as in ``gain < -1``."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from bench.base.errors import BenchError, did_you_mean
from bench.tasks.metric import GAIN, Metric, Scoring
from bench.tasks.scorings import known_scorings

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
EXAMPLE = "write metric, operator and limit, as in --fail-on 'gain < -1.0'"

_EXPRESSION = re.compile(r"\s*(?P<metric>[^\s<>=]*)\s*(?P<operator>[<>=!]+)\s*(?P<limit>\S*)\s*")


@dataclass(frozen=True)
class Threshold:
    """A condition on the difference current - reference under which a check fails.

    Attributes:
        name: the metric as the user wrote it, or :data:`~bench.tasks.metric.GAIN`.
        sign: an operator of :data:`OPERATORS`.
        limit: in the unit in which tables show differences: percentage points for percent.
    """

    name: str
    sign: str
    limit: float

    def metric(self, scoring: Scoring) -> Metric | None:
        """Return the metric of a task that is looked at, that of gains for a gain; None where the task has none."""
        return scoring.primary if self.name == GAIN else scoring.metric(self.name)

    def key(self, scoring: Scoring) -> str | None:
        """Return the name in results of what is looked at, None where the task has no such metric."""
        metric = self.metric(scoring)
        if self.name == GAIN or metric is None:
            return GAIN if self.name == GAIN else None
        return metric.key

    def guards(self, scoring: Scoring) -> bool:
        """Tell whether it limits how much worse the score of a task may be, itself or by the gain."""
        metric = self.metric(scoring)
        worse_is_less = self.name == GAIN or scoring.primary.higher_is_better
        return metric == scoring.primary and self.sign.startswith("<" if worse_is_less else ">")

    def crossed(self, difference: float) -> bool:
        """Tell whether a difference, as shown, fulfils the condition."""
        return OPERATORS[self.sign](difference, self.limit)

    def __str__(self) -> str:
        return f"{self.name} {self.sign} {self.limit:g}"


def parse(text: str, scorings: Collection[Scoring] = ()) -> Threshold:
    """Read an expression.

    Args:
        text: the expression.
        scorings: of the tasks whose metrics may be named; those known here if none is given.

    Raises:
        BenchError: it is written otherwise; the sentence has an example.
    """
    found = _EXPRESSION.fullmatch(text)
    if found is None or not found["metric"]:
        raise BenchError(f"--fail-on {text!r}: {EXAMPLE}")
    tasks = tuple(scorings or known_scorings().values())
    names = [*dict.fromkeys(key for scoring in tasks for key in scoring.keys), GAIN]
    former = [alias for scoring in tasks for metric in scoring.metrics for alias in metric.aliases]
    if found["metric"] not in (*names, *former):
        hint = did_you_mean(found["metric"], names)
        raise BenchError(f"--fail-on {text!r}: unknown metric.{hint} Known: {', '.join(names)}")
    if found["operator"] not in OPERATORS:
        raise BenchError(f"--fail-on {text!r}: the operator is one of {' '.join(OPERATORS)}; {EXAMPLE}")
    try:
        limit = float(found["limit"])
    except ValueError:
        limit = math.nan
    if not math.isfinite(limit):
        raise BenchError(f"--fail-on {text!r}: {found['limit']!r} is not a number; {EXAMPLE}")
    return Threshold(found["metric"], found["operator"], limit)
