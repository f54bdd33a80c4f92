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
            self.weight = weight

        def forward(self, student, teacher, batch, step):
            return {"mse": self.weight * (student.logits - teacher.logits).square().mean()}
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge, Gt, Le
from torch import Tensor, nn

from bench.errors import Unsupported
from bench.registry import methods

__all__ = [
    "Batch",
    "Fraction",
    "Method",
    "NonNegative",
    "OutputSpec",
    "Outputs",
    "Pair",
    "Positive",
    "Step",
    "Tap",
    "TapSpec",
    "Unsupported",
    "distribution_kl",
    "methods",
    "require_same_size",
]

Tap = Literal["logits", "embedding", "stages"]

Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Fraction = Annotated[float, Ge(0), Le(1)]


@dataclass(frozen=True)
class TapSpec:
    """Channels and stride of one output, known before training.

    Attributes:
        channels: number of channels.
        stride: input pixels for each output pixel along a side.
    """

    channels: int
    stride: float


@dataclass(frozen=True)
class OutputSpec:
    """Shapes of what a model hands to a method."""

    logits: TapSpec
    embedding: TapSpec | None = None
    stages: tuple[TapSpec, ...] = ()


@dataclass(frozen=True)
class Pair:
    """What a method may know of its pair before training.

    Attributes:
        num_classes: number of classes K of the dataset.
        ignore_index: label value that is not scored.
        student: shapes of the student's outputs.
        teacher: shapes of the teacher's outputs.
    """

    num_classes: int
    ignore_index: int
    student: OutputSpec
    teacher: OutputSpec


@dataclass
class Outputs:
    """What a model hands to a method.

    Attributes:
        logits: N x K x h x w, class scores before up-sampling, at the model's own stride.
        embedding: N x C x h x w, the penultimate feature that the classifier reads.
        stages: encoder features from fine to coarse, each N x C_i x h_i x w_i.
        auxiliary: N x K x h x w logits of an auxiliary head, in training only.
        model: the module that made them, so that a method can use its head; parameters of a teacher are frozen.
    """

    logits: Tensor
    embedding: Tensor | None = None
    stages: tuple[Tensor, ...] = ()
    auxiliary: Tensor | None = None
    model: nn.Module | None = None

    def keep(self, taps: frozenset[str]) -> Outputs:
        """Return a copy that holds only the named taps, so that the rest can be freed."""
        return dataclasses.replace(
            self,
            embedding=self.embedding if "embedding" in taps else None,
            stages=self.stages if "stages" in taps else (),
            auxiliary=None,
        )


@dataclass
class Batch:
    """One training batch on the training device.

    Attributes:
        images: N x 3 x H x W float32 in 0..1, before any model's own normalisation.
        target: N x H x W int64, class index or ``ignore_index``.
        ignore_index: label value that is not scored.
    """

    images: Tensor
    target: Tensor
    ignore_index: int


@dataclass
class Step:
    """Where training stands.

    Attributes:
        iteration: 0 for the first one.
        iterations: how many there will be.
        task_loss: scalar task loss of this step with its graph, for gradient-weighted methods.
    """

    iteration: int
    iterations: int
    task_loss: Tensor

    @property
    def progress(self) -> float:
        """Share of the training done before this step, in [0, 1)."""
        return self.iteration / self.iterations


class Method(nn.Module):
    """Base class of all methods.

    Trainable parts are submodules: they join the student's optimiser and are dropped from its parameter count and
    from the saved student. Buffers (queues, running estimates) are saved and restored with the checkpoint.
    Hyperparameters are the keyword-only arguments of ``__init__``; names, types, bounds and defaults are read there.

    Attributes:
        taps: outputs of both models that :meth:`forward` reads.
        needs_teacher: False for a method that never looks at the teacher.
    """

    taps: ClassVar[tuple[Tap, ...]] = ("logits",)
    needs_teacher: ClassVar[bool] = True

    def __init__(self, pair: Pair) -> None:
        super().__init__()
        self.pair = pair

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the named, already weighted loss terms that this method adds to the task loss.

        Args:
            student: outputs with a graph.
            teacher: outputs without one.
            batch: images and target.
            step: where training stands.

        Returns:
            Scalar tensors by name. An empty dict adds nothing.
        """
        raise NotImplementedError


def require_same_size(pair: Pair, tap: Literal["logits", "embedding"], method: str) -> None:
    """Refuse a pair whose maps differ in stride.

    Raises:
        Unsupported: a model lacks the tap, or the strides differ.
    """
    student, teacher = getattr(pair.student, tap), getattr(pair.teacher, tap)
    for role, spec in (("student", student), ("teacher", teacher)):
        if spec is None:
            raise Unsupported(f"{method} compares the {tap}, which the {role} does not give")
    if student.stride != teacher.stride:
        raise Unsupported(
            f"{method} compares {tap} of one size; strides are "
            f"{student.stride:g} (student) and {teacher.stride:g} (teacher)"
        )


def distribution_kl(student: Tensor, teacher: Tensor, *, tau: float, dim: int) -> Tensor:
    """Return KL(teacher || student) of the softmax distributions along one dimension.

    Computed through log-softmax on both sides, which stays finite where the logarithm of a softmax underflows, and in
    float32 or wider whatever the inputs are.

    Args:
        student: scores of any shape.
        teacher: scores of the same shape; no gradient flows into them.
        tau: temperature, above 0.
        dim: the dimension that is a distribution.

    Returns:
        The inputs' shape without ``dim``.
    """
    dtype = torch.promote_types(student.dtype, torch.float32)
    student_log = F.log_softmax(student.to(dtype) / tau, dim=dim)
    teacher_log = F.log_softmax(teacher.detach().to(dtype) / tau, dim=dim)
    return F.kl_div(student_log, teacher_log, reduction="none", log_target=True).sum(dim)
