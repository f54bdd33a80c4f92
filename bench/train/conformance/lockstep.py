"""Real training of a method on a small pair, by the trainer that trains every cell."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors

from bench.base.device import make_fabric
from bench.base.errors import Interrupted
from bench.base.registry import students
from bench.data.base import Samples
from bench.data.facts import DatasetInfo
from bench.matrix.cell import Cell, DatasetSpec, MethodSpec, ModelSpec, TeacherSpec
from bench.matrix.recipe import Optimizer, recipe_for
from bench.method import Batch, Method, Outputs, Step
from bench.method.registry import methods
from bench.plan.planned import PlannedCell
from bench.store.folders import CHECKPOINT, CellFolder
from bench.tasks.metric import Evidence
from bench.tasks.segmentation.task import Segmentation
from bench.train.checkpoint import load_checkpoint
from bench.train.conformance.models import IGNORE, NUM_CLASSES, SIZE, Kind, Probe
from bench.train.conformance.result import Fault
from bench.train.conformance.scene import ITERATIONS, Situation, make_labels
from bench.train.events import Event, Listener, Stepped
from bench.train.lockstep import LockstepGroup
from bench.train.setting import Setting
from bench.train.stop import StopRequest
from bench.train.trainee import Trainee

NAME = "conformance"
"""What the models and a companion are registered as while a check trains."""
COMPANION = MethodSpec(name=NAME, label=NAME)
SEED = 0
CPU = torch.device("cpu")
RECIPE = recipe_for()(iterations=ITERATIONS, batch_size=2, optimizer=Optimizer(lr=1e-2), evaluations=1, log_every=1)
INFO = DatasetInfo(
    class_names=tuple(f"class {index}" for index in range(NUM_CLASSES)),
    palette=tuple((index, index, index) for index in range(NUM_CLASSES)),
    mean=(0.5, 0.5, 0.5),
    std=(0.3, 0.3, 0.3),
    source="random",
    ignore_index=IGNORE,
)


class Noise(Samples):
    """Random images with patches of random classes, the same every time."""

    names = ("0", "1", "2", "3")

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(3)
        shape = (len(self.names), 3, *SIZE)
        self.images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
        self.labels = make_labels(Situation(images=len(self.names)), generator).to(torch.uint8)

    def __getitem__(self, index: int) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
        """Return the pair at ``index``."""
        return tv_tensors.Image(self.images[index]), tv_tensors.Mask(self.labels[index])


class Companion(Method):
    """Trains beside the method under check: taps everything, draws random numbers, refuses no pair."""

    taps = ("logits", "embedding", "stages")

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the scalar term ``companion``."""
        drawn = torch.rand((), device=student.logits.device)
        target = teacher.logits.detach().square().mean()
        return {"companion": (1 + drawn) * (student.logits.square().mean() - target).square()}


@dataclass
class Trained:
    """A member after its training.

    Attributes:
        state: tensors of student and method by name.
        history: the loss terms of each iteration.
    """

    state: dict[str, Tensor]
    history: list[dict[str, float]]


def same(one: Trained, other: Trained) -> str:
    """Return in which way two trainings differ, or nothing."""
    for iteration, (here, there) in enumerate(zip(one.history, other.history, strict=True)):
        if set(here) != set(there):
            return f"the terms of iteration {iteration} are {', '.join(here)} and {', '.join(there)}"
        for name, value in here.items():
            if value != there[name] and not (value != value and there[name] != there[name]):
                return f"'{name}' of iteration {iteration} is {value:.9g} and {there[name]:.9g}"
    if set(one.state) != set(other.state):
        return f"tensors {sorted(set(one.state) ^ set(other.state))} are in one state_dict alone"
    for name, tensor in one.state.items():
        if not torch.equal(tensor, other.state[name]):
            return f"{name} ends with other values"
    return ""


def train_alone(member: MethodSpec, kind: Kind) -> Trained:
    """Train a method alone."""
    return _train([member], kind)[member.name]


