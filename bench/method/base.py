"""What flows between a model, a method and the trainer, and the class that every method extends."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le
from torch import Tensor, nn
from torch.optim import Optimizer

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
        size: height and width of the images that they train on.
    """

    num_classes: int
    ignore_index: int
    student: OutputSpec
    teacher: OutputSpec
    size: tuple[int, int]

    def logits_size(self) -> tuple[int, int]:
        """Return height and width of the student's logits in training."""
        stride = self.student.logits.stride
        return round(self.size[0] / stride), round(self.size[1] / stride)


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

    def detach(self) -> Outputs:
        """Return the same values without their graph."""
        return dataclasses.replace(
            self,
            logits=self.logits.detach(),
            embedding=None if self.embedding is None else self.embedding.detach(),
            stages=tuple(stage.detach() for stage in self.stages),
            auxiliary=None if self.auxiliary is None else self.auxiliary.detach(),
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


@dataclass(frozen=True)
class Adversary:
    """A network that a method trains against the student, with its own loss and optimiser.

    Its step comes after the student's, on the outputs that the student had before it, without their graph. Its
    parameters are frozen while the student learns.

    Attributes:
        network: a submodule of the method; its parameters stay out of the student's optimiser.
        loss: returns the named terms that the network descends; they are logged beside the student's.
        optimizer: makes its optimiser.
        power: its learning rate falls as ``(1 - progress) ** power``; 0 keeps it constant.
    """

    network: nn.Module
    loss: Callable[[Outputs, Outputs, Batch, Step], dict[str, Tensor]]
    optimizer: Callable[[list[nn.Parameter]], Optimizer]
    power: float = 0.9


class Method(nn.Module):
    """Base class of all methods.

    Trainable parts are submodules: they join the student's optimiser and are dropped from its parameter count and
    from the saved student. Buffers (queues, running estimates) are saved and restored with the checkpoint.
    Hyperparameters are the keyword-only arguments of ``__init__``; names, types, bounds and defaults are read there.

    Attributes:
        taps: outputs of both models that :meth:`forward` reads.
        needs_teacher: False for a method that never looks at the teacher; it is given the student's own outputs in its
            place, without their graph.
        masks_ignored: True where outputs at ignored pixels move no term.
        task_weight: what the task loss is multiplied by; methods that replace a part of it set it below 1.
        remarks: what differs from the paper because of this pair, in sentences for plan and report.
    """

    taps: tuple[Tap, ...] = ("logits",)
    needs_teacher: bool = True
    masks_ignored: bool = False
    task_weight: float = 1.0

    def __init__(self, pair: Pair) -> None:
        super().__init__()
        self.pair = pair
        self.remarks: list[str] = []

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

    def adversaries(self) -> Sequence[Adversary]:
        """Return the networks that are trained against the student; none unless a method has them."""
        return ()
