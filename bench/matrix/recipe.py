"""How to train: everything of a recipe that may move a score."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt

from bench.base.fields import Frozen, PositiveInt, Share
from bench.data.feed.augment import Augment
from bench.tasks.segmentation.settings import Evaluation

NOT_IN_KEY = frozenset({"evaluations", "log_every"})
"""Fields that only decide what is written down on the way; they cannot move a score."""


class Optimizer(Frozen):
    """The optimiser and its peak learning rate."""

    name: Literal["sgd", "adamw"] = "adamw"
    lr: Annotated[float, Gt(0)] = 1e-3
    weight_decay: Annotated[float, Ge(0)] = 1e-4
    momentum: Share = 0.9
    """Of SGD; AdamW uses its own betas (0.9, 0.999)."""


class Schedule(Frozen):
    """The learning rate over the iterations, stepped once each.

    ``poly``: ``(1 - i / iterations) ** power`` under a linear warm-up; ``one_cycle``: a cosine rise over the share
    ``warmup``, then a cosine fall to nearly zero; ``constant``: a linear warm-up, then the peak.
    """

    name: Literal["poly", "one_cycle", "constant"] = "poly"
    power: Annotated[float, Gt(0)] = 0.9
    warmup: Share = 0.0


class Recipe(Frozen):
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
