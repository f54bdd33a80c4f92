"""The steps that several methods share: taps, sizes, labels on a feature map, distributions, attention."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.base.errors import Unsupported
from bench.method.base import Outputs, OutputSpec, Pair, TapSpec

OneTap = Literal["logits", "embedding", "stages"]
Resize = Literal["none", "student", "teacher"]
"""Which map is brought to the other's size where the two differ; ``none`` refuses such a pair."""


def _spec(spec: OutputSpec, tap: str, stage: int) -> TapSpec | None:
    if tap != "stages":
        return getattr(spec, tap, None)
    return spec.stages[stage] if -len(spec.stages) <= stage < len(spec.stages) else None


def require_tap(pair: Pair, tap: str, method: str, stage: int = -1) -> tuple[TapSpec, TapSpec]:
    """Return channels and strides of one tap of student and teacher.

    Args:
        pair: the pair.
        tap: which output.
        method: named in the refusal.
        stage: index among the stages, for that tap; negative ones count from the coarsest.

    Raises:
        Unsupported: a model does not give that output.
    """
    found = []
    for role, spec in (("student", pair.student), ("teacher", pair.teacher)):
        one = _spec(spec, tap, stage)
        if one is None:
            what = f"stage {stage}, of which the {role} has {len(spec.stages)}" if tap == "stages" else ""
            raise Unsupported(f"{method} compares the {what or f'{tap}, which the {role} does not give'}")
        found.append(one)
    return found[0], found[1]


def require_same_size(
    pair: Pair, tap: str, method: str, stage: int = -1, resize: Resize | None = None
) -> tuple[TapSpec, TapSpec]:
    """Return what :func:`require_tap` does for a pair whose maps have one size.

    Args:
        pair: the pair.
        tap: which output.
        method: named in the refusal.
        stage: index among the stages, for that tap.
        resize: the method's own option of that name, where it has one; then ``none`` alone refuses two sizes.

    Raises:
        Unsupported: a model lacks the tap, or the strides differ.
    """
    student, teacher = require_tap(pair, tap, method, stage)
    if student.stride != teacher.stride and resize in (None, "none"):
        hint = "" if resize is None else ". resize: teacher (or student) resizes one of them, which the paper does not"
        raise Unsupported(
            f"{method} compares {tap} of one size; strides are "
            f"{student.stride:g} (student) and {teacher.stride:g} (teacher){hint}"
        )
    return student, teacher


def of_one_size(student_map: Tensor, teacher_map: Tensor, resize_which: Resize) -> tuple[Tensor, Tensor]:
    """Return two maps, one of them resized to the other's size where it is to be."""
    if resize_which == "student":
        return resize(student_map, teacher_map.shape[-2:]), teacher_map
    if resize_which == "teacher":
        return student_map, resize(teacher_map, student_map.shape[-2:])
    return student_map, teacher_map


def tap_of(outputs: Outputs, tap: str, stage: int = -1) -> Tensor:
    """Return one output by name.

    Raises:
        RuntimeError: the model did not give it, though it said it would.
    """
    found = outputs.stages[stage] if tap == "stages" else getattr(outputs, tap)
    if not isinstance(found, Tensor):
        raise RuntimeError(f"the model gave no {tap}")
    return found


def matched_stages(pair: Pair, method: str) -> list[tuple[int, int]]:
    """Return ``(student stage, teacher stage)`` indices, fine to coarse.

    Models with equally many stages are matched one to one. Otherwise a student's stage goes with the first teacher's
    stage of its stride that is still free, and what has no partner is left out.

    Raises:
        Unsupported: no stage of the student has a partner.
    """
    student, teacher = pair.student.stages, pair.teacher.stages
    if student and len(student) == len(teacher):
        return [(index, index) for index in range(len(student))]
    matched: list[tuple[int, int]] = []
    for index, spec in enumerate(student):
        taken = {other for _, other in matched}
        partners = (k for k, one in enumerate(teacher) if one.stride == spec.stride and k not in taken)
        if (partner := next(partners, None)) is not None:
            matched.append((index, partner))
    if not matched:
        strides = ["/".join(f"{one.stride:g}" for one in specs) or "none" for specs in (student, teacher)]
        raise Unsupported(
            f"{method} compares encoder stages of equal stride; strides are "
            f"{strides[0]} (student) and {strides[1]} (teacher)"
        )
    return matched


def wide(tensor: Tensor) -> Tensor:
    """Return a tensor in float32, or as it is where it is wider: sums and softmax of half precision lose digits."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def resize(tensor: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Return N x C x h x w maps at another height and width, bilinear without aligned corners."""
    if tensor.shape[-2:] == tuple(size):
        return tensor
    return F.interpolate(tensor, size=tuple(size), mode="bilinear", align_corners=False)


def labels_at(target: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Return labels at the size of a feature map by nearest neighbour: source ``floor(i * (H / h))``.

    The ratio is taken in single precision, as the implementations of IFVD do, which decides ties.

    Args:
        target: N x H x W int64.
        size: h and w.

    Returns:
        N x h x w int64.
    """
    if target.shape[-2:] == tuple(size):
        return target
    # class indices and ignore labels are far below 2^24, so float32 holds them exactly
    return F.interpolate(target[:, None].float(), size=tuple(size), mode="nearest")[:, 0].long()


def attention_map(feature: Tensor) -> Tensor:
    """Return the squared activation of each position, averaged over channels, as a unit vector for each image.

    Zagoruyko, Komodakis, "Paying More Attention to Attention", ICLR 2017, arXiv 1612.03928.

    Args:
        feature: N x C x h x w.

    Returns:
        N x (h * w), each row of L2 norm 1, float32 or wider.
    """
    return F.normalize(wide(feature).square().mean(1).flatten(1), dim=1)


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
    student_log = F.log_softmax(wide(student) / tau, dim=dim)
    teacher_log = F.log_softmax(wide(teacher.detach()) / tau, dim=dim)
    return F.kl_div(student_log, teacher_log, reduction="none", log_target=True).sum(dim)
