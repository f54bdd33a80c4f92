"""One cell while it trains: its student, method, optimiser, random stream, history and checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from bench.base.files import write_atomic
from bench.data.facts import DatasetInfo
from bench.matrix.cell import Cell, ModelSpec
from bench.method import Batch, Method, Pair, Step, TaskOutputs
from bench.method.registry import methods
from bench.models.base import Model
from bench.models.weights.published import under_own_names
from bench.models.weights.reading import load_into, read_weights
from bench.plan.build import build_spec
from bench.plan.groups import PlannedCell
from bench.store.folders import CHECKPOINT, PREVIOUS, CellFolder
from bench.tasks.base import Task
from bench.train.adversary import Opponent
from bench.train.clock import Stopwatch
from bench.train.memory import MIB, StepMemory, tensor_bytes
from bench.train.optim import build_optimizer, build_schedule
from bench.train.streams import RandomStream


class Diverged(Exception):  # noqa: N818 - an outcome of training, not a fault
    """The loss or the weights are not finite.

    Args:
        iteration: the first iteration with a non-finite loss.
        terms: loss terms of that iteration by name.
    """

    def __init__(self, iteration: int, terms: dict[str, float]) -> None:
        self.iteration = iteration
        self.terms = terms
        shown = ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
        super().__init__(f"not finite at iteration {iteration}: {shown or 'the weights'}")


@dataclass
class Costs:
    """What a cell took, as if it had trained alone.

    Attributes:
        step_s: seconds of its own forward, loss, backward and optimiser steps.
        teacher_s: seconds of teacher forwards that it listened to.
        eval_s: seconds of evaluations.
        train_mem_mib: peak memory of training on CUDA: its own weights and optimiser, the teacher's weights where it
            listens, and the most that a step took beyond; None elsewhere.
    """

    step_s: float = 0.0
    teacher_s: float = 0.0
    eval_s: float = 0.0
    train_mem_mib: float | None = None

    def record(self, iterations: int) -> dict[str, float | None]:
        """Return the costs as they stand in results; ``train_s`` is teacher plus own steps."""
        train_s = self.step_s + self.teacher_s
        step_ms = 1e3 * train_s / iterations
        return {**vars(self), "train_s": train_s, "iterations": iterations, "step_ms_mean": step_ms}


@dataclass
class Setting:
    """What the members of a group share.

    Attributes:
        info: the dataset's facts.
        task: the dataset's task.
        device: the training device.
        make_fabric: returns a new Fabric for a precision.
        initial_weights: returns the tensors that a model starts from, or None.
    """

    info: DatasetInfo
    task: type[Task]
    device: torch.device
    make_fabric: Callable[[str], Fabric]
    initial_weights: Callable[[ModelSpec], dict[str, Tensor] | None]

    @property
    def channels(self) -> int:
        """Output channels that models are built with."""
        return self.task.channels(self.info)


class Trainee:
    """A cell in training.

    Args:
        planned: the cell.
        folder: where its files go.
        setting: what the group shares.
        pair: classes and output shapes.
    """

    def __init__(self, planned: PlannedCell, folder: CellFolder, setting: Setting, pair: Pair) -> None:
        self.planned, self.folder, self.setting = planned, folder, setting
        cell, info = planned.cell, setting.info
        self.recipe = cell.recipe
        self.iteration = 0
        self.costs = Costs()
        self.teacher_bytes = 0
        self.steps: list[dict[str, Any]] = []
        self.evals: list[dict[str, Any]] = []
        self.terms: dict[str, float] = {}
        self.loss_terms: tuple[str, ...] = ()
        self.task = setting.task(info, cell.recipe)
        self.fabric = setting.make_fabric(cell.recipe.precision)
        self.stream = RandomStream(cell.seed, setting.device)
        with self.stream.active():
            self.student = self._build_student(cell, info, setting)
            self.method: Method = methods.get(cell.method.name).builder(pair, **cell.method.params)
        self.method.to(setting.device).train()
        self.opponents = [Opponent(adversary, cell.recipe.iterations) for adversary in self.method.adversaries()]
        self.optimizer = build_optimizer([*self.student.parameters(), *self.method.parameters()], cell.recipe)
        self.schedule = build_schedule(self.optimizer, cell.recipe)
        self._forward: nn.Module = self.fabric.setup_module(self.student, move_to_device=False)
        self._step_optimizer = self.fabric.setup_optimizers(self.optimizer)
        self._watch = Stopwatch(setting.device)
        self._memory = StepMemory(setting.device)
        self._names: tuple[str, ...] = ()
        self._last: Tensor | None = None
        self._bad_at = torch.full((), -1, device=setting.device)
        self._bad_terms: Tensor | None = None

    def _build_student(self, cell: Cell, info: DatasetInfo, setting: Setting) -> Model:
        student = build_spec(cell.student, setting.channels)
        weights = setting.initial_weights(cell.student)
        if weights is not None:
            load_into(student, under_own_names(student, weights), f"weights of student '{cell.student.name}'")
        else:
            for source in student.pretrained:
                source.load(student)
        if cell.recipe.channels_last:
            student = student.to(memory_format=torch.channels_last)
        return student.to(setting.device).train()

    @property
    def cell(self) -> Cell:
        """The cell."""
        return self.planned.cell

    def step(self, batch: Batch, images: Tensor, teacher: TaskOutputs | None) -> None:
        """Train one iteration.

        Args:
            batch: the group's batch.
            images: its images, normalised for this student.
            teacher: the frozen teacher's outputs, or None for a method that needs none.
        """
        with self._watch, self._memory, self.stream.active():
            outputs: Any = self._forward(images)
            outputs.model = self.student
            terms = self.task.loss(outputs, batch)
            step = Step(self.iteration, self.recipe.iterations, torch.stack(list(terms.values())).sum())
            if self.method.task_weight != 1:
                terms = {name: self.method.task_weight * term for name, term in terms.items()}
            if not self.method.needs_teacher:
                teacher = outputs.detach()  # whether the group has a teacher must make no difference
            elif teacher is None:
                raise RuntimeError("the method needs a teacher and the group has none")
            added: dict[str, Tensor] = self.method(outputs, teacher, batch, step)
            _require_own_names(terms, added)
            terms |= added
            total = self._descend(terms)
            self.loss_terms = tuple(terms)
            logged = terms | self._oppose(outputs, teacher, batch, step)
            self._remember({name: term.detach().float() for name, term in logged.items()}, total)
        self.iteration += 1

    def _take_memory(self) -> None:
        if self._memory.bytes is None:
            return
        own = [*self.student.state_dict().values(), *self.method.state_dict().values()]
        moments = [value for state in self.optimizer.state.values() for value in state.values()]
        own += [value for value in moments if isinstance(value, Tensor)]
        total = (tensor_bytes(own) + self.teacher_bytes + self._memory.bytes) / MIB
        self.costs.train_mem_mib = max(self.costs.train_mem_mib or 0.0, total)

    def _oppose(self, outputs: Any, teacher: Any, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Train the method's adversaries on what the student gave before its own step."""
        terms: dict[str, Tensor] = {}
        if not self.opponents:
            return terms
        before = outputs.detach()
        step = dataclasses.replace(step, task_loss=step.task_loss.detach())
        for opponent in self.opponents:
            terms |= opponent.step(before, teacher, batch, step)
        return terms

    def _descend(self, terms: dict[str, Tensor]) -> Tensor:
        """Step the student down the sum of the terms, which is returned without its graph."""
        total = torch.stack([term.reshape(()) for term in terms.values()]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(total)
        if self.recipe.clip_grad_norm is not None:
            self.fabric.clip_gradients(
                self._forward, self._step_optimizer, max_norm=self.recipe.clip_grad_norm, error_if_nonfinite=False
            )
        self._step_optimizer.step()
        self.schedule.step()
        return total.detach()

    def _remember(self, terms: dict[str, Tensor], total: Tensor) -> None:
        """Keep the last terms and those of the first non-finite step, on the device: reading them would stall it."""
        self._names = tuple(terms)
        self._last = torch.stack([term.reshape(()) for term in terms.values()])
        first = ~(torch.isfinite(total) & torch.isfinite(self._last).all()) & (self._bad_at < 0)
        self._bad_at = torch.where(first, self.iteration, self._bad_at)
        if self._bad_terms is None or self._bad_terms.shape != self._last.shape:
            self._bad_terms = self._last
        self._bad_terms = torch.where(first, self._last, self._bad_terms)

    def settle(self) -> None:
        """Bring what happened since the last call to the host: times, loss terms, divergence.

        Raises:
            Diverged: a loss was not finite.
        """
        self.costs.step_s += self._watch.take()
        self._take_memory()
        if self._last is not None:
            self.terms = dict(zip(self._names, self._last.tolist(), strict=True))
        bad_at = int(self._bad_at)
        if bad_at >= 0:
            values = self._bad_terms.tolist() if self._bad_terms is not None else []
            raise Diverged(bad_at, dict(zip(self._names, values, strict=True)))

    def log(self) -> None:
        """Add the last step's loss terms to the history."""
        rate = float(self.optimizer.param_groups[0]["lr"])
        self.steps.append({"iteration": self.iteration, "lr": rate, "terms": dict(self.terms)})

    def require_finite_weights(self) -> None:
        """Refuse to score weights that are not finite.

        Raises:
            Diverged: some weight is not.
        """
        if not all(bool(torch.isfinite(parameter).all()) for parameter in self.student.parameters()):
            raise Diverged(self.iteration, {})

    def save_checkpoint(self) -> None:
        """Write the checkpoint; the one before is kept beside it until then."""
        state = {
            "iteration": self.iteration,
            "student": self.student.state_dict(),
            "method": self.method.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "opponents": [opponent.state_dict() for opponent in self.opponents],
            "precision": self.fabric.strategy.precision.state_dict(),
            "stream": self.stream.state_dict(),
            "costs": vars(self.costs),
            "steps": self.steps,
            "evals": self.evals,
        }
        current = self.folder.path / CHECKPOINT
        if current.exists():
            current.replace(self.folder.path / PREVIOUS)
        write_atomic(current, lambda file: torch.save(state, file))

    def load_checkpoint(self) -> str | None:
        """Go on from the newest readable checkpoint.

        Returns:
            What was read, for the log, or None where there was nothing to read.
        """
        for name in (CHECKPOINT, PREVIOUS):
            path = self.folder.path / name
            if not path.exists():
                continue
            try:
                state = torch.load(path, map_location=self.setting.device, weights_only=True)
            except Exception:  # noqa: BLE001 - whatever is wrong with a torn file, the one before may be whole
                continue
            self._restore(state)
            return f"resumed at iteration {self.iteration} from {name}"
        return None

    def _restore(self, state: dict[str, Any]) -> None:
        self.student.load_state_dict(state["student"])
        self.method.load_state_dict(state["method"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        for opponent, saved in zip(self.opponents, state["opponents"], strict=True):
            opponent.load_state_dict(saved)
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        stream = state["stream"]
        stream["torch"] = stream["torch"].cpu()
        stream["cuda"] = stream["cuda"].cpu() if stream["cuda"] is not None else None
        stream["numpy"][1] = stream["numpy"][1].cpu()
        self.stream.load_state_dict(stream)
        self.costs = Costs(**state["costs"])
        self.steps, self.evals = state["steps"], state["evals"]
        self.iteration = state["iteration"]

    def history(self) -> dict[str, Any]:
        """Return the history as it is stored."""
        return {"steps": self.steps, "evals": self.evals}


def read_initial_weights(model: ModelSpec, files: Mapping[str, Path]) -> dict[str, Tensor] | None:
    """Return the weights a model starts from, or None.

    Args:
        model: the student.
        files: weights files by digest.
    """
    return read_weights(files[model.weights_sha256]) if model.weights_sha256 else None


def _require_own_names(task: Mapping[str, Tensor], method: Mapping[str, Tensor]) -> None:
    if clash := set(task) & set(method):
        raise ValueError(f"the method's loss terms {sorted(clash)} have names of the task's terms")
