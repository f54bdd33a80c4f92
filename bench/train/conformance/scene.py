"""What a method is shown in one step: outputs drawn at random, each tap independent of the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.method import Batch, Outputs, Step
from bench.train.conformance.models import IGNORE, NUM_CLASSES, SIZE, Kind, Role, Size

Labels = Literal["mixed", "ignored", "one class", "half ignored"]
ITERATIONS = 4
MIDDLE = 2
"""An iteration at which neither a warm-up nor a fade-out holds a weight at 0."""
PATCH = 8
"""Side of a patch of one class in the labels."""


@dataclass(frozen=True)
class Situation:
    """What is special about a step.

    Attributes:
        size: height and width of the images.
        images: how many there are.
        labels: patches of all classes with an ignored border, or what the name says.
        logits_scale: factor on standard normal logits.
        feature_scale: factor on standard normal embeddings and stages.
        dtype: of both models' outputs.
        alike: the student gives what the teacher gives, wherever their shapes agree.
        teacher_grad: the teacher's outputs have a graph, which training never gives them.
    """

    size: Size = SIZE
    images: int = 2
    labels: Labels = "mixed"
    logits_scale: float = 1.0
    feature_scale: float = 1.0
    dtype: torch.dtype = torch.float32
    alike: bool = False
    teacher_grad: bool = False


@dataclass
class Scene:
    """The arguments of a method's ``forward``."""

    student: Outputs
    teacher: Outputs
    batch: Batch
    step: Step

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Yield all that the scene shares with other methods, of whatever shape, with names as authors write them."""
        yield "batch.images", self.batch.images
        yield "batch.target", self.batch.target
        yield from named("student", self.student)
        yield from named("teacher", self.teacher)


def named(role: Role, outputs: Outputs) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of outputs, each N x C x h x w, by name."""
    yield f"{role}.logits", outputs.logits
    if outputs.embedding is not None:
        yield f"{role}.embedding", outputs.embedding
    for index, stage in enumerate(outputs.stages):
        yield f"{role}.stages[{index}]", stage


def mapped(outputs: Outputs, change: Callable[[Tensor], Tensor]) -> Outputs:
    """Return outputs with every tensor changed.

    Args:
        outputs: logits, perhaps embedding and stages.
        change: called with each tensor, N x C x h x w.
    """
    embedding = None if outputs.embedding is None else change(outputs.embedding)
    stages = tuple(change(stage) for stage in outputs.stages)
    return dataclasses.replace(outputs, logits=change(outputs.logits), embedding=embedding, stages=stages)


def make_scene(kind: Kind, taps: frozenset[str], situation: Situation, iteration: int = MIDDLE) -> Scene:
    """Draw a scene, without models; the same arguments give the same values.

    Args:
        kind: the pair.
        taps: what the method taps; as in training, the teacher's other outputs are left out.
        situation: what is special.
        iteration: of ``ITERATIONS``.
    """
    generator = torch.Generator().manual_seed(1000 + iteration)
    teacher_values = _draw(kind, "teacher", situation, generator)
    student_values = _draw(kind, "student", situation, generator)
    if situation.alike:
        student_values = _alike(student_values, teacher_values)
    student = mapped(student_values, lambda value: value.requires_grad_().clone())
    teacher = mapped(teacher_values, lambda value: value.requires_grad_(situation.teacher_grad).clone())
    images = torch.rand(situation.images, 3, *situation.size, generator=generator)
    batch = Batch(images, make_labels(situation, generator), IGNORE)
    return Scene(student, teacher.keep(taps), batch, Step(iteration, ITERATIONS, _task_loss(student, batch)))


def _draw(kind: Kind, role: Role, situation: Situation, generator: torch.Generator) -> Outputs:
    def draw(shape: Tensor, scale: float) -> Tensor:
        return (scale * torch.randn(shape.shape, generator=generator)).to(situation.dtype)

    shapes = kind.shapes(role, situation.size, situation.images)
    features = mapped(shapes, lambda shape: draw(shape, situation.feature_scale))
    return dataclasses.replace(features, logits=draw(shapes.logits, situation.logits_scale), model=None)


def _alike(student: Outputs, teacher: Outputs) -> Outputs:
    found = dict(named("teacher", teacher))
    pairs = {id(tensor): found.get(name.replace("student", "teacher")) for name, tensor in named("student", student)}

    def twin(tensor: Tensor) -> Tensor:
        other = pairs[id(tensor)]
        return tensor if other is None or other.shape != tensor.shape else other.clone()

    return mapped(student, twin)


def make_labels(situation: Situation, generator: torch.Generator) -> Tensor:
    """Return N x H x W labels."""
    height, width = situation.size
    if situation.labels == "ignored":
        return torch.full((situation.images, height, width), IGNORE)
    coarse = torch.randint(
        0, NUM_CLASSES, (situation.images, -(-height // PATCH), -(-width // PATCH)), generator=generator
    )
    labels = coarse.repeat_interleave(PATCH, 1).repeat_interleave(PATCH, 2)[:, :height, :width].contiguous()
    if situation.labels == "one class":
        labels.zero_()
    elif situation.labels == "half ignored":
        labels[:, :, : width // 2] = IGNORE
    else:
        labels[:, :3] = IGNORE
    return labels


def _task_loss(student: Outputs, batch: Batch) -> Tensor:
    """Return a cross-entropy that every tap has a part in: a method may ask for its gradient at any of them."""
    size = batch.target.shape[-2:]
    scores = F.interpolate(student.logits.float(), size=size, mode="bilinear")
    for name, tensor in named("student", student):
        if name != "student.logits":
            share = F.interpolate(tensor.float().mean(1, keepdim=True), size=size, mode="bilinear")
            scores = scores + share * torch.linspace(-1, 1, NUM_CLASSES).view(1, -1, 1, 1)
    total = F.cross_entropy(scores, batch.target, ignore_index=batch.ignore_index, reduction="sum")
    scored: Tensor = (batch.target != batch.ignore_index).sum()
    return total / scored.clamp(min=1)
