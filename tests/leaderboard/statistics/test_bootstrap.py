from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.leaderboard.statistics import (
    Resampled,
    Resamples,
    bootstrap,
    image_difference,
    image_interval,
    resampled,
)
from bench.tasks.segmentation.counts import Counts
from bench.tasks.segmentation.scores import scores


def confusions(n_images: int, n_classes: int, seed: int, share: float = 0.3) -> np.ndarray:
    """Random n_images x K x K counts, most of them zero."""
    generator = np.random.default_rng(seed)
    shape = (n_images, n_classes, n_classes)
    return generator.integers(1, 500, shape) * (generator.random(shape) < share)


def reduced(matrices: np.ndarray) -> Counts:
    return Counts.from_dense(matrices)


def miou_of(matrix: np.ndarray) -> float | None:
    value: float | None = scores(matrix, [str(k) for k in range(len(matrix))])["miou"]
    return value


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 8), st.integers(1, 6), st.integers(0, 10**6), st.sampled_from([0.0, 0.02, 0.3]))
def test_the_split_scores_what_the_leaderboard_scores(n: int, k: int, seed: int, share: float) -> None:
    matrices = confusions(n, k, seed, share)
    expected = miou_of(matrices.sum(axis=0))
    assert reduced(matrices).primary() == (None if expected is None else pytest.approx(expected))


def test_every_draw_scores_its_images_as_often_as_they_were_drawn() -> None:
    matrices, draws = confusions(7, 4, 1, 0.05), Resamples(7, 200, seed=3)
    values = resampled([reduced(matrices)], draws).values
    times = np.vstack(list(draws.blocks()))
    assert times.shape == (200, 7)
    assert (times.sum(axis=1) == 7).all()
    for weights, value in zip(times, values, strict=True):
        expected = miou_of((weights[:, None, None] * matrices).sum(axis=0))
        assert value == pytest.approx(np.nan if expected is None else expected, nan_ok=True)


def test_a_class_that_a_draw_has_not_is_left_out_of_its_mean() -> None:
    matrices = np.zeros((2, 2, 2), dtype=int)
    matrices[0] = [[8, 2], [0, 0]]  # class 1 is only predicted, wrongly: IoU .8 and 0
    matrices[1] = [[6, 0], [0, 0]]  # class 1 is absent: IoU 1
    values = resampled([reduced(matrices)], Resamples(2, 100)).values
    assert set(np.round(values, 6)) == {0.4, 1.0, round(14 / 16 / 2, 6)}


def test_draws_are_even_and_the_same_whenever_and_in_whatever_blocks_they_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = np.vstack(list(Resamples(50, 300, seed=5).blocks()))
    assert whole.mean(axis=0) == pytest.approx(np.ones(50), abs=0.35)
    assert whole.var() == pytest.approx(1 - 1 / 50, abs=0.05)  # multinomial
    monkeypatch.setattr(bootstrap, "BLOCK_BYTES", 8 * 50 * 7)
    for kept in (0, 10**9):
        monkeypatch.setattr(bootstrap, "KEPT_BYTES", kept)
        resamples = Resamples(50, 300, seed=5)
        for _ in range(2):
            blocks = list(resamples.blocks())
            assert {len(block) for block in blocks} == {7, 300 % 7}
            assert (np.vstack(blocks) == whole).all()
    assert (np.vstack(list(Resamples(50, 300, seed=6).blocks())) != whole).any()


def test_many_images_are_drawn_in_blocks_of_bounded_size() -> None:
    resamples = Resamples(30_000, 300)
    blocks = list(resamples.blocks())
    assert len(blocks) > 1
    assert all(block.size * 8 <= bootstrap.BLOCK_BYTES for block in blocks)
    assert sum(len(block) for block in blocks) == 300


def test_seeds_are_averaged_within_a_draw() -> None:
    draws = Resamples(9, 100)
    first, second = (reduced(confusions(9, 3, seed)) for seed in (1, 2))
    both = resampled([first, second], draws)
    alone = [resampled([cell], draws) for cell in (first, second)]
    assert both.values == pytest.approx(np.mean([one.values for one in alone], axis=0))
    assert both.score == pytest.approx(np.mean([one.score for one in alone]))