def train_in_two_parts(member: MethodSpec, kind: Kind) -> Trained:
    """Train a method to a checkpoint in the middle, and from there with new instances to the end."""
    with TemporaryDirectory() as folder:
        _train([member], kind, Path(folder), stop_after=ITERATIONS // 2)
        return _train([member], kind, Path(folder))[member.name]


def train_with_companion(member: MethodSpec, kind: Kind) -> tuple[Trained, Trained]:
    """Train a method and a companion in one group; return both."""
    found = _train([member, COMPANION], kind)
    return found[member.name], found[COMPANION.name]


@lru_cache(maxsize=8)
def companion_alone(kind: Kind) -> Trained:
    """Train the companion alone, as it must end beside any method."""
    return train_alone(COMPANION, kind)


class _Stopping(Listener):
    """Asks for a stop after some iterations."""

    def __init__(self, stop: StopRequest, after: int | None) -> None:
        self._stop, self._after = stop, after

    def tell(self, event: Event) -> None:
        if isinstance(event, Stepped) and event.done == self._after:
            self._stop.signal_number = 2


@contextlib.contextmanager
def _registered() -> Iterator[None]:
    """Let the trainer find model and companion for a while."""
    known = {registry: registry.snapshot() for registry in (methods, students)}
    students.register(NAME)(Probe)
    methods.register(NAME)(Companion)
    try:
        yield
    finally:
        for registry, entries in known.items():
            registry.restore(entries)


def _train(
    members: Sequence[MethodSpec], kind: Kind, folder: Path | None = None, stop_after: int | None = None
) -> dict[str, Trained]:
    """Train a group to the end, or to a checkpoint, and return what finished by the method's name.

    Raises:
        Fault: a member failed or diverged, or changed the teacher.
    """
    teacher = kind.model("teacher").to(memory_format=torch.channels_last)
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    stop, failures, done = StopRequest(), {}, {}

    def failed(trainee: Trainee, state: str, reason: str, details: dict[str, Any]) -> None:
        failures[trainee.cell.method.name] = f"{state}: {reason}{_place(details.get('traceback', ''))}"

    def finish(trainee: Trainee, evidence: Evidence, scores: dict[str, Any]) -> None:
        done[trainee.cell.method.name] = trainee

    with _registered(), TemporaryDirectory() as spare:
        group = LockstepGroup(
            trainees=[_trainee(member, kind, (folder or Path(spare)) / member.name) for member in members],
            setting=_setting(),
            teacher=teacher,
            train=Noise(),
            evaluate=Noise(),
            reporter=_Stopping(stop, stop_after),
            stop=stop,
            finish=finish,
            failed=failed,
            checkpoint_seconds=float("inf"),
            closely=True,
        )
        with contextlib.suppress(Interrupted):
            group.run()
    if changes := list(_changes(teacher, before)):
        raise Fault(
            f"the teacher is no longer as it was: {'; '.join(changes)}. It is shared: read teacher.model, but never "
            "call train() on it or write to it"
        )
    if failures:
        raise Fault(*(f"'{name}' {reason}" for name, reason in failures.items()))
    return {name: Trained(_state(trainee), _history(trainee)) for name, trainee in done.items()}


def _trainee(member: MethodSpec, kind: Kind, folder: Path) -> Trainee:
    folder.mkdir(exist_ok=True)
    cell = Cell(
        dataset=DatasetSpec(name=NAME),
        teacher=TeacherSpec(name=NAME, options=kind.options("teacher"), trained_by=NAME),
        student=ModelSpec(name=NAME, options=kind.options("student")),
        method=member,
        seed=SEED,
        recipe=RECIPE,
    )
    trainee = Trainee(PlannedCell(cell, "planned"), CellFolder(folder), _setting(), kind.pair())
    if (folder / CHECKPOINT).exists():
        load_checkpoint(trainee, folder / CHECKPOINT)
    return trainee


def _setting() -> Setting:
    return Setting(INFO, Segmentation, CPU, functools.partial(make_fabric, CPU), lambda spec: None)


def _state(trainee: Trainee) -> dict[str, Tensor]:
    both = {"the student's": trainee.student.state_dict(), "the method's": trainee.method.state_dict()}
    return {
        f"{whose} {name}": tensor.clone()
        for whose, state in both.items()
        for name, tensor in state.items()
        if isinstance(tensor, Tensor)
    }


def _history(trainee: Trainee) -> list[dict[str, float]]:
    return [entry["terms"] for entry in trainee.steps]


def _changes(teacher: Probe, before: dict[str, Tensor]) -> Iterator[str]:
    parameters = dict(teacher.named_parameters())
    changed = [name for name, tensor in teacher.state_dict().items() if not torch.equal(tensor, before[name])]
    for what, wanted in (("weights", True), ("buffers", False)):
        if names := [name for name in changed if (name in parameters) == wanted]:
            yield f"its {what} changed ({', '.join(names[:2])}{', ...' if len(names) > 2 else ''})"
    if teacher.training:
        yield "it was put into training mode"
    if any(one.requires_grad or one.grad is not None for one in parameters.values()):
        yield "its parameters were unfrozen"


def _place(trace: str) -> str:
    """Return the innermost place of a traceback's text."""
    places = re.findall(r'File "([^"]+)", line (\d+)', trace)
    return f" ({places[-1][0]}:{places[-1][1]})" if places else ""
