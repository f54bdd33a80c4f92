"""What flows between a model, a method and the trainer, and the class that every method extends."""

from __future__ import annotations

import dataclasses
from abc import ABC
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self, cast

from annotated_types import Ge, Gt, Le
from torch import Tensor, nn
from torch.optim import Optimizer

Tap = str
"""Name of an output: ``logits``, ``embedding`` or ``stages`` of a segmentation model; other tasks have others."""
EVERY_TASK = ("*",)
"""The tasks of a method that reads nothing but features, which models of every task have."""

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


class Specs(ABC):
    """Shapes of what a model hands to a method; each task has outputs of its own beside the encoder's stages.

    Attributes:
        stages: of the encoder features, from fine to coarse.
    """

    stages: tuple[TapSpec, ...]

    def has(self, tap: str) -> bool:
        """Tell whether the model gives an output of that name."""
        return bool(getattr(self, tap, None))


@dataclass(frozen=True)
class OutputSpec(Specs):
    """Shapes of what a segmentation model, or any other with one dense map, hands to a method."""

    logits: TapSpec
    embedding: TapSpec | None = None
    stages: tuple[TapSpec, ...] = ()


@dataclass(frozen=True)
class FeatureSpec(Specs):
    """Shapes of a model that gives methods nothing but the encoder's stages."""

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


class TaskOutputs:
    """What a model hands to a method: the base of each task's dataclass of outputs.

    A field is a tensor, a tuple of tensors, None, or ``model``, the module that made them.

    Attributes:
        stages: encoder features from fine to coarse, each N x C_i x h_i x w_i; every task has them.
        model: the module that made the outputs, so that a method can use its head; a teacher's parameters are frozen.
        always_kept: names of the fields that :meth:`keep` keeps whether a method taps them or not.
    """

    stages: tuple[Tensor, ...]
    model: nn.Module | None
    always_kept: ClassVar[frozenset[str]] = frozenset({"model"})

    def tensors(self) -> list[Tensor]:
        """Return every tensor of every field, of whatever shapes."""
        return tensors_in([getattr(self, field.name) for field in _fields(self)])

    def changed(self, change: Callable[[Tensor], Tensor]) -> Self:
        """Return a copy with a function applied to every tensor, of any shape."""
        return self._replaced(lambda _, value: _applied(change, value))

    def keep(self, taps: frozenset[str]) -> Self:
        """Return a copy that holds only the named taps, so that the rest can be freed."""
        wanted = taps | self.always_kept
        return self._replaced(lambda name, value: value if name in wanted else () if isinstance(value, tuple) else None)

    def detach(self) -> Self:
        """Return the same values without their graph."""
        return self.changed(Tensor.detach)

    def spec(self, size: tuple[int, int]) -> Specs:
        """Return the shapes of the outputs of images of a size.

        Args:
            size: height and width of the images.
        """
        raise NotImplementedError

    def _replaced(self, change: Callable[[str, Any], Any]) -> Self:
        values = {field.name: change(field.name, getattr(self, field.name)) for field in _fields(self)}
        made: Self = type(self)(**values)
        return made


def _fields(outputs: TaskOutputs) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(cast("Any", outputs))


def tensors_in(value: Any) -> list[Tensor]:
    """Return the tensors, of any shape, in a value made of lists, tuples and dicts."""
    if isinstance(value, Tensor):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for item in items for tensor in tensors_in(item)]


def _applied(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    return tuple(_applied(change, item) for item in value) if isinstance(value, tuple) else value


def tap_spec(tensor: Tensor, size: tuple[int, int]) -> TapSpec:
    """Return channels and stride of an output.

    Args:
        tensor: N x C x h x w.
        size: height and width of the images.
    """
    return TapSpec(tensor.shape[1], size[0] / tensor.shape[2])


@dataclass
class Outputs(TaskOutputs):
    """What a segmentation model, or any other with one dense map, hands to a method.

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
    always_kept: ClassVar[frozenset[str]] = frozenset({"model", "logits"})

    def spec(self, size: tuple[int, int]) -> OutputSpec:
        """Return channels and strides of logits, embedding and stages for images of a height and width."""
        embedding = None if self.embedding is None else tap_spec(self.embedding, size)
        return OutputSpec(tap_spec(self.logits, size), embedding, tuple(tap_spec(stage, size) for stage in self.stages))


@dataclass
class Batch:
    """One training batch on the training device.

    Attributes:
        images: N x 3 x H x W float32 in 0..1, before any model's own normalisation.
        target: N x H x W int64, class index or ``ignore_index``; of another task whatever its collation makes.
        ignore_index: label value that is not scored.
    """

    images: Tensor
    target: Any
    ignore_index: int

    def tensors(self) -> list[Tensor]:
        """Return the N x 3 x H x W images and every tensor of the target, of whatever shape."""
        return tensors_in([self.images, self.target])


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


def common_tasks(tasks: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the tasks that all of several methods are for."""
    bound = [set(names) for names in tasks if names != EVERY_TASK]
    return tuple(sorted(set.intersection(*bound))) if bound else EVERY_TASK


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
        tasks: names of the tasks that it is for; :data:`EVERY_TASK` for one that reads features alone.
        task_weight: what the task loss is multiplied by; methods that replace a part of it set it below 1.
        remarks: what differs from the paper because of this pair, in sentences for plan and report.
    """

    taps: tuple[Tap, ...] = ("logits",)
    needs_teacher: bool = True
    tasks: tuple[str, ...] = ("segmentation",)
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
