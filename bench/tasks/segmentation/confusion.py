"""Segmentation scores from one confusion matrix over a whole split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def scores(total: np.ndarray, class_names: Sequence[str], boundary: np.ndarray | None = None) -> dict[str, Any]:
    """Return mIoU, mean accuracy, pixel accuracy and the per-class values.

    The IoU of a class is TP / (TP + FP + FN) with pixels counted over the whole split, as in the Pascal VOC
    development kit; a mean of per-image values would weigh a pixel more, the rarer its class is in its image.

    Args:
        total: K x K integer counts, rows true, columns predicted; ignored pixels are not in it.
        class_names: K distinct names.
        boundary: 2 x K integer counts: pixels in the intersection and in the union of true and predicted boundaries,
            summed over the split; None where they were not taken.

    Returns:
        ``miou``, ``macc``, ``pixel_accuracy``: ratios in 0..1, or None where no pixel was scored. ``iou``, ``acc``:
        ratio by class name, None for a class that is left out. ``n_classes_scored``: classes in the mean of ``miou``.
        With ``boundary`` also ``boundary_iou`` by class name and its mean, ``mean_boundary_iou``.

    Raises:
        ValueError: the matrix is not K x K, holds negative counts, or a class name occurs twice.
    """
    counts = np.asarray(total)
    n_classes = len(class_names)
    if counts.shape != (n_classes, n_classes):
        raise ValueError(f"confusion matrix has shape {counts.shape}, expected {(n_classes, n_classes)}")
    if len(set(class_names)) != n_classes:
        raise ValueError("class names are not distinct")
    if (counts < 0).any():
        raise ValueError("confusion matrix holds negative counts")
    hits = np.diagonal(counts)
    labelled = counts.sum(axis=1)
    union = labelled + counts.sum(axis=0) - hits
    iou = _ratios(hits, union)
    accuracy = _ratios(hits, labelled)
    found = {
        "miou": _mean(iou),
        "macc": _mean(accuracy),
        "pixel_accuracy": _ratios(hits.sum(keepdims=True), labelled.sum(keepdims=True))[0],
        "iou": dict(zip(class_names, iou, strict=True)),
        "acc": dict(zip(class_names, accuracy, strict=True)),
        "n_classes_scored": sum(value is not None for value in iou),
    }
    if boundary is not None:
        outlines = _ratios(boundary[0], boundary[1])
        found |= {"mean_boundary_iou": _mean(outlines), "boundary_iou": dict(zip(class_names, outlines, strict=True))}
    return found


def _ratios(hits: np.ndarray, out_of: np.ndarray) -> list[float | None]:
    return [int(hit) / int(size) if size else None for hit, size in zip(hits, out_of, strict=True)]


def _mean(ratios: list[float | None]) -> float | None:
    known = [ratio for ratio in ratios if ratio is not None]
    return sum(known) / len(known) if known else None
