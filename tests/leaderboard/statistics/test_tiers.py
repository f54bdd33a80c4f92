from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.leaderboard.statistics import Reason, Tiers, holm, t_test_power, tie_tiers
from bench.leaderboard.statistics.tiers import Variance

VARIANCES: list[Variance] = ["own", "pooled"]


def named(table: np.ndarray) -> dict[str, dict[int, float | None]]:
    return {f"m{row}": {seed: float(v) for seed, v in enumerate(values)} for row, values in enumerate(table)}


def numbers(result: Tiers) -> dict[str, int | None]:
    return {placing.label: placing.tier for placing in result.placings}


def three_levels() -> dict[str, dict[int, float | None]]:
    noise = np.random.default_rng(0).normal(0, 0.001, (5, 5))
    return named(np.array([0.5, 0.8, 0.7, 0.8, 0.5])[:, None] + noise)


def share_with_several_tiers(tables: np.ndarray, variance: Variance = "own") -> float:
    return float(
        np.mean([max(p.tier or 0 for p in tie_tiers(named(t), variance=variance).placings) > 1 for t in tables])
    )


@pytest.mark.parametrize("variance", VARIANCES)
def test_clear_levels_make_tiers_and_ties_within_them(variance: Variance) -> None:
    result = tie_tiers(three_levels(), variance=variance)
    assert numbers(result) == {"m1": 1, "m3": 1, "m2": 2, "m0": 3, "m4": 3}
    assert [placing.tier for placing in result.placings] == [1, 1, 2, 3, 3]
    placings = result.by_label
    assert (placings["m1"].beaten_by, placings["m1"].p) == (None, None)
    assert placings["m2"].beaten_by in {"m1", "m3"}
    assert placings["m0"].beaten_by == "m2"
    assert all(0 <= (placings[label].p or 0) <= 0.05 for label in ("m0", "m2", "m4"))


def test_comparisons_are_scipys_with_holm_over_all_pairs() -> None:
    methods = named(np.random.default_rng(4).normal(0.5, 0.1, (4, 5)))
    comparisons = tie_tiers(methods).comparisons
    assert len(comparisons) == 6
    raw = []
    for pair in comparisons:
        a, b = (list(methods[label].values()) for label in (pair.first, pair.second))
        raw.append(float(stats.ttest_rel(a, b).pvalue))
        assert pair.p == pytest.approx(raw[-1])
        assert pair.mean == pytest.approx(np.mean(a) - np.mean(b))
    assert [pair.p_adjusted for pair in comparisons] == pytest.approx(holm(raw))


def test_the_pooled_noise_is_the_residual_of_the_two_way_layout() -> None:
    table = np.random.default_rng(4).normal(0.5, 0.1, (4, 5))
    residuals = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    noise = np.sqrt((residuals**2).sum() / 12)
    for pair in tie_tiers(named(table), variance="pooled").comparisons:
        t = (pair.mean or 0) / (noise * np.sqrt(2 / 5))
        assert pair.p == pytest.approx(2 * stats.t.sf(abs(t), 12))


@pytest.mark.parametrize("variance", VARIANCES)
def test_two_methods_are_the_plain_paired_test(variance: Variance) -> None:
    table = np.random.default_rng(8).normal(0.5, 0.1, (2, 6))
    (pair,) = tie_tiers(named(table), variance=variance).comparisons
    assert pair.p == pytest.approx(stats.ttest_rel(*table).pvalue)


def test_only_the_common_seeds_of_a_pair_count() -> None:
    a: dict[int, float | None] = {0: 0.5, 1: 0.61, 2: 0.7, 3: None, 4: math.nan}
    b: dict[int, float | None] = {1: 0.5, 2: 0.55, 3: 0.9, 4: 0.9, 9: 0.1}
    (pair,) = tie_tiers({"a": a, "b": b}).comparisons
    assert (pair.n, pair.mean) == (2, pytest.approx((0.11 + 0.15) / 2))
    assert pair.p == pytest.approx(stats.ttest_rel([0.61, 0.7], [0.5, 0.55]).pvalue)


