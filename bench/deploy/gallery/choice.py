"""Which images a gallery shows: from the stored counts alone, the same every time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from bench.tasks.metric import Metric

BEST, WORST, IMPROVED = KINDS = ("best", "worst", "improved")


@dataclass(frozen=True)
class Chosen:
    """An image of a split.

    Attributes:
        index: its position in the split.
        kind: ``best``, ``worst`` or ``improved``.
        why: the same in a sentence with its numbers.
    """

    index: int
    kind: str
    why: str


@dataclass(frozen=True, eq=False)
class ImageScores:
    """What a method reaches on every image.

    Attributes:
        label: name of the method.
        by_seed: (n_images,) primary metric of each image by seed; NaN where nothing of it is scored.
    """

    label: str
    by_seed: Mapping[int, np.ndarray]

    def mean(self) -> np.ndarray:
        """Return the (n_images,) mean over the seeds."""
        return np.asarray(np.mean(list(self.by_seed.values()), axis=0))


def coarse(metric: Metric) -> Metric:
    """Return a metric that shows a digit less: one image's score is no measurement."""
    return replace(metric, digits=max(0, metric.digits - 1))


def choose_images(baseline: ImageScores, best: ImageScores | None, n: int, metric: Metric) -> tuple[Chosen, ...]:
    """Choose images that show where a baseline does well, where badly, and where a method helps most.

    The kinds take turns, so that each gets its share of a split that has too few images for all. Ties go to the image
    that comes first. An image is chosen once.

    Args:
        baseline: what best and worst are taken from.
        best: the method whose gain is looked at, on seeds that both have; None where there is none.
        n: the most of each kind.
        metric: of the scores.

    Returns:
        The best, the worst, then the most improved images, each from the most to the least so.
    """
    level = baseline.mean()
    known = [int(index) for index in np.flatnonzero(~np.isnan(level))]
    sign, shown = metric.sign, coarse(metric)
    rising = sorted(known, key=lambda index: (sign * level[index], index))
    falling = sorted(known, key=lambda index: (-sign * level[index], index))
    places = {index: place for place, index in enumerate(falling, 1)}
    common = sorted(set(baseline.by_seed) & set(best.by_seed)) if best else []
    before, after = level, level
    if best and common:
        before = np.mean([baseline.by_seed[seed] for seed in common], axis=0)
        after = np.mean([best.by_seed[seed] for seed in common], axis=0)
    gain = sign * (after - before)
    improved = sorted((index for index in known if gain[index] > 0), key=lambda index: (-gain[index], index))

    def reason(index: int, kind: str) -> str:
        if kind == IMPROVED:
            assert best is not None
            return (
                f"{best.label} gains {shown.text(gain[index])} {metric.difference_unit} over {baseline.label}, "
                f"{shown.text(before[index])} to {shown.with_unit(after[index])} {metric.header}{_over(len(common))}"
            )
        return (
            f"{baseline.label} reaches {shown.with_unit(level[index])} {metric.header}{_over(len(baseline.by_seed))}, "
            f"place {places[index]} of {len(known)}"
        )

    picked = dict(_in_turns({BEST: falling, WORST: rising, IMPROVED: improved}, n))
    return tuple(
        Chosen(index, kind, reason(index, kind)) for kind in KINDS for index in picked if picked[index] == kind
    )


def _in_turns(orders: Mapping[str, list[int]], n: int) -> Iterator[tuple[int, str]]:
    """Yield each kind's next image that no kind has taken yet, ``n`` times around."""
    taken: set[int] = set()
    for _ in range(n):
        for kind, order in orders.items():
            index = next((index for index in order if index not in taken), None)
            if index is not None:
                taken.add(index)
                yield index, kind


def _over(n_seeds: int) -> str:
    return f" (mean over {n_seeds} seeds)" if n_seeds > 1 else ""
