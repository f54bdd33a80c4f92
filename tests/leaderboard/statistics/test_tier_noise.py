from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bench.leaderboard.significance import ALPHA, noise_model
from bench.leaderboard.statistics import tie_tiers

Boards = dict[str, dict[int, float]]


def equal_methods(n_methods: int, n_seeds: int, noisiest: float = 1.0) -> Callable[[np.random.Generator], Boards]:
    def draw(rng: np.random.Generator) -> Boards:
        scores = rng.normal(0.6, 0.01, size=(n_methods, n_seeds)) + rng.normal(0, 0.02, size=n_seeds)
        scores[0] += rng.normal(0, 0.01 * np.sqrt(noisiest**2 - 1), size=n_seeds)
        return {f"m{i}": dict(enumerate(map(float, own))) for i, own in enumerate(scores)}

    return draw


@pytest.mark.parametrize(("n_methods", "n_seeds"), [(3, 3), (6, 3), (6, 5)])
def test_equal_methods_get_more_than_one_tier_no_more_often_than_promised(n_methods: int, n_seeds: int) -> None:
    rng, draw, n_boards = np.random.default_rng(0), equal_methods(n_methods, n_seeds), 500
    boards = [draw(rng) for _ in range(n_boards)]
    split = sum(any(p.tier == 2 for p in tie_tiers(b, ALPHA, noise_model(b)).placings) for b in boards)
    assert split / n_boards <= ALPHA + 2 * np.sqrt(ALPHA * (1 - ALPHA) / n_boards)


def test_one_much_noisier_method_is_found_by_its_spread() -> None:
    rng, noisy = np.random.default_rng(0), equal_methods(6, 10, noisiest=5)
    chosen = [noise_model(noisy(rng)) for _ in range(100)]
    assert chosen.count("own") > 90
    alike = equal_methods(6, 10)
    assert [noise_model(alike(rng)) for _ in range(100)].count("pooled") > 80


def test_a_method_five_deviations_ahead_is_told_apart_with_three_seeds() -> None:
    rng, draw = np.random.default_rng(0), equal_methods(6, 3)
    found = 0
    for _ in range(100):
        board = draw(rng)
        board["best"] = {seed: board["m1"][seed] + 0.05 + rng.normal(0, 0.01) for seed in range(3)}
        tiers = tie_tiers(board, ALPHA, noise_model(board)).by_label
        found += tiers["best"].tier == 1 and any(placing.tier == 2 for placing in tiers.values())
    assert found > 80


@pytest.mark.parametrize(
    ("scores", "model"),
    [
        ({}, "pooled"),
        ({"a": {0: 0.5}, "b": {0: 0.6}, "c": {0: 0.7}}, "pooled"),
        ({"a": {0: 0.5, 1: 0.6}, "b": {0: 0.5, 1: 0.6}, "c": {0: 0.5, 1: 0.6}}, "pooled"),
        ({"a": {0: 0.5, 1: 0.6}, "b": {2: 0.5, 3: 0.6}, "c": {4: 0.5, 5: 0.6}}, "pooled"),
        ({"a": {0: 0.5, 1: 0.6}, "b": {0: 0.5, 1: 0.61}}, "pooled"),
    ],
)
def test_without_spreads_to_compare_one_level_serves_all(scores: Boards, model: str) -> None:
    assert noise_model(scores) == model
