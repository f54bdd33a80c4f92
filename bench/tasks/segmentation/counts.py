"""Confusion counts of every image of a split, and what the mIoU needs of them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.base.files import write_bytes
from bench.tasks.metric import Evidence
from bench.tasks.segmentation.confusion import scores


@dataclass(frozen=True, eq=False)
class Counts(Evidence):
    """Confusion counts of every image, sparse.

    Attributes:
        image: (E,) position of the image in the split.
        target: (E,) true class.
        prediction: (E,) predicted class.
        count: (E,) number of pixels.
        n_images: number of images evaluated.
        num_classes: K.
        boundary: n_images x 2 x K: pixels in the intersection and in the union of true and predicted boundaries; None
            in results of versions that did not take them.
    """

    image: np.ndarray
    target: np.ndarray
    prediction: np.ndarray
    count: np.ndarray
    n_images: int
    num_classes: int
    boundary: np.ndarray | None = None

    @classmethod
    def from_dense(cls, matrices: np.ndarray, boundary: np.ndarray | None = None) -> Counts:
        """Build from an n_images x K x K array, rows true, columns predicted, and the boundary counts."""
        image, target, prediction = np.nonzero(matrices)
        count = matrices[image, target, prediction]
        return cls(image, target, prediction, count, matrices.shape[0], matrices.shape[1], boundary)

    @cached_property
    def _images(self) -> ImageCounts:
        return ImageCounts.of(self)

    def resampled(self, weights: np.ndarray) -> np.ndarray:
        """Return the mIoU of each resample; see :meth:`~bench.tasks.metric.Evidence.resampled`."""
        return self._images.resampled(weights)

    def per_image(self) -> np.ndarray:
        """Return the (n_images,) mIoU over the classes that an image's labels or predictions have, NaN for no label."""
        return self._images.miou_by_image()

    def unlike(self, images: Sequence[int], other: Evidence) -> str:
        """Return how many pixels at least are predicted otherwise; see :meth:`~bench.tasks.metric.Evidence.unlike`."""
        if not isinstance(other, Counts):
            return super().unlike(images, other)
        different = sum(_differing(of_image(self, index), of_image(other, place)) for place, index in enumerate(images))
        return f"at least {different} of {int(other.count.sum())} pixels" if different else ""

    def labels(self) -> np.ndarray:
        """Return the (n_images, K) labelled pixels of every class."""
        place = self.image.astype(np.int64) * self.num_classes + self.target.astype(np.int64)
        size = self.n_images * self.num_classes
        pixels = np.bincount(place, weights=self.count.astype(float), minlength=size)
        return pixels.reshape(self.n_images, self.num_classes)

    def total(self) -> np.ndarray:
        """Return the K x K confusion matrix over all images, rows true, columns predicted."""
        size = self.num_classes
        place = self.target.astype(np.int64) * size + self.prediction
        # exact, as no split has 2 ** 53 pixels
        pixels = np.bincount(place, weights=self.count, minlength=size**2)
        return pixels.reshape(size, size).astype(np.int64)

    def metrics(self, classes: Sequence[str]) -> dict[str, Any]:
        """Return all metrics of the whole split; see :meth:`~bench.tasks.metric.Evidence.metrics`.

        Raises:
            ValueError: the counts are of another number of classes, or no counts.
        """
        if len(classes) != self.num_classes:
            raise ValueError(f"they are of {self.num_classes} classes, the result of {len(classes)}")
        return scores(self.total(), classes, self.boundary_total())

    def save(self, path: Path) -> str:
        """Write compressed, atomically; return the digest of the file."""
        extra: dict[str, Any] = {} if self.boundary is None else {"boundary": self.boundary.astype(np.uint32)}
        file = io.BytesIO()
        np.savez_compressed(
            file,
            image=self.image.astype(np.uint32),
            target=self.target.astype(np.uint16),
            prediction=self.prediction.astype(np.uint16),
            count=self.count.astype(np.uint32),
            shape=np.array([self.n_images, self.num_classes], dtype=np.int64),
            **extra,
        )
        return write_bytes(path, file.getvalue())

    @classmethod
    def load(cls, path: Path) -> Counts:
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            n_images, num_classes = (int(value) for value in arrays["shape"])
            entries = [arrays[key] for key in ("image", "target", "prediction", "count")]
            boundary = arrays.get("boundary")
            return cls(entries[0], entries[1], entries[2], entries[3], n_images, num_classes, boundary)

    def boundary_total(self) -> np.ndarray | None:
        """Return the 2 x K boundary counts over all images."""
        return None if self.boundary is None else self.boundary.astype(np.int64).sum(axis=0)


