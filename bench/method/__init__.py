"""All that the author of a distillation method has to know.

A method is one file: a pure function that is the paper's equation, and a :class:`Method` that says which outputs it
taps, what it trains and which hyperparameters it has::

    from bench.method import Method, NonNegative, Pair, Positive, methods

    @methods.register("mse")
    class MSE(Method):
        \"\"\"Mean squared difference of the logits.\"\"\"

        taps = ("logits",)

        def __init__(self, pair: Pair, *, weight: NonNegative = 1.0) -> None:
            super().__init__(pair)
            require_same_size(pair, "logits", "mse")
            self.weight = weight

        def forward(self, student, teacher, batch, step):
            difference = wide(student.logits) - wide(teacher.logits.detach())
            return {"mse": self.weight * difference.square().mean()}

The bounds of annotated_types (``Ge``, ``Gt``, ``Le``, ``Lt``) are here too, for ``Annotated[int, Ge(1)]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from annotated_types import Ge, Gt, Le, Lt

from bench.base.errors import Unsupported
from bench.method.registry import methods

if TYPE_CHECKING:
    from bench.method.base import (
        EVERY_TASK,
        Adversary,
        Batch,
        FeatureSpec,
        Fraction,
        Method,
        NonNegative,
        Outputs,
        OutputSpec,
        Pair,
        Positive,
        Specs,
        Step,
        Tap,
        TapSpec,
        TaskOutputs,
        tap_spec,
    )
    from bench.method.discriminator import Discriminator, Holistic
    from bench.method.maps import (
        Resize,
        attention_map,
        distribution_kl,
        labels_at,
        matched_stages,
        of_one_size,
        require_same_size,
        require_tap,
        resize,
        tap_of,
        wide,
    )

__all__ = [
    "EVERY_TASK",
    "Adversary",
    "Batch",
    "Discriminator",
    "FeatureSpec",
    "Fraction",
    "Ge",
    "Gt",
    "Holistic",
    "Le",
    "Lt",
    "Method",
    "NonNegative",
    "OutputSpec",
    "Outputs",
    "Pair",
    "Positive",
    "Resize",
    "Specs",
    "Step",
    "Tap",
    "TapSpec",
    "TaskOutputs",
    "Unsupported",
    "attention_map",
    "distribution_kl",
    "labels_at",
    "matched_stages",
    "methods",
    "of_one_size",
    "require_same_size",
    "require_tap",
    "resize",
    "tap_of",
    "tap_spec",
    "wide",
]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import what needs torch when it is first asked for: the names of methods are told without it."""
        if name in __all__:
            from bench.method import base, discriminator, maps

            for module in (base, maps, discriminator):
                if hasattr(module, name):
                    return globals().setdefault(name, getattr(module, name))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
