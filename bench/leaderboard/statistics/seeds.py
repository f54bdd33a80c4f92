"""Means and differences over seeds, with Student-t intervals.

A training run with another seed is the unit of repetition. Intervals are Student-t: a percentile bootstrap over so few
values covers far less than it claims. One seed has no interval and no p-value; nothing here returns NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

import numpy as np
from scipy.special import stdtr, stdtrit

from bench.leaderboard.statistics.reasons import Reason

Scores = Mapping[int, float | None]
"""Score by seed; None or NaN where the run gave none."""

ROUNDING = 8 * float(np.finfo(float).eps)
"""Differences closer than this share of the scores' size are rounding, not noise."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Attributes:
        low: lower end.
        high: upper end.
        confidence: nominal coverage, in 0..1.
    """

    low: float
    high: float
    confidence: float


@dataclass(frozen=True)
class SeedMean:
    """A mean over seeds.

    Attributes:
        n: seeds with a score.
        mean: their mean, None without any.
        sd: sample standard deviation, None for fewer than two.
        interval: Student-t interval of the mean, None for fewer than two.
        reason: why there is no interval, or None.
    """

    n: int
    mean: float | None
    sd: float | None
    interval: Interval | None
    reason: Reason | None


@dataclass(frozen=True)
class Difference:
    """A mean difference of two sets of scores.

    Attributes:
        test: ``paired`` over the seeds that both have, or ``welch`` over two independent samples.
        n: values on each side that were used; the same number twice where paired.
        mean: mean of the first minus mean of the second over those values, None without any.
        sd: sample standard deviation of the paired differences; None for fewer than two, and for ``welch``.
        interval: Student-t interval of the difference, None where there is none.
        p: two-sided p-value of "no difference", None where there is none.
        reason: why there is no interval and no p-value, or None.
    """

    test: Literal["paired", "welch"]
    n: tuple[int, int]
    mean: float | None
    sd: float | None
    interval: Interval | None
    p: float | None
    reason: Reason | None


def finite(scores: Scores) -> dict[int, float]:
    """Return the scores that are numbers, by ascending seed."""
    return {seed: float(value) for seed, value in sorted(scores.items()) if value is not None and math.isfinite(value)}


def mean_over_seeds(scores: Scores, confidence: float = 0.95) -> SeedMean:
    """Return the mean over seeds with its Student-t interval ``mean +- t(n - 1) * sd / sqrt(n)``.

    Identical scores have an interval of width 0.

    Args:
        scores: by seed; None and NaN are left out.
        confidence: coverage of the interval, in 0..1.

    Raises:
        ValueError: ``confidence`` is not between 0 and 1.
    """
    values = list(finite(scores).values())
    if len(values) < 2:
        _require_share(confidence)
        reason = Reason.ONE_SEED if values else Reason.NO_SCORE
        return SeedMean(len(values), values[0] if values else None, None, None, reason)
    mean, sd = _moments(values, values)
    interval, _ = t_inference(mean, sd / math.sqrt(len(values)), len(values) - 1, confidence)
    return SeedMean(len(values), mean, sd, interval, None)


def paired_difference(scores: Scores, baseline: Scores, confidence: float = 0.95) -> Difference:
    """Return the mean of ``scores - baseline`` over their common seeds, with the paired t-test.

    With d the differences over n common seeds, ``t = mean(d) / (sd(d) / sqrt(n))`` has n - 1 degrees of freedom
    (Student, "The probable error of a mean", Biometrika 6 (1908) 1-25). Where all differences are identical, the
    limit for sd towards 0 is returned: an interval of width 0, and p = 1 if they are zero, else p = 0.

    Args:
        scores: by seed; None and NaN are left out.
        baseline: what to compare with, alike.
        confidence: coverage of the interval, in 0..1.

    Raises:
        ValueError: ``confidence`` is not between 0 and 1.
    """
    _require_share(confidence)
    first, second = finite(scores), finite(baseline)
    common = [seed for seed in first if seed in second]
    gains = [first[seed] - second[seed] for seed in common]
    n = len(gains)
    if n < 2:
        reason = Reason.ONE_SEED if gains else Reason.NO_COMMON_SEED
        if not first or not second:
            reason = Reason.NO_SCORE
        return Difference("paired", (n, n), gains[0] if gains else None, None, None, None, reason)
    mean, sd = _moments(gains, [side[seed] for side in (first, second) for seed in common])
    interval, p = t_inference(mean, sd / math.sqrt(n), n - 1, confidence)
    return Difference("paired", (n, n), mean, sd, interval, p, None)


def welch_difference(scores: Scores, baseline: Scores, confidence: float = 0.95) -> Difference:
    """Return the difference of two means over seeds that need not be the same, with Welch's t-test.

    With v = sd^2 / n of each side, ``t = difference / sqrt(v1 + v2)`` has about
    ``(v1 + v2)^2 / (v1^2 / (n1 - 1) + v2^2 / (n2 - 1))`` degrees of freedom; the variances need not be equal.
    Source: B. L. Welch, "The generalization of Student's problem when several different population variances are
    involved", Biometrika 34 (1947) 28-35. Two sides without any spread are treated as in :func:`paired_difference`.

    The degrees of freedom are held to those of two samples of the smaller size, ``2 (min(n1, n2) - 1)``: Welch's own
    reject two equal samples of 2 and 10 normal scores in 10 % of cases at alpha = 0.05 (200,000 simulations), with
    the limit in 2.5 %. Equal sizes are not touched by it.

    A further seed on the larger side alone can lower them all the same and so make a difference look less certain than
    without it. So the side counts with as many seeds, between the smaller side's number and its own, as give the
    smallest p-value at the two sides' means and deviations. Of two equal samples of 2 and 10 that rejects 2.5 % too.

    Args:
        scores: by seed; None and NaN are left out.
        baseline: what to compare with, alike.
        confidence: coverage of the interval, in 0..1.

    Raises:
        ValueError: ``confidence`` is not between 0 and 1.
    """
    _require_share(confidence)
    first, second = list(finite(scores).values()), list(finite(baseline).values())
    n = (len(first), len(second))
    if min(n) == 0:
        return Difference("welch", n, None, None, None, None, Reason.NO_SCORE)
    if min(n) == 1:
        return Difference("welch", n, fmean(first) - fmean(second), None, None, None, Reason.ONE_SEED)
    (mean_1, sd_1), (mean_2, sd_2) = _moments(first, first), _moments(second, second)
    mean = mean_1 - mean_2
    if not sd_1 and not sd_2:
        mean = 0.0 if abs(mean) <= ROUNDING * max(map(abs, (*first, *second))) else mean
    error, freedom = _welch_error(mean, (sd_1, sd_2), n)
    interval, p = t_inference(mean, error, freedom, confidence)
    return Difference("welch", n, mean, None, interval, p, None)


def _welch_error(mean: float, sd: tuple[float, float], n: tuple[int, int]) -> tuple[float, float]:
    """Return standard error and degrees of freedom of a difference, at the most telling sizes; see the caller."""
    sizes = np.arange(max(n), min(n) - 1, -1)
    n1, n2 = np.minimum(sizes, n[0]), np.minimum(sizes, n[1])
    v1, v2 = sd[0] ** 2 / n1, sd[1] ** 2 / n2
    # the share of the two, so that squares of tiny variances do not vanish
    share = np.divide(v1, v1 + v2, out=np.full(len(sizes), 0.5), where=v1 + v2 > 0)
    freedom = np.minimum(1 / (share**2 / (n1 - 1) + (1 - share) ** 2 / (n2 - 1)), 2.0 * (min(n) - 1))
    error = np.sqrt(v1 + v2)
    best = int(np.argmin(two_sided_p(np.full(len(sizes), mean), error, freedom)))
    return float(error[best]), float(freedom[best])


def t_inference(mean: float, error: float, freedom: float, confidence: float) -> tuple[Interval, float]:
    """Return the Student-t interval of a mean and the two-sided p-value of "it is zero".

    Args:
        mean: the estimate.
        error: its standard error; 0 gives an interval of width 0 and p = 0, or p = 1 for a mean of 0.
        freedom: degrees of freedom, above 0.
        confidence: coverage of the interval, in 0..1.

    Raises:
        ValueError: ``confidence`` is not between 0 and 1.
    """
    _require_share(confidence)
    half = -float(stdtrit(freedom, (1 - confidence) / 2)) * error
    p = float(two_sided_p(np.array(mean), np.array(error), np.array(freedom)))
    return Interval(mean - half, mean + half, confidence), p


def two_sided_p(mean: np.ndarray, error: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """Return two-sided p-values of Student's t = mean / error, elementwise; see :func:`t_inference` for error 0."""
    t = np.divide(np.abs(mean), error, out=np.where(mean == 0, 0.0, np.inf), where=error > 0)
    return np.asarray(2 * stdtr(freedom, -t))


def _moments(values: Sequence[float], scores: Sequence[float]) -> tuple[float, float]:
    """Return mean and sample standard deviation; what is mere rounding of the scores behind them counts as zero."""
    mean, sd = fmean(values), stdev(values)
    noise = ROUNDING * max(map(abs, scores))
    if sd > noise:
        return mean, sd
    return (mean if abs(mean) > noise else 0.0), 0.0


def _require_share(value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"confidence {value} is not between 0 and 1")