def of_image(counts: Counts, index: int) -> dict[tuple[int, int], int]:
    """Return the confusion counts of one image: pixels by true and predicted class."""
    entries = np.flatnonzero(counts.image == index)
    rows = zip(counts.target[entries], counts.prediction[entries], counts.count[entries], strict=True)
    return {(int(true), int(predicted)): int(count) for true, predicted, count in rows}


def _differing(first: Mapping[tuple[int, int], int], second: Mapping[tuple[int, int], int]) -> int:
    """Return the least number of pixels that two predictions of one image differ in."""
    return sum(abs(first.get(key, 0) - second.get(key, 0)) for key in first.keys() | second.keys()) // 2


@dataclass(frozen=True, eq=False)
class ImageCounts:
    """What the mIoU needs of every image.

    Attributes:
        columns: (n_images, 2K) pixels: intersection of each class, then union of each class.
    """

    columns: np.ndarray

    @classmethod
    def of(cls, counts: Counts) -> ImageCounts:
        """Reduce a cell's confusion counts; intersection and union of a split are the sums of its images'."""
        n, k = counts.n_images, counts.num_classes
        image, target, prediction = (x.astype(np.int64) for x in (counts.image, counts.target, counts.prediction))
        pixels = counts.count.astype(float)
        right = target == prediction

        def by_class(classes: np.ndarray, chosen: np.ndarray) -> np.ndarray:
            place = image[chosen] * k + classes[chosen]
            sums = np.bincount(place, weights=pixels[chosen], minlength=n * k)
            return sums.reshape(n, k).astype(float)  # of no entries bincount makes integers

        hits = by_class(target, right)
        return cls(np.hstack([hits, hits + by_class(target, ~right) + by_class(prediction, ~right)]))

    @property
    def n_images(self) -> int:
        """Images of the split."""
        return int(self.columns.shape[0])

    @property
    def num_classes(self) -> int:
        """K."""
        return int(self.columns.shape[1]) // 2

    def resampled(self, weights: np.ndarray) -> np.ndarray:
        """Return the mIoU of each row of weights, how often each image counts; NaN where no class has a pixel."""
        return _miou(weights.astype(float) @ self.columns)

    def miou(self) -> float | None:
        """Return the mIoU of the whole split, None where no pixel was scored."""
        value = float(_miou(self.columns.sum(axis=0, keepdims=True))[0])
        return None if np.isnan(value) else value

    def miou_by_image(self) -> np.ndarray:
        """Return the (n_images,) mIoU over the classes that an image's labels or predictions have.

        It is NaN where all labels of an image are ignored. A mean of these values is not the mIoU of the split.
        """
        return _miou(self.columns)


def _miou(sums: np.ndarray) -> np.ndarray:
    """Return the mIoU of each row of summed intersections and unions; NaN where no class has a pixel."""
    hits, union = np.split(sums, 2, axis=1)
    scored = union > 0
    iou = np.divide(hits, union, out=np.zeros_like(hits), where=scored)
    n_scored = scored.sum(axis=1)
    mean = np.full(len(iou), np.nan)
    np.divide(iou.sum(axis=1), n_scored, out=mean, where=n_scored > 0)
    return mean
