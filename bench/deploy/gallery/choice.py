"""Which images a gallery shows: from the stored counts alone, the same every time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from bench.tasks.segmentation.counts import Counts
from bench.tasks.segmentation.draws import ImageCounts

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
        by_seed: (n_images,) mIoU of each image by seed; NaN where no pixel of it is scored.
    """

    label: str
    by_seed: Mapping[int, np.ndarray]

    def mean(self) -> np.ndarray:
        """Return the (n_images,) mean over the seeds."""
        return np.asarray(np.mean(list(self.by_seed.values()), axis=0))


def per_image_miou(counts: Counts) -> np.ndarray:
    """Return the (n_images,) mIoU of each image; NaN where all of its labels are ignored."""
    return ImageCounts.of(counts).miou_by_image()


def choose_images(baseline: ImageScores, best: ImageScores | None, n: int) -> tuple[Chosen, ...]:
    """Choose images that show where a baseline does well, where badly, and where a method helps most.

    The kinds take turns, so that each gets its share of a split that has too few images for all. Ties go to the image
    that comes first. An image is chosen once.

    Args:
        baseline: what best and worst are taken from.
        best: the method whose gain is looked at, on seeds that both have; None where there is none.
        n: the most of each kind.

    Returns:
        The best, the worst, then the most improved images, each from the most to the least so.
    """
    level = baseline.mean()
    known = [int(index) for index in np.flatnonzero(~np.isnan(level))]
    rising = sorted(known, key=lambda index: (level[index], index))
    falling = sorted(known, key=lambda index: (-level[index], index))
    places = {index: place for place, index in enumerate(falling, 1)}
    common = sorted(set(baseline.by_seed) & set(best.by_seed)) if best else []
    before, after = level, level
    if best and common:
        before = np.mean([baseline.by_seed[seed] for seed in common], axis=0)
        after = np.mean([best.by_seed[seed] for seed in common], axis=0)
    gain = after - before
    improved = sorted((index for index in known if gain[index] > 0), key=lambda index: (-gain[index], index))

    def reason(index: int, kind: str) -> str:
        if kind == IMPROVED:
            assert best is not None
            return (
                f"{best.label} gains {100 * gain[index]:.1f} points over {baseline.label}, "
                f"{100 * before[index]:.1f} to {100 * after[index]:.1f} % mIoU{_over(len(common))}"
            )
        return (
            f"{baseline.label} reaches {100 * level[index]:.1f} % mIoU{_over(len(baseline.by_seed))}, "
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