@pytest.mark.parametrize("variance", VARIANCES)
def test_single_seeds_share_a_tier_with_a_reason(variance: Variance) -> None:
    result = tie_tiers({"a": {0: 0.9}, "b": {0: 0.1}, "c": {1: 0.5}}, variance=variance)
    assert numbers(result) == {"a": 1, "b": 1, "c": 1}
    reasons = {placing.label: placing.reason for placing in result.placings}
    assert reasons == {"a": Reason.ONE_SEED, "b": Reason.ONE_SEED, "c": Reason.NO_COMMON_SEED}
    assert all(pair.p is None and pair.p_adjusted is None for pair in result.comparisons)


def test_a_lucky_single_seed_drags_nobody_down_or_up() -> None:
    methods = three_levels()
    without = numbers(tie_tiers(methods))
    result = tie_tiers({**methods, "lucky": {0: 0.99}})
    assert numbers(result) == {**without, "lucky": 1}
    assert result.by_label["lucky"].reason is Reason.ONE_SEED


def test_a_method_without_a_score_has_no_tier() -> None:
    result = tie_tiers({"a": {0: 0.5, 1: 0.6}, "b": {0: None}, "c": {}})
    assert numbers(result) == {"a": 1, "b": None, "c": None}
    assert [placing.reason for placing in result.placings] == [None, Reason.NO_SCORE, Reason.NO_SCORE]
    assert tie_tiers({}).placings == ()


@pytest.mark.parametrize("variance", VARIANCES)
def test_seeds_that_change_nothing_tell_equal_from_different(variance: Variance) -> None:
    result = tie_tiers(named(np.array([[0.1 + 0.2] * 3, [0.3] * 3, [0.31] * 3])), variance=variance)
    assert numbers(result) == {"m2": 1, "m0": 2, "m1": 2}


def test_methods_that_beat_each_other_in_a_circle_share_a_tier() -> None:
    def near(value: float, first: int) -> dict[int, float | None]:
        return {first + seed: value + 1e-5 * seed**2 for seed in range(3)}

    rock = {**near(0.6, 0), **near(0.5, 20)}
    paper = {**near(0.5, 0), **near(0.6, 10)}
    scissors = {**near(0.5, 10), **near(0.6, 20)}
    wobble = {seed: (v or 0) + 1e-4 * (seed % 2) for seed, v in rock.items()}
    result = tie_tiers({"rock": wobble, "paper": paper, "scissors": scissors})
    assert all(pair.p_adjusted is not None and pair.p_adjusted <= 0.05 for pair in result.comparisons)
    assert numbers(result) == {"rock": 1, "paper": 1, "scissors": 1}


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 6), st.integers(2, 5), st.integers(0, 10**6), st.floats(-1, 1), st.sampled_from(VARIANCES))
def test_order_and_shifts_of_a_seed_change_nothing(k: int, n: int, seed: int, shift: float, variance: Variance) -> None:
    generator = np.random.default_rng(seed)
    table = generator.normal(0.5, 0.01, (k, n)) + generator.choice([0.0, 0.2, 0.4], (k, 1))
    methods = named(table)
    result = tie_tiers(methods, variance=variance)
    shuffled = {
        label: dict(reversed(methods[label].items())) for label in generator.permutation(list(methods)).tolist()
    }
    assert tie_tiers(shuffled, variance=variance) == result
    moved = tie_tiers(named(table + shift + generator.normal(0, 1, n)), variance=variance)
    assert [pair.p for pair in moved.comparisons] == pytest.approx([pair.p for pair in result.comparisons], rel=1e-6)
    tiers = numbers(result)
    for pair in result.comparisons:  # the rule, restated: nobody stands above one who is significantly better
        if pair.p_adjusted is not None and pair.p_adjusted <= 0.05:
            better, worse = (pair.first, pair.second) if (pair.mean or 0) > 0 else (pair.second, pair.first)
            assert (tiers[better] or 0) < (tiers[worse] or 0)


