"""What so many seeds could have shown: power of t-tests and the smallest detectable difference."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from scipy import optimize, stats

Design = Literal["paired", "two-sample"]


def t_test_power(difference: float, sd: float, n: int, alpha: float = 0.05, design: Design = "paired") -> float | None:
    """Return the probability that a two-sided t-test finds a true difference.

    Under it the statistic is noncentral t. Paired: n - 1 degrees of freedom and noncentrality
    ``difference / sd * sqrt(n)``. Two samples of n each: 2n - 2 and ``difference / sd * sqrt(n / 2)``.
    Source: J. Cohen, "Statistical power analysis for the behavioral sciences", 2nd ed. (1988), chapter 2.

    Args:
        difference: true mean difference, in the unit of ``sd``.
        sd: standard deviation of the paired differences, or of one score within a sample; at least 0.
        n: pairs, or scores in each sample.
        alpha: two-sided level of the test.
        design: which test.

    Returns:
        A probability, or None for ``n`` below 2. Without any spread, 1 for a difference, else ``alpha``.

    Raises:
        ValueError: ``sd`` is negative or ``alpha`` not between 0 and 1.
    """
    if sd < 0 or not 0 < alpha < 1:
        raise ValueError(f"sd {sd} is negative or alpha {alpha} not between 0 and 1")
    if n < 2:
        return None
    if sd == 0:
        return alpha if difference == 0 else 1.0
    return _power(abs(difference) / sd, n, alpha, design)


def detectable_difference(
    sd: float, n: int, alpha: float = 0.05, power: float = 0.8, design: Design = "paired"
) -> float | None:
    """Return the smallest true difference that the test finds with the given power.

    Solves :func:`t_test_power` for the difference. For several comparisons give ``alpha`` divided by their number.

    Args:
        sd: standard deviation of the paired differences, or of one score within a sample; at least 0.
        n: pairs, or scores in each sample.
        alpha: two-sided level of the test.
        power: probability of finding the difference, above ``alpha``.
        design: which test.

    Returns:
        A difference in the unit of ``sd``, or None for ``n`` below 2.

    Raises:
        ValueError: ``sd`` is negative, or not ``0 < alpha < power < 1``.
    """
    if sd < 0 or not 0 < alpha < power < 1:
        raise ValueError(f"sd {sd} is negative, or not 0 < alpha {alpha} < power {power} < 1")
    return None if n < 2 else sd * _detectable_effect(n, alpha, power, design)


def _power(effect: float, n: int, alpha: float, design: Design) -> float:
    freedom, scale = (n - 1, n) if design == "paired" else (2 * n - 2, n / 2)
    shift = effect**2 * scale
    if shift < 1e-12:  # scipy's noncentral F is wrong at exactly 0
        return alpha
    critical = stats.t.isf(alpha / 2, freedom)
    # The square of a noncentral t is noncentral F; scipy's noncentral t gives NaN for few degrees of freedom.
    return float(stats.ncf.sf(critical**2, 1, freedom, shift))


@lru_cache(maxsize=1024)
def _detectable_effect(n: int, alpha: float, goal: float, design: Design) -> float:
    """Return the detectable difference in standard deviations."""
    high = 1.0
    while _power(high, n, alpha, design) < goal:
        high *= 2
    return float(optimize.brentq(lambda effect: _power(effect, n, alpha, design) - goal, 0.0, high, xtol=1e-10))
