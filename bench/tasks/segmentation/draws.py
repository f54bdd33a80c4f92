"""How far a score depends on the images of its split: a paired bootstrap from the stored counts.

The interval tells what another draw of test images from the same source might have given with the same trained models.
It says nothing about other seeds; that is :mod:`bench.leaderboard.statistics.seeds`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bench.tasks.segmentation.counts import Counts


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