@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize(("k", "n"), [(2, 3), (3, 2), (5, 5), (10, 10)])
def test_equal_methods_make_more_than_one_tier_no_more_often_than_alpha(k: int, n: int, variance: Variance) -> None:
    generator = np.random.default_rng(100 * k + n)
    tables = generator.normal(0.7, 0.01, (800, k, n)) + generator.normal(0, 0.03, (800, 1, n))
    assert share_with_several_tiers(tables, variance) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / len(tables))


def test_comparing_with_the_best_alone_would_make_too_many_tiers() -> None:
    tables = np.random.default_rng(0).normal(0.7, 0.01, (1000, 10, 10))
    found = 0
    for table in tables:
        best = table[table.mean(axis=1).argmax()]
        p = stats.ttest_1samp(best - table, 0, axis=1).pvalue
        found += bool(np.nanmin(p) * 9 <= 0.05)
    assert found / len(tables) > 0.1


@pytest.mark.parametrize("variance", VARIANCES)
def test_missing_seeds_of_equal_methods_make_no_more_tiers(variance: Variance) -> None:
    generator = np.random.default_rng(11)
    tables = generator.normal(0.7, 0.01, (1000, 5, 5)) + generator.normal(0, 0.03, (1000, 1, 5))
    tables[generator.random(tables.shape) < 0.25] = np.nan
    assert share_with_several_tiers(tables, variance) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / len(tables))


def test_one_noisy_method_among_equals_is_no_reason_for_tiers() -> None:
    noise = np.array([1, 1, 1, 1, 5])[:, None]
    tables = 0.7 + 0.01 * noise * np.random.default_rng(12).normal(size=(1200, 5, 3))
    assert share_with_several_tiers(tables) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / len(tables))


@pytest.mark.parametrize("n", [3, 5, 10])
def test_a_planted_difference_is_found_as_often_as_the_power_says(n: int) -> None:
    tables = np.random.default_rng(n).normal(0.7, 0.01, (1200, 2, n)) + np.array([0.02, 0.0])[:, None]
    expected = t_test_power(0.02, 0.01 * math.sqrt(2), n)
    assert share_with_several_tiers(tables) == pytest.approx(expected, abs=0.045)


def test_pooling_finds_with_three_seeds_what_single_pairs_cannot() -> None:
    tables = np.random.default_rng(9).normal(0.7, 0.01, (150, 6, 3)) + np.array([0.04, 0, 0, 0, 0, 0])[:, None]
    own, pooled = (share_with_several_tiers(tables, variance) for variance in VARIANCES)
    assert own < 0.5 < 0.9 < pooled


def test_noise_on_the_baseline_alone_ties() -> None:
    generator = np.random.default_rng(3)
    baseline = generator.normal(0.7, 0.03, 5)
    result = tie_tiers(named(np.array([baseline, *(baseline + generator.normal(0, 0.005, (4, 5)))])))
    assert set(numbers(result).values()) == {1}


@pytest.mark.parametrize("alpha", [0, 1, 5])
def test_an_alpha_that_is_none_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        tie_tiers({}, alpha)


@pytest.mark.parametrize("variance", VARIANCES)
def test_rounding_is_not_a_difference(variance: Variance) -> None:
    scores = np.array([0.61, 0.62, 0.63, 0.64, 0.65])
    rounded = scores + np.spacing(scores) * [1, 2, 1, 2, 1]
    assert stats.ttest_rel(rounded, scores).pvalue < 0.01
    result = tie_tiers(named(np.array([scores, rounded])), variance=variance)
    assert [pair.p for pair in result.comparisons] == [1.0]
    assert set(numbers(result).values()) == {1}
