from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.leaderboard.statistics import (
    Difference,
    Interval,
    Reason,
    mean_over_seeds,
    paired_difference,
    welch_difference,
)

SCORES = st.lists(st.floats(0.01, 1.0), min_size=2, max_size=10)


def by_seed(values: Sequence[float] | np.ndarray, first: int = 0) -> dict[int, float | None]:
    return {first + seed: float(value) for seed, value in enumerate(values)}


def ends(interval: Interval | None) -> tuple[float, float]:
    assert interval is not None
    return interval.low, interval.high


@pytest.mark.parametrize("n", [2, 3, 5, 10])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_interval_of_a_mean_is_scipys(n: int, confidence: float) -> None:
    values = np.random.default_rng(n).normal(0.7, 0.01, n)
    result = mean_over_seeds(by_seed(values), confidence)
    assert ends(result.interval) == pytest.approx(stats.ttest_1samp(values, 0).confidence_interval(confidence))
    assert (result.n, result.mean, result.sd) == (n, pytest.approx(values.mean()), pytest.approx(values.std(ddof=1)))


def test_the_interval_of_three_scores_worked_by_hand() -> None:
    result = mean_over_seeds({0: 1.0, 1: 2.0, 2: 3.0})
    half = 4.302653 / math.sqrt(3)  # t(0.975, 2) from a printed table
    assert ends(result.interval) == pytest.approx((2 - half, 2 + half), abs=1e-6)


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_the_paired_test_is_scipys(n: int) -> None:
    generator = np.random.default_rng(n)
    a, b = generator.normal(0.7, 0.02, (2, n))
    result, expected = paired_difference(by_seed(a), by_seed(b)), stats.ttest_rel(a, b)
    assert result.n == (n, n)
    assert result.p == pytest.approx(expected.pvalue)
    assert ends(result.interval) == pytest.approx(expected.confidence_interval(0.95))


@pytest.mark.parametrize("n", [2, 3, 10])
def test_welchs_test_of_equal_sizes_is_scipys(n: int) -> None:
    generator = np.random.default_rng(n)
    a, b = generator.normal(0.7, 0.02, n), generator.normal(0.6, 0.05, n)
    result, expected = welch_difference(by_seed(a), by_seed(b, 50)), stats.ttest_ind(a, b, equal_var=False)
    assert result.n == (n, n)
    assert result.p == pytest.approx(expected.pvalue)
    assert ends(result.interval) == pytest.approx(expected.confidence_interval(0.95))


@pytest.mark.parametrize(("n", "m"), [(2, 3), (2, 10), (3, 5)])
def test_welchs_test_of_unequal_sizes_holds_its_level_either_way_around(n: int, m: int) -> None:
    generator = np.random.default_rng(7)
    draws = zip(generator.normal(0.7, 0.02, (2000, n)), generator.normal(0.7, 0.02, (2000, m)), strict=True)
    found = [(welch_difference(by_seed(a), by_seed(b)), welch_difference(by_seed(b), by_seed(a))) for a, b in draws]
    assert all(one.p == pytest.approx(other.p) for one, other in found)
    assert np.mean([one.p is not None and one.p <= 0.05 for one, _ in found]) <= 0.05


def exactly(mean: float, sd: float, n: int) -> dict[int, float | None]:
    """Return n scores of that mean and standard deviation."""
    steps = np.arange(n) - (n - 1) / 2
    return by_seed(mean + steps / steps.std(ddof=1) * sd)


@pytest.mark.parametrize("sd", [(0.02, 0.02), (0.01, 0.04), (0.04, 0.01)])
def test_seeds_on_one_side_alone_never_make_a_difference_less_certain(sd: tuple[float, float]) -> None:
    p_values = [
        welch_difference(exactly(0.6, sd[0], n), exactly(0.7, sd[1], m)).p or 0.0
        for n, m in [(2, 2), (3, 2), (10, 2), (10, 3)]
    ]
    assert all(after <= before * (1 + 1e-9) for before, after in pairwise(p_values))


def test_one_seed_has_no_interval_and_no_p() -> None:
    single = mean_over_seeds({4: 0.7, 5: None, 6: math.nan})
    assert (single.n, single.mean, single.sd, single.interval, single.reason) == (1, 0.7, None, None, Reason.ONE_SEED)
    gain = paired_difference({0: 0.75, 1: 0.8}, {0: 0.5, 2: 0.6})
    assert (gain.n, gain.mean, gain.interval, gain.p, gain.reason) == ((1, 1), 0.25, None, None, Reason.ONE_SEED)
    apart = welch_difference({0: 0.75}, {1: 0.5, 2: 0.5})
    assert (apart.mean, apart.interval, apart.p, apart.reason) == (0.25, None, None, Reason.ONE_SEED)


