from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.leaderboard.statistics import Floor, Judgement, Reason, Verdict, judge, judge_together, t_test_power

REFERENCE = {0: 0.700, 1: 0.705, 2: 0.695, 3: 0.702, 4: 0.698}


NARROW_AND_WIDE = [(0.0001, -0.0001, 0.0, 0.0001, -0.0001), (0.001, -0.001, 0.0, 0.0005, -0.0005)]


def moved(by: float, noise: float = 0.001) -> dict[int, float | None]:
    return {seed: value + by + noise * (-1) ** seed for seed, value in REFERENCE.items()}


def rows(values: np.ndarray, first: int = 0) -> dict[int, float | None]:
    return {first + seed: float(value) for seed, value in enumerate(values)}


def share_told(judgements: list[Judgement]) -> float:
    return float(np.mean([judgement.verdict is not Verdict.UNCLEAR for judgement in judgements]))


@pytest.mark.parametrize(("by", "verdict"), [(-0.02, Verdict.WORSE), (0.02, Verdict.BETTER), (0.0001, Verdict.UNCLEAR)])
def test_common_seeds_are_judged_in_pairs(by: float, verdict: Verdict) -> None:
    result = judge(moved(by), REFERENCE)
    assert (result.verdict, result.difference.test, result.reason) == (verdict, "paired", None)
    assert result.p_adjusted == pytest.approx(
        stats.ttest_rel(list(moved(by).values()), list(REFERENCE.values())).pvalue
    )


def test_other_seeds_are_judged_by_welch() -> None:
    current = {seed + 50: value for seed, value in moved(-0.05).items()}
    result = judge(current, REFERENCE)
    assert (result.verdict, result.difference.test) == (Verdict.WORSE, "welch")
    assert result.difference.p == pytest.approx(
        stats.ttest_ind(list(current.values()), list(REFERENCE.values()), equal_var=False).pvalue
    )
    assert result.missing_seeds == (0, 1, 2, 3, 4)


def test_one_common_seed_is_not_enough_for_pairs() -> None:
    result = judge({4: 0.6, 5: 0.61, 6: 0.605}, REFERENCE)
    assert (result.difference.test, result.difference.n, result.verdict) == ("welch", (3, 5), Verdict.WORSE)


@pytest.mark.parametrize("bad", [None, math.nan, math.inf])
@pytest.mark.parametrize("seed", [0, 9])
def test_a_score_that_became_nan_is_worse_however_good_the_others_are(bad: float | None, seed: int) -> None:
    result = judge({**moved(0.1), seed: bad}, REFERENCE, floor=Floor(1.0))
    assert (result.verdict, result.reason, result.nan_seeds) == (Verdict.WORSE, Reason.BECAME_NAN, (seed,))


def test_nan_that_was_nan_before_is_no_news() -> None:
    result = judge({**moved(0.0001), 9: None}, {**REFERENCE, 9: math.nan})
    assert (result.verdict, result.nan_seeds) == (Verdict.UNCLEAR, ())
    both = judge({0: None}, {0: None})
    assert (both.verdict, both.reason) == (Verdict.UNCLEAR, Reason.NO_SCORE)


def test_every_score_nan_is_worse() -> None:
    result = judge({0: None, 1: math.nan}, {0: 0.5, 1: 0.6})
    assert (result.verdict, result.nan_seeds, result.difference.p) == (Verdict.WORSE, (0, 1), None)


def test_nothing_run_is_unclear_and_says_what_is_missing() -> None:
    result = judge({}, REFERENCE)
    assert (result.verdict, result.reason) == (Verdict.UNCLEAR, Reason.NO_SCORE)
    assert result.missing_seeds == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("current", "threshold", "verdict", "reason"),
    [
        ({0: 0.1}, None, Verdict.UNCLEAR, Reason.ONE_SEED),
        ({0: 0.65}, 0.02, Verdict.WORSE, Reason.FLOOR),
        ({0: 0.75}, 0.02, Verdict.BETTER, Reason.FLOOR),
        ({0: 0.71}, 0.02, Verdict.UNCLEAR, Reason.ONE_SEED),
        ({7: 0.65}, 0.02, Verdict.WORSE, Reason.FLOOR),
    ],
)
def test_a_single_seed_is_judged_by_the_floor_alone(
    current: dict[int, float | None], threshold: float | None, verdict: Verdict, reason: Reason
) -> None:
    result = judge(current, REFERENCE, floor=None if threshold is None else Floor(threshold))
    assert (result.verdict, result.reason, result.p_adjusted) == (verdict, reason, None)


