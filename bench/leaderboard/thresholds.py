"""Limits on how far a score may move, as in ``miou < -1``."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.base.errors import BenchError, did_you_mean

METRICS: Mapping[str, str] = {
    "miou": "miou",
    "macc": "macc",
    "pixel_accuracy": "pixel_accuracy",
    "boundary_iou": "mean_boundary_iou",
    "gain": "gain",
}
"""Names that an expression may use, and the names in results."""
OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
EXAMPLE = "write metric, operator and points, as in --fail-on 'miou < -1.0'"

_EXPRESSION = re.compile(r"\s*(?P<metric>[^\s<>=]*)\s*(?P<operator>[<>=!]+)\s*(?P<points>\S*)\s*")


@dataclass(frozen=True)
class Threshold:
    """A condition on the difference current - reference under which a check fails.

    Attributes:
        name: the metric as the user wrote it.
        sign: an operator of :data:`OPERATORS`.
        points: percentage points.
    """

    name: str
    sign: str
    points: float

    @property
    def metric(self) -> str:
        """The metric's name in results."""
        return METRICS[self.name]

    def crossed(self, difference: float) -> bool:
        """Tell whether a difference, in points, fulfils the condition."""
        return OPERATORS[self.sign](difference, self.points)

    def __str__(self) -> str:
        return f"{self.name} {self.sign} {self.points:g}"


def parse(text: str) -> Threshold:
    """Read an expression.

    Raises:
        BenchError: it is written otherwise; the sentence has an example.
    """
    found = _EXPRESSION.fullmatch(text)
    if found is None or not found["metric"]:
        raise BenchError(f"--fail-on {text!r}: {EXAMPLE}")
    if found["metric"] not in METRICS:
        hint = did_you_mean(found["metric"], METRICS)
        raise BenchError(f"--fail-on {text!r}: unknown metric.{hint} Known: {', '.join(METRICS)}")
    if found["operator"] not in OPERATORS:
        raise BenchError(f"--fail-on {text!r}: the operator is one of {' '.join(OPERATORS)}; {EXAMPLE}")
    try:
        points = float(found["points"])
    except ValueError:
        points = math.nan
    if not math.isfinite(points):
        raise BenchError(f"--fail-on {text!r}: {found['points']!r} is not a number of points; {EXAMPLE}")
    return Threshold(found["metric"], found["operator"], points)
