from __future__ import annotations

import math

import numpy as np
import pytest

from bench.leaderboard.statistics import Floor, own_spread, typical_spread


@pytest.mark.parametrize(
    ("n", "share"), [((1, 1), 1), ((2, 2), 1 / math.sqrt(2)), ((4, 4), 1 / 2), ((1, 3), math.sqrt(2 / 3))]
)
def test_what_one_seed_may_move_narrows_with_the_standard_error(n: tuple[int, int], share: float) -> None:
    assert Floor(0.05).allowed(n) == pytest.approx(0.05 * share)
    assert Floor(0.05, 0.008).allowed(n) == pytest.approx(0.05 * share)
    assert Floor(0.05, 0.02).allowed(n) == pytest.approx(0.11 * share)


def test_a_wide_spread_excuses_no_collapse_but_what_one_seed_may_move() -> None:
    assert Floor(0.05, 0.1, most=0.2).allowed((1, 1)) == 0.2
    assert Floor(0.05, 0.1, most=0.2).allowed((16, 16)) == pytest.approx(0.1375)
    assert Floor(0.05, 0.1, most=0.01).allowed((1, 1)) == 0.05


def test_one_score_has_no_spread_and_rows_without_any_have_no_typical_one() -> None:
    assert own_spread([0.5]) is None
    assert own_spread([0.5, 0.6]) == pytest.approx(0.1 / math.sqrt(2))
    assert typical_spread([[0.5], [], [0.6]], 1e-3) is None
    assert typical_spread([], 1e-3) is None


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_typical_spread_of_normal_scores_is_theirs_whatever_the_number_of_seeds(n: int) -> None:
    rows = np.random.default_rng(n).normal(0.6, 0.01, (3000, n))
    assert typical_spread(rows.tolist(), 1e-9) == pytest.approx(0.01, rel=0.05)


def test_methods_that_spread_alike_have_that_spread() -> None:
    assert typical_spread([[0.60, 0.61], [0.50, 0.51], [0.55, 0.54]], 1e-3) == pytest.approx(0.01 / math.sqrt(2))


def test_one_noisy_method_hardly_moves_the_typical_spread_and_equal_seeds_do_not_make_it_zero() -> None:
    draw = np.random.default_rng(0)
    quiet = draw.normal(0.6, 0.01, (7, 3)).tolist()
    alone, with_noisy = typical_spread(quiet, 1e-3), typical_spread([*quiet, [0.2, 0.5, 0.8]], 1e-3)
    assert alone is not None
    assert with_noisy is not None
    assert with_noisy < 2 * alone
    assert (typical_spread([[0.5, 0.5], [0.6, 0.6]], 1e-3) or 0) > 0
    assert (typical_spread([*quiet, [0.5, 0.5, 0.5]], 1e-3) or 0) > alone / 2
