"""Checks at the edges: sizes, labels, extreme and low-precision values, ignored pixels."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from bench.base.errors import Unsupported
from bench.method import Method
from bench.train.conformance.models import EQUAL, Kind
from bench.train.conformance.result import Fault, NotApplicable
from bench.train.conformance.scene import ITERATIONS, Scene, Situation, mapped, named
from bench.train.conformance.subject import Rehearsal, Subject, gradients

LOW = (torch.bfloat16, torch.float16)
LOW_SCALE = 30.0
"""Standard deviation of what is shown in low precision: sums of its squares overflow float16."""


def sizes(subject: Subject) -> str:
    """Loss and gradients are finite for odd sizes and a batch of one."""
    return _tried(
        subject,
        {
            "logits of 9 x 7": Situation((36, 28)),
            "logits of 13 x 3": Situation((52, 12)),
            "logits of 17 x 13": Situation((68, 52)),
            "images of 61 x 45": Situation((61, 45)),
            "a batch of one image": Situation(images=1),
        },
    )


def labels(subject: Subject) -> str:
    """Loss and gradients are finite where all pixels are ignored and where classes are absent."""
    return _tried(
        subject,
        {"all pixels ignored": Situation(labels="ignored"), "class 0 alone": Situation(labels="one class")},
    )


def extremes(subject: Subject) -> str:
    """Loss and gradients are finite for very peaked logits, zero outputs and a student that equals its teacher."""
    return _tried(
        subject,
        {
            "logits of 1e4": Situation(logits_scale=1e4),
            "zero features": Situation(feature_scale=0.0),
            "zero logits": Situation(logits_scale=0.0),
            "a student that equals its teacher": Situation(alike=True),
        },
    )


def _tried(subject: Subject, situations: dict[str, Situation]) -> str:
    problems, refused = [], []
    for what, situation in situations.items():
        kind = EQUAL if situation.alike and EQUAL in subject.accepted else subject.kind
        try:
            found = _broken(subject, kind, situation)
        except Unsupported as verdict:
            refused.append(f"{what} refused: {verdict}")
            continue
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever an author's code raises is a finding
            found = [subject.tell(error)]
        problems += [f"{what}: {problem}" for problem in found]
    if problems:
        raise Fault(*problems)
    return "; ".join(refused)


def _broken(subject: Subject, kind: Kind, situation: Situation) -> list[str]:
    """Return what is not finite in a situation."""
    method = subject.build(kind, situation.size)
    rehearsal = Rehearsal(method)
    scene = subject.scene(method, situation, kind=kind)
    problems = [*not_finite(subject.show(method, scene), scene, rehearsal)]
    opposing = rehearsal.oppose(scene)
    weights = [one for network in rehearsal.networks() for one in network.parameters()]
    if not _all_finite([*opposing.values(), *weights]):
        problems.append("an adversary's loss or the weights after its step are not finite")
    return problems


def not_finite(terms: dict[str, Tensor], scene: Scene, rehearsal: Rehearsal) -> Iterator[str]:
    """Yield the terms, and the tensors with a gradient, that are not finite.

    Args:
        terms: scalars by name.
        scene: what they were computed from.
        rehearsal: gives the method's own parameters.
    """
    if not terms:
        return
    for name, term in terms.items():
        if not _all_finite([term]):
            yield f"the term '{name}' is {float(term.detach())}"
    tensors = {**dict(named("student", scene.student)), **rehearsal.parameters}
    found = gradients(terms, list(tensors.values()))
    bad = [name for name, gradient in zip(tensors, found, strict=True) if not _all_finite([gradient])]
    if bad:
        yield f"the gradient is not finite at {', '.join(bad[:4])}"


def _all_finite(tensors: list[Tensor | None] | list[Tensor]) -> bool:
    return all(tensor is None or bool(torch.isfinite(tensor).all()) for tensor in tensors)


def precision(subject: Subject) -> str:
    """Half-precision outputs give finite float32 terms; float32 outputs give finite ones under autocast."""
    subject.require_terms()
    problems: list[str] = []
    for dtype in LOW:
        what = f"{str(dtype).removeprefix('torch.')} outputs"
        situation = Situation(logits_scale=LOW_SCALE, feature_scale=LOW_SCALE, dtype=dtype)
        with _telling(subject, what, problems):
            problems += [f"{what}: {problem}" for problem in _low(subject, situation)]
    with _telling(subject, "under autocast", problems), torch.autocast("cpu", dtype=torch.bfloat16):
        problems += [f"under autocast: {problem}" for problem in _broken(subject, subject.kind, Situation())]
    if problems:
        raise Fault(*problems)
    return ""


@contextlib.contextmanager
def _telling(subject: Subject, what: str, problems: list[str]) -> Iterator[None]:
    try:
        yield
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever an author's code raises is a finding
        problems.append(f"{what}: {subject.tell(error)}")


def _low(subject: Subject, situation: Situation) -> list[str]:
    method = subject.build()
    try:
        return [*_narrow(subject, method, situation), *_broken(subject, subject.kind, situation)]
    except RuntimeError:
        if not any(parameter.is_floating_point() for parameter in method.parameters()):
            raise
    # float32 weights do not multiply half-precision maps but under autocast, which decides about types itself
    with torch.autocast("cpu", dtype=situation.dtype):
        return _broken(subject, subject.kind, situation)


def _narrow(subject: Subject, method: Method, situation: Situation) -> Iterator[str]:
    for name, term in subject.show(method, subject.scene(method, situation)).items():
        if torch.promote_types(term.dtype, torch.float32) != term.dtype:
            yield f"the term '{name}' is {term.dtype}: sum in float32 (bench.method.wide)"


def ignored(subject: Subject) -> str:
    """Where it says so (``masks_ignored``), outputs at ignored pixels move no term."""
    subject.require_terms()
    if not subject.build().masks_ignored:
        raise NotApplicable("does not claim to mask ignored pixels")
    expected = _ignored_terms(subject, ())
    for roles in (("student",), ("student", "teacher")):
        found = _ignored_terms(subject, roles)
        moved = [name for name in expected if not torch.allclose(expected[name], found[name], rtol=1e-6, atol=0)]
        if moved:
            raise Fault(
                f"the {roles[-1]}'s outputs at ignored pixels move {', '.join(moved)}: mask them, or set "
                "masks_ignored = False"
            )
    return ""


def _ignored_terms(subject: Subject, changed: tuple[str, ...]) -> dict[str, Tensor]:
    """Return each term's values over the iterations, with outputs at ignored pixels changed where wanted."""
    method = subject.build()
    values: dict[str, list[Tensor]] = {}
    for iteration in range(ITERATIONS):
        scene = subject.scene(method, Situation(labels="half ignored"), iteration)
        scene.student = mapped(scene.student, _disturbed) if "student" in changed else scene.student
        scene.teacher = mapped(scene.teacher, _disturbed) if "teacher" in changed else scene.teacher
        for name, term in subject.show(method, scene).items():
            values.setdefault(name, []).append(term.detach())
    return {name: torch.stack(found) for name, found in values.items()}


def _disturbed(tensor: Tensor) -> Tensor:
    """Return a map with other values in its left half, which is ignored, up to one cell before the border.

    That cell may reach over the border where a method resizes maps bilinearly.
    """
    width = tensor.shape[-1] // 2 - 1
    if width < 1:
        return tensor
    noise = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(7))
    noise[..., width:] = 0
    return tensor + 3 * noise.to(tensor.dtype)