def test_a_single_common_seed_is_compared_with_its_own_reference() -> None:
    result = judge({1: 0.706}, REFERENCE, floor=Floor(0.005))
    assert result.difference.mean == pytest.approx(0.001)
    assert result.verdict is Verdict.UNCLEAR


@pytest.mark.parametrize("by", [-0.04, 0.04])
def test_a_mean_beyond_the_floor_needs_no_test_however_many_seeds(by: float) -> None:
    current = {0: 0.700 + by + 0.05, 1: 0.705 + by - 0.05}
    within, beyond = (judge(current, REFERENCE, floor=Floor(one_seed)) for one_seed in (0.0570, 0.0560))
    assert (within.verdict, within.reason) == (Verdict.UNCLEAR, None)
    assert within.allowed == pytest.approx(0.0570 / math.sqrt(2))
    assert (beyond.verdict, beyond.reason) == (Verdict.WORSE if by < 0 else Verdict.BETTER, Reason.FLOOR)
    assert judge(current, REFERENCE, floor=Floor(0.056), margin=0.041).verdict is Verdict.UNCLEAR


def test_a_test_that_finds_a_difference_needs_no_floor() -> None:
    result = judge(moved(-0.02), REFERENCE, floor=Floor(1.0))
    assert (result.verdict, result.reason) == (Verdict.WORSE, None)


@pytest.mark.parametrize(("higher", "by"), [(True, -0.04), (False, 0.04)])
def test_a_large_change_for_the_worse_that_nothing_decides_is_perhaps_worse(higher: bool, by: float) -> None:
    def verdict(by: float, large: float, margin: float = 0.0) -> Verdict:
        current = {0: 0.700 + by + 0.05, 1: 0.705 + by - 0.05}
        return judge(current, REFERENCE, large=large, margin=margin, higher_is_better=higher).verdict

    assert verdict(by, 0.039) is Verdict.PERHAPS_WORSE
    assert verdict(by, 0.041) is Verdict.UNCLEAR
    assert verdict(-by, 0.039) is Verdict.UNCLEAR
    assert verdict(by, 0.039, margin=0.041) is Verdict.UNCLEAR


def test_a_mean_within_the_margin_is_never_worse() -> None:
    narrow, wide = ({seed: REFERENCE[seed] - 0.001 + step for seed, step in enumerate(s)} for s in NARROW_AND_WIDE)
    assert judge(narrow, REFERENCE, margin=0.0012).verdict is Verdict.SAME
    assert judge(wide, REFERENCE, alpha=0.3, margin=0.0012).verdict is Verdict.UNCLEAR


def test_identical_scores_are_the_same_and_a_margin_widens_that() -> None:
    identical = judge(REFERENCE, REFERENCE)
    assert (identical.verdict, identical.p_adjusted) == (Verdict.SAME, 1.0)
    assert judge(moved(-0.0005, 0.0), REFERENCE).verdict is Verdict.WORSE
    assert judge(moved(-0.0005, 0.0), REFERENCE, margin=0.001).verdict is Verdict.SAME
    assert judge(moved(-0.0001), REFERENCE, margin=0.005).verdict is Verdict.SAME
    assert judge(moved(-0.02), REFERENCE, margin=0.005).verdict is Verdict.WORSE


def test_several_methods_are_corrected_together() -> None:
    generator = np.random.default_rng(1)
    noise = generator.normal(0, 0.001, (4, 5))
    shifts = [-0.0013, -0.02, 0.0, 0.0]
    single = {
        f"m{i}": judge(rows(np.array(list(REFERENCE.values())) + shifts[i] + noise[i] - noise[i].mean()), REFERENCE)
        for i in range(4)
    }
    assert [j.verdict for j in single.values()][:2] == [Verdict.WORSE, Verdict.WORSE]
    nan = judge({**REFERENCE, 0: None}, REFERENCE)
    lone = judge({0: 0.1}, REFERENCE, floor=Floor(0.1))
    together = judge_together({**single, "nan": nan, "lone": lone})
    assert list(together) == ["m0", "m1", "m2", "m3", "nan", "lone"]
    assert together["m0"].verdict is Verdict.UNCLEAR
    assert together["m1"].verdict is Verdict.WORSE
    assert (together["nan"].verdict, together["lone"].verdict) == (Verdict.WORSE, Verdict.WORSE)
    assert together["m0"].difference == single["m0"].difference
    assert (together["m0"].p_adjusted or 0) > (single["m0"].p_adjusted or 0)


