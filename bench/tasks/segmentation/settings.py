"""What of a recipe is segmentation's own."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Len
from pydantic import model_validator

from bench.base.fields import Frozen, PositiveInt, Size
from bench.tasks.metric import TaskSettings


class Evaluation(Frozen):
    """How a split is scored. Logits always reach the labels' own size before the argmax, and labels are never resized.

    Attributes:
        window: height and width of a sliding window, one number is a square: the logits of overlapping windows are
            averaged. None looks at whole images.
        stride: steps of the window; two thirds of it where not given.
        short_side: images are resized so that their shorter side has this length; None leaves them as they are.
        scales: factors on that size; the softmax probabilities of all are averaged.
        flip: also average over the mirrored image.
    """

    window: Size | None = None
    stride: Size | None = None
    short_side: PositiveInt | None = None
    scales: Annotated[tuple[Annotated[float, Gt(0)], ...], Len(1)] = (1.0,)
    flip: bool = False

    @model_validator(mode="after")
    def _fitting(self) -> Evaluation:
        if self.stride is not None:
            if self.window is None:
                raise ValueError("stride: only a sliding window has one")
            if any(step > side for step, side in zip(self.stride, self.window, strict=True)):
                raise ValueError("stride: larger than the window, some pixels would never be seen")
        return self


class SegmentationSettings(TaskSettings):
    """What of a recipe is segmentation's own.

    Attributes:
        auxiliary_weight: weight of the cross-entropy of auxiliary heads, for models that have one.
        align_corners: how logits are up-sampled to the label size, in the loss and in the evaluation.
        evaluation: how a split is scored.
    """

    auxiliary_weight: Annotated[float, Ge(0)] = 0.0
    align_corners: bool = False
    evaluation: Evaluation = Evaluation()
