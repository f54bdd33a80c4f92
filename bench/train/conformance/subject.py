"""The method under check, and what can be said of it."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from bench.base.errors import describe_error
from bench.base.registry import Entry
from bench.data.feed.loader import own_stream
from bench.matrix.cell import MethodSpec
from bench.method import Method
from bench.train.adversary import Opponent
from bench.train.conformance.lockstep import Trained, train_alone
from bench.train.conformance.models import KINDS, SIZE, Kind, Probe, Size
from bench.train.conformance.result import Fault, NotApplicable
from bench.train.conformance.scene import ITERATIONS, MIDDLE, Scene, Situation, make_scene

REFUSE = (
    "Where the pair cannot be served raise Unsupported with the reason in __init__; require_tap, require_same_size and "
    "matched_stages of bench.method do"
)


@dataclass
class Subject:
    """A method with its hyperparameters, and what the checks found out about it so far.

    Attributes:
        entry: the registered method or sum.
        params: every hyperparameter, as a matrix would resolve them.
        accepted: the kinds of pairs that it was built for.
        terms: names of the terms that its forward returned.
    """

    entry: Entry[Any]
    params: dict[str, Any]
    accepted: list[Kind] = field(default_factory=list)
    terms: tuple[str, ...] = ()
    _models: dict[Kind, tuple[Probe, Probe]] = field(default_factory=dict, init=False, repr=False)

    @property
    def name(self) -> str:
        """The registered name."""
        return self.entry.name

    @property
    def parts(self) -> Sequence[Entry[Any]]:
        """The method itself, or the parts of a sum."""
        return self.entry.members

    @property
    def files(self) -> tuple[str, ...]:
        """Where it is defined."""
        return tuple(part.origin.rpartition(":")[0] for part in self.parts)

    @cached_property
    def kind(self) -> Kind:
        """The pair that checks are made on."""
        return next(kind for kind in KINDS if kind in self.accepted)

    @property
    def spec(self) -> MethodSpec:
        """The method as a cell names it."""
        return MethodSpec(name=self.name, params=self.params, label=self.name)

    @cached_property
    def training(self) -> Trained:
        """A training of the method alone."""
        return train_alone(self.spec, self.kind)

    def build(self, kind: Kind | None = None, size: Size = SIZE) -> Method:
        """Return a new method in training mode; two of them are the same.

        Raises:
            Unsupported: it refuses the pair.
            Fault: it is no method.
        """
        with own_stream(0):
            method = self.entry.builder((kind or self.kind).pair(size), **self.params)
        if not isinstance(method, Method):
            raise Fault(f"'{self.name}' builds a {type(method).__name__}: return a bench.method.Method")
        return method.train()

    def scene(self, method: Method, situation: Situation, iteration: int = MIDDLE, kind: Kind | None = None) -> Scene:
        """Return a scene with the taps of a method and with models that no other subject sees."""
        kind = kind or self.kind
        if kind not in self._models:
            self._models[kind] = kind.model("student"), kind.model("teacher")
        scene = make_scene(kind, frozenset(method.taps), situation, iteration)
        scene.student.model, scene.teacher.model = self._models[kind]
        return scene

    def show(self, method: Method, scene: Scene) -> dict[str, Tensor]:
        """Return the terms of a scene, scalars by name; two calls draw the same random numbers."""
        with own_stream(100 + scene.step.iteration):
            found: dict[str, Tensor] = method(scene.student, scene.teacher, scene.batch, scene.step)
        return found

    def tell(self, error: BaseException) -> str:
        """Return kind, message and place of an error, and the place in the method's own file that led there."""
        text = describe_error(error)
        frames = traceback.extract_tb(error.__traceback__)
        own = [f"{frame.filename}:{frame.lineno}" for frame in frames if frame.filename in self.files]
        return f"{text}, reached from {own[-1]}" if own and own[-1] not in text else text

    def require_terms(self) -> None:
        """Leave a check that needs terms.

        Raises:
            NotApplicable: the method has none.
        """
        if not self.terms:
            raise NotApplicable("it adds no term")


def gradients(terms: Mapping[str, Tensor], tensors: Sequence[Tensor]) -> list[Tensor | None]:
    """Return the gradient of the sum of terms at tensors, None where there is no path.

    Args:
        terms: scalars by name.
        tensors: of any shape; each gradient has the shape of its tensor.
    """
    total = torch.stack([term.reshape(()).float() for term in terms.values()]).sum()
    if not total.requires_grad:
        return [None] * len(tensors)
    return list(torch.autograd.grad(total, list(tensors), allow_unused=True))


class Rehearsal:
    """A method's own training on scenes, adversaries included, as the trainer does it.

    Args:
        method: newly built.
    """

    def __init__(self, method: Method) -> None:
        self.method = method
        self.opponents = [Opponent(adversary, ITERATIONS) for adversary in method.adversaries()]
        self.parameters = {name: one for name, one in method.named_parameters() if one.requires_grad}
        self._optimizer = torch.optim.AdamW(self.parameters.values(), lr=1e-3) if self.parameters else None

    def descend(self, found: Sequence[Tensor | None]) -> None:
        """Step the method's own parameters down their gradients.

        Args:
            found: a gradient for each of the parameters, of any shape; None for one that has none.
        """
        for parameter, gradient in zip(self.parameters.values(), found, strict=True):
            parameter.grad = gradient
        if self._optimizer is not None:
            self._optimizer.step()

    def oppose(self, scene: Scene) -> dict[str, Tensor]:
        """Train the adversaries on a scene; return their terms, scalars by name."""
        step = scene.step
        step.task_loss = step.task_loss.detach()
        terms: dict[str, Tensor] = {}
        with own_stream(200 + step.iteration):
            for opponent in self.opponents:
                terms |= opponent.step(scene.student.detach(), scene.teacher, scene.batch, step)
        return terms

    def networks(self) -> Iterator[nn.Module]:
        """Yield the adversaries' networks."""
        yield from (opponent.adversary.network for opponent in self.opponents)
