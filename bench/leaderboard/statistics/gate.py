"""Whether scores are worse than those of a reference: the decision behind a check in CI."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from bench.leaderboard.statistics.floor import Floor
from bench.leaderboard.statistics.multiple import holm
from bench.leaderboard.statistics.reasons import Reason
from bench.leaderboard.statistics.seeds import Difference, Scores, finite, paired_difference, welch_difference


class Verdict(StrEnum):
    """What a comparison with a reference says."""

    WORSE = "worse"
    PERHAPS_WORSE = "perhaps worse"
    BETTER = "better"
    SAME = "same"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Judgement:
    """Current scores of a method against those of a reference.

    Attributes:
        verdict: what follows.
        difference: current minus reference, with interval and unadjusted p-value.
        alpha: two-sided level.
        margin: differences within it do not matter.
        p_adjusted: the p-value behind the verdict; Holm-adjusted after :func:`judge_together`, None without a test.
        reason: what decided or hindered a test, or None where a test decided.
        nan_seeds: seeds whose score became None or NaN.
        missing_seeds: seeds with a reference that were not run.
        higher_is_better: False for errors.
        allowed: how far the mean may lie from the reference's without a test, None without a floor.
        large: a change for the worse beyond it is large, None where none is.
    """

    verdict: Verdict
    difference: Difference
    alpha: float
    margin: float
    p_adjusted: float | None
    reason: Reason | None
    nan_seeds: tuple[int, ...] = ()
    missing_seeds: tuple[int, ...] = ()
    higher_is_better: bool = True
    allowed: float | None = None
    large: float | None = None

    @property
    def worsening(self) -> float:
        """How much worse the mean is, negative where it is better, 0 without one."""
        gap = self.difference.mean or 0.0
        return -gap if self.higher_is_better else gap


def judge(
    current: Scores,
    reference: Scores,
    *,
    alpha: float = 0.05,
    margin: float = 0.0,
    floor: Floor | None = None,
    large: float | None = None,
    higher_is_better: bool = True,
) -> Judgement:
    """Judge scores against a reference.

    1. A score that is None or NaN where the reference has a number, or on a seed that the reference does not know
       while it has numbers elsewhere, is WORSE.
    2. With at least two common seeds the paired t-test is made; else, with two scores on each side, Welch's.
       An interval within ``+-margin`` is SAME, whatever its p-value; else, where the difference is beyond the margin, p
       at most ``alpha`` is WORSE or BETTER by its sign. With the margin of 0 only identical scores are SAME.
    3. Beyond the margin and what the floor allows so many seeds, the difference of the means (over common seeds where
       there is one) is WORSE or BETTER without a test.
    4. What is left is PERHAPS_WORSE where it is worse by more than ``large`` and the margin, else UNCLEAR.

    The same difference over more seeds of the same or less spread never turns from WORSE into anything else.

    Args:
        current: scores by seed; None or NaN for a run that ended without a number.
        reference: scores by seed to compare with.
        alpha: two-sided level; the interval has coverage ``1 - alpha``.
        margin: largest difference that does not matter, at least 0.
        floor: what the mean is held to besides the test.
        large: change for the worse that is told although nothing decided, at least 0.
        higher_is_better: False for errors, which are worse where they rise.

    Raises:
        ValueError: ``alpha`` is not between 0 and 1, or a limit is negative or not a number.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha} is not between 0 and 1")
    if not margin >= 0 or not (large is None or large >= 0):
        raise ValueError("margin and large are not at least 0")
    known = finite(reference)
    difference = _difference(current, reference, 1 - alpha)
    judgement = Judgement(
        Verdict.UNCLEAR,
        difference,
        alpha,
        margin,
        difference.p,
        difference.reason,
        nan_seeds=_became_nan(current, reference),
        missing_seeds=tuple(seed for seed in known if seed not in current),
        higher_is_better=higher_is_better,
        allowed=None if floor is None or difference.mean is None else floor.allowed(difference.n),
        large=large,
    )
    return _decided(judgement)


def judge_together(judgements: Mapping[str, Judgement]) -> dict[str, Judgement]:
    """Holm-adjust the p-values of several judgements and decide anew.

    The probability of any false WORSE or BETTER by a test among methods that did not change is then at most ``alpha``.
    Verdicts without a test stand, as does SAME; intervals stay those of the single comparisons. Those without a test
    count in the correction: a second seed of one method must not make the others' p-values larger.

    Args:
        judgements: of :func:`judge` by method, all with the same ``alpha``.

    Raises:
        ValueError: their ``alpha`` differ.
    """
    if len({judgement.alpha for judgement in judgements.values()}) > 1:
        raise ValueError("judgements of different alpha")
    adjusted = holm([judgement.difference.p for judgement in judgements.values()], len(judgements))
    return {
        label: _decided(replace(judgement, p_adjusted=p, reason=judgement.difference.reason))
        for (label, judgement), p in zip(judgements.items(), adjusted, strict=True)
    }


def _difference(current: Scores, reference: Scores, confidence: float) -> Difference:
    paired = paired_difference(current, reference, confidence)
    if paired.p is not None:
        return paired
    welch = welch_difference(current, reference, confidence)
    return paired if welch.p is None and paired.mean is not None else welch


def _became_nan(current: Scores, reference: Scores) -> tuple[int, ...]:
    known = finite(reference)
    lost = sorted(seed for seed, value in current.items() if value is None or not math.isfinite(value))
    return tuple(seed for seed in lost if known and (seed in known or seed not in reference))


def _decided(judgement: Judgement) -> Judgement:
    """Return a judgement with the verdict of its adjusted p-value and limits, and what decided."""
    if judgement.nan_seeds:
        return replace(judgement, verdict=Verdict.WORSE, reason=Reason.BECAME_NAN)
    interval, gap, margin = judgement.difference.interval, judgement.difference.mean, judgement.margin
    if gap is None:
        return replace(judgement, verdict=Verdict.UNCLEAR)
    if interval is not None and -margin <= interval.low and interval.high <= margin:
        return replace(judgement, verdict=Verdict.SAME)
    verdict = Verdict.UNCLEAR
    if abs(gap) > margin:
        p, allowed, large = judgement.p_adjusted, judgement.allowed, judgement.large
        sign = Verdict.WORSE if judgement.worsening > 0 else Verdict.BETTER
        if p is not None and p <= judgement.alpha:
            return replace(judgement, verdict=sign)
        if allowed is not None and abs(gap) > allowed:
            return replace(judgement, verdict=sign, reason=Reason.FLOOR)
        if large is not None and judgement.worsening > large:
            verdict = Verdict.PERHAPS_WORSE
    return replace(judgement, verdict=verdict)
