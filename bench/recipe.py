"""How to train: everything of a recipe that may move a score."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Len
from pydantic import BaseModel, ConfigDict, model_validator

from bench.data.transforms import Augment, Size

PositiveInt = Annotated[int, Gt(0)]
Share = Annotated[float, Ge(0), Le(1)]

NOT_IN_KEY = frozenset({"evaluations", "log_every"})
"""Fields that only decide what is written down on the way; they cannot move a score."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Optimizer(_Frozen):
    """The optimiser and its peak learning rate."""

    name: Literal["sgd", "adamw"] = "adamw"
    lr: Annotated[float, Gt(0)] = 1e-3
    weight_decay: Annotated[float, Ge(0)] = 1e-4
    momentum: Share = 0.9
    """Of SGD; AdamW uses its own betas (0.9, 0.999)."""


class Schedule(_Frozen):
    """The learning rate over the iterations, stepped once each.

    ``poly``: ``(1 - i / iterations) ** power`` under a linear warm-up; ``one_cycle``: a cosine rise over the share
    ``warmup``, then a cosine fall to nearly zero; ``constant``: a linear warm-up, then the peak.
    """

    name: Literal["poly", "one_cycle", "constant"] = "poly"
    power: Annotated[float, Gt(0)] = 0.9
    warmup: Share = 0.0


class Evaluation(_Frozen):
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


class Recipe(_Frozen):
    """One training recipe, the same for every cell of a matrix."""

    iterations: PositiveInt
    batch_size: PositiveInt = 16
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    augment: Augment = Augment()
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    clip_grad_norm: Annotated[float, Gt(0)] | None = None
    auxiliary_weight: Annotated[float, Ge(0)] = 0.0
    """Weight of the cross-entropy of auxiliary heads, for models that have one."""
    align_corners: bool = False
    """How logits are up-sampled to the label size, in the loss and in the evaluation."""
    channels_last: bool = True
    evaluation: Evaluation = Evaluation()
    eval_batch_size: PositiveInt = 16
    checkpoint_rule: Literal["last"] = "last"
    """Which weights are scored. Best-on-the-reported-split is not offered: it reports the maximum of noise."""
    evaluations: PositiveInt = 5
    """How many times the score is taken on the way, evenly spaced, the last one included."""
    log_every: PositiveInt = 20
    """Iterations between two entries of the loss history."""

    def key_fields(self) -> dict[str, Any]:
        """Return what takes part in a cell's key."""
        return self.model_dump(mode="json", exclude=set(NOT_IN_KEY))

    def evaluation_points(self) -> frozenset[int]:
        """Return the numbers of finished iterations after which the score is taken."""
        n = min(self.evaluations, self.iterations)
        return frozenset(round(self.iterations * (index + 1) / n) for index in range(n))
