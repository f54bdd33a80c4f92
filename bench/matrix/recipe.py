"""How to train: everything of a recipe that may move a score."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, cast

from annotated_types import Ge, Gt
from pydantic import create_model

from bench.base.errors import BenchError, unknown
from bench.base.fields import Frozen, PositiveInt, Share
from bench.data.feed.augment import Augment
from bench.tasks.metric import TaskSettings
from bench.tasks.scorings import DEFAULT, known_scorings

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
    """One training recipe, the same for every cell of a matrix; :func:`recipe_for` adds what is a task's own."""

    iterations: PositiveInt
    batch_size: PositiveInt = 16
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    augment: Augment = Augment()
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    clip_grad_norm: Annotated[float, Gt(0)] | None = None
    channels_last: bool = True
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


def recipe_for(task: str = DEFAULT) -> type[Recipe]:
    """Return the recipe of a task: the common fields and those of its settings.

    Raises:
        BenchError: no task of that name is known.
    """
    known = known_scorings()
    if task not in known:
        raise BenchError(unknown("task", task, known))
    return _with_settings(known[task].settings)


@cache
def _with_settings(settings: type[TaskSettings]) -> type[Recipe]:
    bases: Any = (Recipe, settings)
    made: Any = create_model("Recipe", __base__=bases)
    return cast("type[Recipe]", made)
