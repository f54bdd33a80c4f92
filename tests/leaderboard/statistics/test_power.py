from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bench.leaderboard.statistics import detectable_difference, t_test_power


@pytest.mark.parametrize(("n", "in_sd"), [(3, 3.06), (5, 2.01), (10, 1.33)])
def test_two_sample_figures_found_by_simulation(n: int, in_sd: float) -> None:
    assert detectable_difference(1.0, n, design="two-sample") == pytest.approx(in_sd, abs=0.02)


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("design", ["paired", "two-sample"])
def test_the_test_finds_the_detectable_difference_in_four_of_five_simulations(n: int, design: str) -> None:
    generator = np.random.default_rng(n)
    difference = detectable_difference(0.02, n, design=design)  # type: ignore[arg-type]
    assert difference is not None
    first = generator.normal(difference, 0.02, (20_000, n))
    if design == "paired":
        p = stats.ttest_1samp(first, 0, axis=1).pvalue
    else:
        p = stats.ttest_ind(first, generator.normal(0, 0.02, first.shape), axis=1).pvalue
    assert np.mean(p <= 0.05) == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("n", [2, 3, 5, 10])
@pytest.mark.parametrize("effect", [0.1, 1.0, 1.5])
def test_power_is_that_of_the_noncentral_t(n: int, effect: float) -> None:
    critical, shift = stats.t.isf(0.025, n - 1), effect * np.sqrt(n)
    expected = stats.nct.sf(critical, n - 1, shift) + stats.nct.cdf(-critical, n - 1, shift)
    assert t_test_power(effect, 1.0, n) == pytest.approx(expected, abs=1e-9)
    assert t_test_power(-effect, 1.0, n) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("n", [2, 3, 10])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 45, 0.05 / 1000])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_power_at_the_detectable_difference_is_the_power_asked_for(n: int, alpha: float, power: float) -> None:
    difference = detectable_difference(0.3, n, alpha, power)
    assert difference is not None
    assert t_test_power(difference, 0.3, n, alpha) == pytest.approx(power, abs=1e-6)


def test_more_seeds_and_less_noise_show_smaller_differences() -> None:
    found = [detectable_difference(0.01, n) for n in (2, 3, 4, 5, 10, 30)]
    assert found == sorted(found, reverse=True)  # type: ignore[type-var]
    assert detectable_difference(0.02, 5) == pytest.approx(2 * (detectable_difference(0.01, 5) or 0))


def test_without_repetition_or_noise() -> None:
    assert detectable_difference(0.01, 1) is None
    assert t_test_power(0.1, 0.01, 1) is None
    assert detectable_difference(0.0, 3) == 0.0
    assert t_test_power(0.1, 0.0, 3) == 1.0
    assert t_test_power(0.0, 0.0, 3) == 0.05
    assert t_test_power(0.0, 1.0, 3) == pytest.approx(0.05)


@pytest.mark.parametrize(("sd", "alpha", "power"), [(-1, 0.05, 0.8), (1, 0.0, 0.8), (1, 0.05, 0.05), (1, 0.05, 1.0)])
def test_impossible_questions_are_refused(sd: float, alpha: float, power: float) -> None:
    with pytest.raises(ValueError, match="not"):
        detectable_difference(sd, 3, alpha, power)


def test_power_of_impossible_questions_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        t_test_power(1.0, -1.0, 3)
