"""The metrics of segmentation: names, meanings, how they are counted."""

from __future__ import annotations

from bench.tasks.metric import Metric, Scoring
from bench.tasks.scorings import register_scoring
from bench.tasks.segmentation.confusion import scores
from bench.tasks.segmentation.counts import Counts
from bench.tasks.segmentation.settings import SegmentationSettings

__all__ = ["ABSENT_CLASS_POLICY", "PER_CLASS", "SCORING", "scores"]

ABSENT_CLASS_POLICY = (
    "classes found in neither labels nor predictions are left out of the mIoU; "
    "mAcc is the mean over the classes found in the labels"
)


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
