"""Whether scores are worse than those of a reference: the decision behind a check in CI."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from bench.leaderboard.statistics.multiple import holm
from bench.leaderboard.statistics.reasons import Reason
from bench.leaderboard.statistics.seeds import Difference, Scores, finite, paired_difference, welch_difference


class Verdict(StrEnum):
    """What a comparison with a reference says."""

    WORSE = "worse"
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


def judge(
    current: Scores,
    reference: Scores,
    *,
    alpha: float = 0.05,
    margin: float = 0.0,
    single_seed_threshold: float | None = None,
    higher_is_better: bool = True,
) -> Judgement:
    """Judge scores against a reference.

    1. A score that is None or NaN where the reference has a number, or on a seed that the reference does not know
       while it has numbers elsewhere, is WORSE.
    2. With at least two common seeds the paired t-test decides; else, with two scores on each side, Welch's.
       An interval within ``+-margin`` is SAME, whatever its p-value; else p at most ``alpha`` is WORSE or BETTER by
       the sign of the difference; else UNCLEAR. With the margin of 0 only identical scores are SAME.
    3. A single score on a side has no test: UNCLEAR, unless ``single_seed_threshold`` is given and the difference of
       the means (over common seeds where there is one) is larger.

    Args:
        current: scores by seed; None or NaN for a run that ended without a number.
        reference: scores by seed to compare with.
        alpha: two-sided level; the interval has coverage ``1 - alpha``.
        margin: largest difference that does not matter, at least 0.
        single_seed_threshold: difference that decides without a test, at least 0.
        higher_is_better: False for errors, which are worse where they rise.

    Raises:
        ValueError: ``alpha`` is not between 0 and 1, or a limit is negative or not a number.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha} is not between 0 and 1")
    if not margin >= 0 or not (single_seed_threshold is None or single_seed_threshold >= 0):
        raise ValueError("margin and single_seed_threshold are not at least 0")
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
    )
    if judgement.nan_seeds:
        return replace(judgement, verdict=Verdict.WORSE, reason=Reason.BECAME_NAN)
    if difference.p is not None:
        return replace(judgement, verdict=_verdict(judgement))
    gap = difference.mean
    if gap is not None and single_seed_threshold is not None and abs(gap) > single_seed_threshold:
        return replace(judgement, verdict=_by_sign(judgement, gap), reason=Reason.THRESHOLD)
    return judgement


def judge_together(judgements: Mapping[str, Judgement]) -> dict[str, Judgement]:
    """Holm-adjust the p-values of several judgements and decide anew.

    The probability of any false WORSE or BETTER among methods that did not change is then at most ``alpha``. Verdicts
    without a test stand, as does SAME; intervals stay those of the single comparisons.

    Args:
        judgements: of :func:`judge` by method, all with the same ``alpha``.

    Raises:
        ValueError: their ``alpha`` differ.
    """
    if len({judgement.alpha for judgement in judgements.values()}) > 1:
        raise ValueError("judgements of different alpha")
    adjusted = holm([judgement.difference.p for judgement in judgements.values()])
    together = {}
    for (label, judgement), p in zip(judgements.items(), adjusted, strict=True):
        changed = replace(judgement, p_adjusted=p)
        decided = p is not None and judgement.reason is None
        together[label] = replace(changed, verdict=_verdict(changed)) if decided else changed
    return together


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


def _verdict(judgement: Judgement) -> Verdict:
    interval, gap = judgement.difference.interval, judgement.difference.mean
    if interval is None or gap is None or judgement.p_adjusted is None:
        return Verdict.UNCLEAR
    if -judgement.margin <= interval.low and interval.high <= judgement.margin:
        return Verdict.SAME
    return _by_sign(judgement, gap) if judgement.p_adjusted <= judgement.alpha else Verdict.UNCLEAR


def _by_sign(judgement: Judgement, gap: float) -> Verdict:
    fell = gap < 0 if judgement.higher_is_better else gap > 0
    return Verdict.WORSE if fell else Verdict.BETTER
