"""Checks of one forward: its terms, where their gradients go, what it leaves alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from bench.method import Method
from bench.train.conformance.models import BARE, STRIDED, Kind
from bench.train.conformance.result import Fault, NotApplicable
from bench.train.conformance.scene import ITERATIONS, Scene, Situation, named
from bench.train.conformance.subject import REFUSE, Rehearsal, Subject, gradients

PLAIN = Situation()
TASK_TERMS = frozenset({"ce", "auxiliary"})
"""What :class:`bench.tasks.segmentation.task.Segmentation` calls its own terms."""


def terms(subject: Subject) -> str:
    """It returns finite scalar tensors by name, none named like the task's, on every pair that it accepts."""
    if not subject.accepted:
        raise NotApplicable("no pair is accepted")
    problems: list[str] = []
    names: dict[str, None] = {}
    for kind in subject.accepted:
        method = subject.build(kind)
        try:
            found = _rehearsed(subject, method, kind)
        except Fault as fault:
            problems.append(f"{kind.name}: {fault}")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever an author's code raises is a finding
            problems.append(f"{kind.name}: {subject.tell(error)}{_hint(method, error, kind)}")
        else:
            names |= dict.fromkeys(found)
            if not found and method.needs_teacher:
                problems.append(
                    f"{kind.name}: forward returns no term: return at least one, or set needs_teacher = False"
                )
    if problems:
        raise Fault(*problems)
    subject.terms = tuple(names)
    return ", ".join(names)


def _rehearsed(subject: Subject, method: Method, kind: Kind) -> list[str]:
    """Return the names of the terms of all iterations."""
    rehearsal = Rehearsal(method)
    names: dict[str, None] = {}
    for iteration in range(ITERATIONS):
        scene = subject.scene(method, PLAIN, iteration, kind)
        found = subject.show(method, scene)
        require_terms(found)
        opposing = rehearsal.oppose(scene)
        require_terms(opposing)
        require_own_names(found, opposing)
        names |= dict.fromkeys(found)
    return list(names)


def _hint(method: Method, error: BaseException, kind: Kind) -> str:
    missing = isinstance(error, IndexError) or any(word in str(error) for word in ("None", "gave no"))
    if missing and not {"embedding", "stages"} <= set(method.taps):
        return f". The teacher gives what is in taps alone: taps = {tuple(method.taps)}"
    return f". {REFUSE}" if kind in (STRIDED, BARE) else ""


def require_terms(found: Any) -> None:
    """Refuse what the trainer cannot add to the loss.

    Raises:
        Fault: no dict, no tensor, no scalar, not finite.
    """
    if not isinstance(found, dict):
        raise Fault(f"forward returns a {type(found).__name__}: return a dict of scalar tensors by name")
    problems = [problem for name, term in found.items() if (problem := _bad_term(name, term))]
    if problems:
        raise Fault(*problems)


def _bad_term(name: Any, term: Any) -> str:
    if not isinstance(name, str) or not name:
        return f"the name of a term is {name!r}: use text"
    if not isinstance(term, Tensor):
        return f"the term '{name}' is a {type(term).__name__}: return a tensor, which keeps its graph"
    if term.dim() or not term.is_floating_point():
        shape = "x".join(str(side) for side in term.shape) or "scalar"
        return (
            f"the term '{name}' is a {shape} tensor of {term.dtype}: return a floating-point scalar, as .mean() gives"
        )
    if not bool(torch.isfinite(term)):
        return f"the term '{name}' is {float(term.detach())}: it must be finite"
    return ""


def require_own_names(found: dict[str, Tensor], opposing: dict[str, Tensor]) -> None:
    """Refuse names that stand for something else already.

    Args:
        found: the method's terms, scalars by name.
        opposing: its adversaries' terms, scalars by name.

    Raises:
        Fault: a name of the task's terms, or one name for a term and an adversary's.
    """
    if clash := sorted(TASK_TERMS & {*found, *opposing}):
        raise Fault(f"the terms {clash} have names of the task's own terms: use the method's name instead")
    if clash := sorted(set(found) & set(opposing)):
        raise Fault(f"the terms {clash} are both forward's and an adversary's: give them different names")


