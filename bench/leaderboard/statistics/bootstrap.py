"""How far a score depends on the images of its split: a paired bootstrap from the stored evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bench.leaderboard.statistics.seeds import Interval
from bench.tasks.segmentation.draws import ImageCounts, _miou

BLOCK_BYTES = 32 * 2**20


KEPT_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Resamples:
    """Draws of a split's images with replacement, the same for every cell of the split.

    Attributes:
        n_images: images of the split; each draw has as many.
        n_resamples: number of draws.
        seed: of the generator; equal fields mean equal draws.
    """

    n_images: int
    n_resamples: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_images < 1 or self.n_resamples < 1:
            raise ValueError(f"{self.n_resamples} resamples of {self.n_images} images")

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the draws in order as (draws, n_images): how often each image was drawn."""
        yield from self._kept if self._bytes <= KEPT_BYTES else self._draw()

    @property
    def _bytes(self) -> int:
        return self.n_resamples * self.n_images * self._dtype.itemsize

    @property
    def _dtype(self) -> np.dtype:
        return np.min_scalar_type(self.n_images)

    @cached_property
    def _kept(self) -> list[np.ndarray]:
        return list(self._draw())

    def _draw(self) -> Iterator[np.ndarray]:
        generator = np.random.default_rng(self.seed)
        rows = max(1, BLOCK_BYTES // (8 * self.n_images))
        for start in range(0, self.n_resamples, rows):
            size = min(rows, self.n_resamples - start)
            drawn = generator.integers(self.n_images, size=(size, self.n_images))
            drawn += np.arange(size)[:, None] * self.n_images
            times = np.bincount(drawn.ravel(), minlength=size * self.n_images)
            yield times.reshape(size, self.n_images).astype(self._dtype)


@dataclass(frozen=True, eq=False)
class Resampled:
    """A method's mIoU on the split and on each draw of it.

    Attributes:
        miou: mean over the seeds of the split's mIoU, None where one of them has none.
        values: (n_resamples,) the same on each draw; NaN where a draw has no scored pixel.
        resamples: the draws; only results of equal draws may be subtracted.
    """

    miou: float | None
    values: np.ndarray
    resamples: Resamples


@dataclass(frozen=True)
class ImageInterval:
    """A score or a difference with its bootstrap interval over images.

    Attributes:
        estimate: on the split itself, not the mean of the draws; None where no pixel was scored.
        interval: percentile interval, None for fewer than two images or where no draw had a scored pixel.
        se: standard deviation of the draws, None alike.
    """

    estimate: float | None
    interval: Interval | None
    se: float | None


def resampled_miou(cells: Sequence[ImageCounts], resamples: Resamples) -> Resampled:
    """Return the mIoU of a method on every draw, averaged over its seeds within the draw.

    Each draw's mIoU comes from its summed counts; classes in neither its labels nor its predictions are left out, as
    in :func:`bench.tasks.segmentation.scores.scores`. Do this once a method: any difference is then a subtraction.

    Args:
        cells: one a seed, all on the same images in the same order.
        resamples: the draws.

    Raises:
        ValueError: no cell, or cells whose images or classes differ in number from the others' or the draws'.
    """
    if not cells or {cell.n_images for cell in cells} != {resamples.n_images}:
        raise ValueError(f"cells over {[cell.n_images for cell in cells]} images, draws of {resamples.n_images}")
    if len({cell.num_classes for cell in cells}) > 1:
        raise ValueError(f"cells with different numbers of classes: {[cell.num_classes for cell in cells]}")
    parts = []
    for block in resamples.blocks():
        times = block.astype(float)
        parts.append(np.mean([_miou(times @ cell.columns) for cell in cells], axis=0))
    own = [cell.miou() for cell in cells]
    known = [value for value in own if value is not None]
    miou = float(np.mean(known)) if len(known) == len(own) else None
    return Resampled(miou, np.concatenate(parts), resamples)


def image_interval(resampled: Resampled, confidence: float = 0.95) -> ImageInterval:
    """Return a method's mIoU with the percentile interval over images.

    The interval runs between the ``(1 - confidence) / 2`` quantiles at both ends of the draws' values. In simulations
    95 % intervals covered the population's value in 92 to 93 % of cases at 30 images and in 94 to 95 % from 100 on.
    Source: B. Efron and R. Tibshirani, "An introduction to the bootstrap" (1993), chapter 13.

    Args:
        resampled: as from :func:`resampled_miou`.
        confidence: coverage of the interval, in 0..1.

    Raises:
        ValueError: ``confidence`` is not between 0 and 1.
    """
    return _percentile(resampled.miou, resampled.values, resampled.resamples, confidence)


def image_difference(first: Resampled, second: Resampled, confidence: float = 0.95) -> ImageInterval:
    """Return the difference ``first - second`` of two methods' mIoU with its paired interval over images.

    Both are scored on the same draws, so what makes an image hard for both cancels. Give both the same seeds, else the
    difference holds that of the seeds too.

    Args:
        first: as from :func:`resampled_miou`.
        second: alike, on equal draws.
        confidence: coverage of the interval, in 0..1.

    Raises:
        ValueError: the draws differ, or ``confidence`` is not between 0 and 1.
    """
    if first.resamples != second.resamples:
        raise ValueError(f"not the same draws: {first.resamples}, {second.resamples}")
    known = first.miou is not None and second.miou is not None
    estimate = first.miou - second.miou if known else None  # type: ignore[operator]
    return _percentile(estimate, first.values - second.values, first.resamples, confidence)


def _percentile(estimate: float | None, values: np.ndarray, resamples: Resamples, confidence: float) -> ImageInterval:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
    drawn = values[~np.isnan(values)]
    if estimate is None or resamples.n_images < 2 or len(drawn) < 2:
        return ImageInterval(estimate, None, None)
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return ImageInterval(estimate, Interval(float(low), float(high), confidence), float(drawn.std(ddof=1)))