def test_nothing_to_compare_is_said() -> None:
    assert mean_over_seeds({0: None}).reason is Reason.NO_SCORE
    assert paired_difference({0: 0.5}, {1: 0.5}).reason is Reason.NO_COMMON_SEED
    assert paired_difference({}, {1: 0.5}).reason is Reason.NO_SCORE
    assert welch_difference({0: 0.5}, {1: math.inf}).reason is Reason.NO_SCORE
    assert paired_difference({0: 0.5}, {1: 0.5}).mean is None


@pytest.mark.parametrize("compare", [paired_difference, welch_difference])
def test_identical_differences_have_width_zero_and_a_certain_p(compare: Callable[..., Difference]) -> None:
    same = compare({0: 0.1, 1: 0.1, 2: 0.1}, {0: 0.1, 1: 0.1, 2: 0.1})
    assert (same.mean, ends(same.interval), same.p) == (0.0, (0.0, 0.0), 1.0)
    rounded = compare({0: 0.1 + 0.2, 1: 0.1 + 0.2}, {0: 0.3, 1: 0.3})  # 0.30000000000000004
    assert (rounded.mean, rounded.p) == (0.0, 1.0)
    shifted = compare({0: 0.6, 1: 0.6}, {0: 0.5, 1: 0.5})
    assert ends(shifted.interval) == pytest.approx((0.1, 0.1))
    assert shifted.p == 0.0


def test_a_shift_that_rounds_differently_on_each_seed_is_still_one_shift() -> None:
    baseline = by_seed([0.1, 0.2, 0.3, 0.7])
    result = paired_difference({seed: value + 0.1 for seed, value in baseline.items() if value}, baseline)
    assert (result.sd, result.p) == (0.0, 0.0)


@given(SCORES)
def test_identical_scores_never_give_nan(values: list[float]) -> None:
    for compare in (paired_difference, welch_difference):
        result = compare(by_seed(values), by_seed(values))
        assert result.mean == 0
        assert result.p == 1
        assert all(math.isfinite(end) for end in ends(result.interval))


@given(SCORES, st.floats(-0.5, 0.5))
def test_order_and_shift_change_nothing_and_swapping_changes_the_sign(values: list[float], shift: float) -> None:
    generator = np.random.default_rng(len(values))
    baseline = dict(enumerate(generator.normal(0.5, 0.1, len(values))))
    scores = by_seed(values)
    result, swapped = paired_difference(scores, baseline), paired_difference(baseline, scores)
    assert result.p == pytest.approx(swapped.p)
    assert ends(result.interval) == pytest.approx([-end for end in reversed(ends(swapped.interval))])
    backwards = paired_difference(dict(reversed(scores.items())), baseline)
    assert backwards == result
    moved = paired_difference(
        {seed: value + shift for seed, value in scores.items() if value is not None},
        {seed: value + shift for seed, value in baseline.items()},
    )
    assert ends(moved.interval) == pytest.approx(ends(result.interval), abs=1e-9)


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_the_interval_covers_the_true_mean_as_often_as_it_claims(n: int) -> None:
    draws = np.random.default_rng(20 + n).normal(0.7, 0.01, (2000, n))
    covered = [low <= 0.7 <= high for low, high in (ends(mean_over_seeds(by_seed(row)).interval) for row in draws)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_the_interval_of_paired_gains_covers_whatever_the_seeds_share(n: int) -> None:
    generator = np.random.default_rng(40 + n)
    covered = []
    for _ in range(2000):
        seeds = generator.normal(0, 0.05, n)
        a, b = 0.72 + seeds + generator.normal(0, 0.01, n), 0.7 + seeds + generator.normal(0, 0.02, n)
        low, high = ends(paired_difference(by_seed(a), by_seed(b)).interval)
        covered.append(low <= 0.02 <= high)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -1.0, math.nan])
def test_a_confidence_that_is_none_is_refused(confidence: float) -> None:
    for scores in ({0: 0.5}, {0: 0.5, 1: 0.6}):
        with pytest.raises(ValueError, match="confidence"):
            mean_over_seeds(scores, confidence)
        with pytest.raises(ValueError, match="confidence"):
            paired_difference(scores, scores, confidence)
        with pytest.raises(ValueError, match="confidence"):
            welch_difference(scores, scores, confidence)