def test_judging_together_alone_changes_nothing() -> None:
    for current in (moved(-0.02), moved(0.0001), dict(REFERENCE), {0: 0.5}, {}):
        result = judge(current, REFERENCE)
        assert judge_together({"only": result}) == {"only": result}
    assert judge_together({}) == {}


def test_judgements_of_different_levels_are_not_mixed() -> None:
    with pytest.raises(ValueError, match="alpha"):
        judge_together({"a": judge({}, {}), "b": judge({}, {}, alpha=0.01)})


@given(st.lists(st.floats(0.1, 0.9), min_size=2, max_size=6), st.lists(st.floats(0.1, 0.9), min_size=2, max_size=6))
def test_swapping_turns_the_verdict(a: list[float], b: list[float]) -> None:
    turned = {Verdict.WORSE: Verdict.BETTER, Verdict.BETTER: Verdict.WORSE}
    for first in (0, 100):
        here = judge(rows(np.array(a)), rows(np.array(b), first))
        there = judge(rows(np.array(b), first), rows(np.array(a)))
        assert there.verdict is turned.get(here.verdict, here.verdict)
        assert here.p_adjusted == pytest.approx(there.p_adjusted)
        assert here.p_adjusted is not None
        assert math.isfinite(here.p_adjusted)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 3), (2, 10), (3, 5), (10, 3)])
@pytest.mark.parametrize("first", [0, 100])
def test_identical_arms_are_told_apart_no_more_often_than_alpha(n: int, m: int, first: int) -> None:
    generator = np.random.default_rng(10 * n + m)
    draws = generator.normal(0.7, 0.01, (1000, n)), generator.normal(0.7, 0.01, (1000, m))
    judged = [judge(rows(a), rows(b, first)) for a, b in zip(*draws, strict=True)]
    assert share_told(judged) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1000)


def test_any_of_many_unchanged_methods_is_told_apart_no_more_often_than_alpha() -> None:
    draws = np.random.default_rng(6).normal(0.7, 0.01, (600, 2, 5, 3))
    runs = []
    for current, reference in draws:
        together = judge_together({str(i): judge(rows(current[i]), rows(reference[i])) for i in range(5)})
        runs.append(any(judgement.verdict is not Verdict.UNCLEAR for judgement in together.values()))
    assert np.mean(runs) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 600)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_a_planted_loss_is_found_as_often_as_the_power_says(n: int) -> None:
    generator = np.random.default_rng(n)
    references = generator.normal(0.7, 0.01, (1200, n))
    currents = references - 0.02 + generator.normal(0, 0.01, (1200, n))
    judged = [judge(rows(a), rows(b)) for a, b in zip(currents, references, strict=True)]
    assert share_told(judged) == pytest.approx(t_test_power(0.02, 0.01, n), abs=0.045)
    assert {judgement.verdict for judgement in judged} <= {Verdict.WORSE, Verdict.UNCLEAR}


@pytest.mark.parametrize("options", [{"alpha": 0.0}, {"margin": -1.0}, {"margin": math.nan}])
def test_impossible_limits_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="not"):
        judge({}, {}, **options)


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="large"):
        judge({}, {}, large=-0.1)


def test_a_second_seed_of_one_method_does_not_weaken_what_is_said_of_the_others() -> None:
    fallen = judge({0: 0.64, 1: 0.652, 2: 0.641}, REFERENCE)
    one, two = judge({0: 0.7}, REFERENCE), judge({0: 0.7, 1: 0.706}, REFERENCE)
    before, after = (judge_together({"fallen": fallen, "other": other})["fallen"] for other in (one, two))
    assert before.p_adjusted == after.p_adjusted