def reach(subject: Subject) -> str:
    """Its gradient reaches every tap that it declares and every parameter that it trains."""
    subject.require_terms()
    method = subject.build()
    rehearsal = Rehearsal(method)
    reached, seen, moved = set(), set(), set()
    for iteration in range(ITERATIONS):
        scene = subject.scene(method, PLAIN, iteration)
        outputs = dict(named("student", scene.student))
        found = subject.show(method, scene)
        all_found = gradients(found, [*outputs.values(), *rehearsal.parameters.values()])
        of_outputs, of_parameters = all_found[: len(outputs)], all_found[len(outputs) :]
        for name, gradient in zip(outputs, of_outputs, strict=True):
            if gradient is not None and bool(gradient.any()):
                reached.add(name.removeprefix("student.").partition("[")[0])
        for name, gradient in zip(rehearsal.parameters, of_parameters, strict=True):
            if gradient is not None:
                seen.add(name)
                moved |= {name} if bool(gradient.any()) else set()
        rehearsal.descend(of_parameters)
        rehearsal.oppose(scene)
    problems = list(_unreached(method, reached, list(rehearsal.parameters), seen, moved))
    if problems:
        raise Fault(*problems)
    trained = f"; {len(rehearsal.parameters)} trained tensors" if rehearsal.parameters else ""
    return ", ".join(sorted(reached)) + trained


def _unreached(
    method: Method, reached: set[str], parameters: list[str], seen: set[str], moved: set[str]
) -> Iterator[str]:
    if not reached:
        yield "no gradient reaches the student: the terms are detached from its outputs"
        return
    for tap in method.taps:
        if tap not in reached:
            yield f"no gradient reaches the student's {tap}: take '{tap}' out of taps, or use it"
    if lost := [name for name in parameters if name not in seen]:
        yield (
            f"no gradient reaches the parameters {_some(lost)}: use them in forward, make them buffers, or call "
            "requires_grad_(False)"
        )
    if still := [name for name in parameters if name in seen - moved]:
        yield f"the gradient of the parameters {_some(still)} is 0 throughout: they would never learn"


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def teacher(subject: Subject) -> str:
    """No gradient reaches the teacher's outputs."""
    subject.require_terms()
    for iteration in range(ITERATIONS):
        method = subject.build()
        scene = subject.scene(method, Situation(teacher_grad=True), iteration)
        outputs = dict(named("teacher", scene.teacher))
        found = gradients(subject.show(method, scene), list(outputs.values()))
        leaking = [name for name, gradient in zip(outputs, found, strict=True) if gradient is not None]
        if leaking:
            raise Fault(f"a gradient runs into {', '.join(leaking)}: use {leaking[0]}.detach()")
    return ""


def inputs(subject: Subject) -> str:
    """It writes nothing into batch and outputs, which its companions share."""
    method = subject.build()
    rehearsal = Rehearsal(method)
    for iteration in range(ITERATIONS):
        scene = subject.scene(method, PLAIN, iteration)
        shared = {name: (tensor, tensor._version, tensor.detach().clone()) for name, tensor in scene.tensors()}
        subject.show(method, scene)
        _require_unchanged(scene, shared, "forward")
        rehearsal.oppose(scene)
        _require_unchanged(scene, shared, "an adversary's loss")
    return ""


def _require_unchanged(scene: Scene, shared: dict[str, tuple[Tensor, int, Tensor]], who: str) -> None:
    now = dict(scene.tensors())
    for name, (tensor, version, before) in shared.items():
        if now.get(name) is not tensor:
            raise Fault(f"{who} puts another tensor in the place of {name}: leave batch and outputs as they are")
        if tensor._version != version or not torch.equal(tensor.detach(), before):
            raise Fault(f"{who} writes into {name}: work on a copy, as operations without a trailing _ make")
    if extra := set(now) - set(shared):
        raise Fault(f"{who} adds {', '.join(sorted(extra))}: leave batch and outputs as they are")


def grad_mode(subject: Subject) -> str:
    """Its values are the same under ``torch.no_grad``."""
    subject.require_terms()
    method, other = subject.build(), subject.build()
    expected = subject.show(method, subject.scene(method, PLAIN))
    scene = subject.scene(other, PLAIN)
    try:
        with torch.no_grad():
            found = subject.show(other, scene)
    except RuntimeError as error:
        if "does not require grad" in str(error):
            raise NotApplicable("forward asks for gradients itself") from None
        raise
    if differing := [name for name in expected if name not in found or not torch.equal(expected[name], found[name])]:
        raise Fault(f"the terms {differing} differ under torch.no_grad: a value must not depend on the gradient mode")
    return ""
