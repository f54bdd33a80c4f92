"""One cell while it trains: its student, method, optimiser, random stream, history and checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bench.matrix.cell import Cell
from bench.method import Batch, Method, Pair, Step, TaskOutputs
from bench.method.registry import methods
from bench.method.strength import AS_PUBLISHED, split_strength
from bench.plan.groups import PlannedCell
from bench.store.folders import CellFolder
from bench.train.adversary import Opponent
from bench.train.clock import Stopwatch
from bench.train.costs import Costs
from bench.train.finite import Diverged, LossWatch
from bench.train.memory import MIB, StepMemory, tensor_bytes
from bench.train.optim import build_optimizer, build_schedule
from bench.train.setting import Setting, build_student
from bench.train.states import require_moments, require_state
from bench.train.streams import RandomStream


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
        entry = methods.get(cell.method.name)
        self._strength, params = split_strength(entry.options, cell.method.params)
        with self.stream.active():
            self.student = build_student(cell, setting)
            self.method: Method = entry.builder(pair, **params)
        self.method.to(setting.device).train()
        self.opponents = [Opponent(adversary, cell.recipe.iterations) for adversary in self.method.adversaries()]
        self.optimizer = build_optimizer([*self.student.parameters(), *self.method.parameters()], cell.recipe)
        self.schedule = build_schedule(self.optimizer, cell.recipe)
        self._forward: nn.Module = self.fabric.setup_module(self.student, move_to_device=False)
        self._step_optimizer = self.fabric.setup_optimizers(self.optimizer)
        self._stopwatch = Stopwatch(setting.device)
        self._memory = StepMemory(setting.device)
        self._watched = LossWatch(setting.device)

    @property
    def cell(self) -> Cell:
        """The cell."""
        return self.planned.cell

    def step(self, batch: Batch, images: Tensor, teacher: TaskOutputs | None) -> None:
        """Train one iteration.

        Args:
            batch: the group's batch.
            images: N x 3 x H x W, normalised for this student.
            teacher: the frozen teacher's outputs, or None for a method that needs none.
        """
        with self._stopwatch, self._memory, self.stream.active():
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
            if self._strength != AS_PUBLISHED:
                added = {name: self._strength * term for name, term in added.items()}
            _require_own_names(terms, added)
            terms |= added
            total = self._descend(terms)
            self.loss_terms = tuple(terms)
            logged = terms | self._oppose(outputs, teacher, batch, step)
            self._watched.note(self.iteration, {name: term.detach().float() for name, term in logged.items()}, total)
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

    def settle(self) -> None:
        """Bring what happened since the last call to the host: times, loss terms, divergence.

        Raises:
            Diverged: a loss was not finite.
        """
        self.costs.step_s += self._stopwatch.take()
        self._take_memory()
        self.terms = self._watched.read() or self.terms
        self._watched.require_finite()

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

    def state_dict(self) -> dict[str, Any]:
        """Return all that the rest of the training follows from."""
        return {
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

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned.

        Raises:
            ValueError, KeyError, RuntimeError, TypeError: the state is of another structure; part of it may be loaded.
        """
        require_state(state, self.recipe.iterations)
        self.student.load_state_dict(state["student"])
        self.method.load_state_dict(state["method"])
        self.optimizer.load_state_dict(state["optimizer"])
        require_moments(self.optimizer)
        self.schedule.load_state_dict(state["schedule"])
        for opponent, saved in zip(self.opponents, state["opponents"], strict=True):
            opponent.load_state_dict(saved)
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        self.stream.load_state_dict(state["stream"])
        with self.stream.active():
            pass  # the generators refuse what is none of their states
        self.costs = Costs(**state["costs"])
        self.steps, self.evals = state["steps"], state["evals"]
        self.iteration = state["iteration"]

    def history(self) -> dict[str, Any]:
        """Return the history as it is stored."""
        return {"steps": self.steps, "evals": self.evals}


def _require_own_names(task: Mapping[str, Tensor], method: Mapping[str, Tensor]) -> None:
    if clash := set(task) & set(method):
        raise ValueError(f"the method's loss terms {sorted(clash)} have names of the task's terms")
