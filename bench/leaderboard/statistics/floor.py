"""How far a mean may lie from its reference before that is a regression, whatever a t-test says.

A t-test learns the noise from the seeds that it tests, and over two or three of them it misses large falls. A floor
takes the noise from elsewhere: from what the metric says that one seed may move, and from the spread of the reference's
seeds. With n and m seeds on the two sides a mean may move by

    max(one_seed, min(5.5 spread, most / h)) h,   h = sqrt((1/n + 1/m) / 2)

so that further seeds narrow it and nothing but a wider spread of the reference widens it. 5.5 spreads are 3.9 standard
errors of the difference: the spread itself is known from few seeds. Widened or not, a method that loses ``most`` has
fallen through, but for what one seed may move.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy.special import digamma

SPREADS = 5.5


@dataclass(frozen=True)
class Floor:
    """What a mean is held to besides the test; all in the unit of the scores.

    Attributes:
        one_seed: difference that one seed alone hardly makes, at least 0.
        spread: standard deviation of a seed's score in the reference, at least 0; None where no row tells one.
        most: difference that is a collapse however wide the spread, above 0.
    """

    one_seed: float
    spread: float | None = None
    most: float = math.inf

    def allowed(self, n: tuple[int, int]) -> float:
        """Return how far the mean may lie from the reference's.

        Args:
            n: seeds of the two means, at least 1 each.
        """
        share = math.sqrt((1 / n[0] + 1 / n[1]) / 2)
        widened = min(SPREADS * (self.spread or 0.0) * share, self.most)
        return max(self.one_seed * share, widened)


def own_spread(scores: Sequence[float]) -> float | None:
    """Return the sample standard deviation, None for fewer than two scores."""
    return stdev(scores) if len(scores) > 1 else None


def typical_spread(rows: Iterable[Sequence[float]], least: float) -> float | None:
    """Return the spread of a seed that is typical of several methods, None where none has two seeds.

    It is the geometric mean of their standard deviations, which one noisy method hardly moves, each without the bias of
    its few seeds: of normal scores with d degrees of freedom the logarithm of the variance is on average too small by
    ``log(d / 2) - digamma(d / 2)``. Where few methods happen to spread alike that is too much, so it is their root mean
    square at most. Source: G. K. Smyth, "Linear models and empirical Bayes methods for assessing differential
    expression in microarray experiments", Stat. Appl. Genet. Mol. Biol. 3 (2004), section 6.2.

    Args:
        rows: the scores of each method by seed.
        least: smaller standard deviations count as this, above 0: equal seeds would make the mean zero.
    """
    logarithms, squares = [], []
    for scores in rows:
        spread = own_spread(scores)
        if spread is not None:
            half, spread = (len(scores) - 1) / 2, max(spread, least)
            squares.append(spread**2)
            logarithms.append(2 * math.log(spread) + math.log(half) - float(digamma(half)))
    return math.sqrt(min(math.exp(fmean(logarithms)), fmean(squares))) if squares else None