def test_a_method_does_not_differ_from_itself_and_swapping_turns_the_interval() -> None:
    draws = Resamples(30, 400)
    first, second = (resampled([reduced(confusions(30, 5, seed))], draws) for seed in (1, 2))
    same = image_difference(first, first)
    assert same.interval is not None
    assert (same.estimate, same.interval.low, same.interval.high, same.se) == (0, 0, 0, 0)
    there, back = image_difference(first, second), image_difference(second, first)
    assert there.interval is not None
    assert back.interval is not None
    assert (there.interval.low, there.interval.high) == pytest.approx((-back.interval.high, -back.interval.low))
    assert there.estimate == pytest.approx(-(back.estimate or 0))


def test_pairing_makes_the_interval_of_a_difference_narrower_than_independent_draws_would() -> None:
    generator = np.random.default_rng(0)
    first = hard_and_easy(generator, 200, 0.0)
    second = first.copy()
    second[:, 0, 0] += 20
    paired = image_difference(*[resampled([reduced(m)], Resamples(200, 500)) for m in (first, second)])
    apart = image_difference(
        resampled([reduced(first)], Resamples(200, 500)),
        Resampled(0.5, resampled([reduced(second)], Resamples(200, 500, seed=1)).values, Resamples(200, 500)),
    )
    assert (paired.se or 0) < 0.3 * (apart.se or 0)


def hard_and_easy(generator: np.random.Generator, n: int, gain: float, n_classes: int = 4) -> np.ndarray:
    """Images of 1,000 pixels, of which a class holds a random part and a random part of that is right."""
    sizes = np.floor(1000 * generator.dirichlet(np.ones(n_classes), n))
    hard = generator.normal(0, 0.6, (n, 1))
    right = np.floor(sizes * stats.norm.cdf(0.5 + gain + hard + generator.normal(0, 0.3, sizes.shape)))
    matrices = np.zeros((n, n_classes, n_classes), dtype=np.int64)
    classes = np.arange(n_classes)
    matrices[:, classes, classes] = right
    matrices[:, classes, (classes + 1) % n_classes] = sizes - right
    return matrices


def test_the_interval_covers_the_difference_of_the_population() -> None:
    n_classes, n_images, simulations = 4, 100, 500

    def pair(n: int, seed: int) -> list[np.ndarray]:
        return [hard_and_easy(np.random.default_rng(seed), n, gain, n_classes) for gain in (0.15, 0.0)]

    truth = np.subtract(*(miou_of(m.sum(axis=0)) for m in pair(100_000, 10**6)))  # type: ignore[arg-type]
    draws = Resamples(n_images, 500)
    covered = []
    for seed in range(simulations):
        result = image_difference(*[resampled([reduced(m)], draws) for m in pair(n_images, seed)])
        assert result.interval is not None
        covered.append(result.interval.low <= truth <= result.interval.high)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.03)


def test_nothing_is_claimed_where_nothing_can_be_told() -> None:
    unscored = resampled([reduced(np.zeros((4, 3, 3), dtype=int))], Resamples(4, 50))
    scored = resampled([reduced(confusions(4, 3, 1))], Resamples(4, 50))
    for result in (image_interval(unscored), image_difference(scored, unscored)):
        assert (result.estimate, result.interval, result.se) == (None, None, None)
    single = image_interval(resampled([reduced(confusions(1, 3, 1))], Resamples(1, 50)))
    assert single.estimate is not None
    assert single.interval is None


def test_a_draw_of_unscored_images_alone_is_left_out() -> None:
    matrices = np.zeros((2, 2, 2), dtype=int)
    matrices[0] = [[3, 1], [0, 4]]
    drawn = resampled([reduced(matrices)], Resamples(2, 60))
    assert np.isnan(drawn.values).any()
    result = image_interval(drawn)
    assert result.interval is not None
    assert (result.interval.low, result.interval.high) == pytest.approx((drawn.score, drawn.score))


def test_what_does_not_belong_together_is_refused() -> None:
    cell, draws = reduced(confusions(4, 3, 1)), Resamples(4, 10)
    with pytest.raises(ValueError, match="draws of 4"):
        resampled([], draws)
    with pytest.raises(ValueError, match="images"):
        resampled([cell, reduced(confusions(5, 3, 1))], draws)
    with pytest.raises(ValueError, match="labels of different shapes"):
        resampled([cell, reduced(confusions(4, 2, 1))], draws)
    with pytest.raises(ValueError, match="same draws"):
        image_difference(resampled([cell], draws), resampled([cell], Resamples(4, 10, seed=1)))
    with pytest.raises(ValueError, match="confidence"):
        image_interval(resampled([cell], draws), 95)
    with pytest.raises(ValueError, match="resamples"):
        Resamples(0)
