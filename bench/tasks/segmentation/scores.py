"""Segmentation scores from one confusion matrix over a whole split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.tasks.metric import Metric, Scoring
from bench.tasks.scorings import register_scoring
from bench.tasks.segmentation.counts import Counts
from bench.tasks.segmentation.settings import SegmentationSettings

ABSENT_CLASS_POLICY = (
    "classes found in neither labels nor predictions are left out of the mIoU; "
    "mAcc is the mean over the classes found in the labels"
)


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


PER_CLASS = Metric("iou", "IoU", "Intersection over union of one class, its pixels counted over the whole split.")
SCORING = register_scoring(
    Scoring(
        name="segmentation",
        metrics=(
            Metric(
                "miou",
                "mIoU",
                "Mean over the classes of IoU = TP / (TP + FP + FN), from one confusion matrix over the whole split; "
                f"{ABSENT_CLASS_POLICY}.",
                importance=100,
            ),
            Metric(
                "macc",
                "mAcc",
                "Mean class accuracy: mean of TP / (TP + FN) over the classes found in the labels.",
                importance=40,
                shown_in=("text", "terminal", "page"),
            ),
            Metric(
                "pixel_accuracy",
                "Pixel acc.",
                "Share of the labelled pixels that are right.",
                importance=28,
                shown_in=("terminal", "folded"),
            ),
            Metric(
                "mean_boundary_iou",
                "Boundary IoU",
                "That of the bands along the borders of true and predicted classes, mean over classes.",
                importance=45,
                aliases=("boundary_iou",),
            ),
        ),
        policy=f"one confusion matrix over the whole split, ignored pixels not counted; {ABSENT_CLASS_POLICY}",
        per_class=PER_CLASS,
        per_image=(
            "Mean of the IoU over the classes found in the image's labels or predictions, averaged over the seeds. "
            "The mean of these over the images is not the mIoU of the split, which counts the pixels of all images "
            "together."
        ),
        extras={"n_classes_scored": "of {n_classes} classes scored"},
        read=Counts.load,
        settings=SegmentationSettings,
    )
)
