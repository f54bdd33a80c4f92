r"""Boundary and context distillation: all encoder stages as one tensor, compared by boundaries and by relations.

Zhang, Dong, Hu, Chen, Cheng, "Towards Complementary Knowledge Distillation for Efficient Dense Image Prediction", arXiv
2401.13174 (v1: "Boundary and Relation Distillation"; later BCKD, TMLR 2026). Reconstruction: no public code was found,
and the formulas come from the text and from the public code of what it cites (jiwoon-ahn/irn for pixel pairs,
MCG-NKU/SERE for relations, mary-phuong/multiexit-distillation for the temperature).

Each student stage gets a 1 x 1 convolution to the teacher's width; the stages are resized to one grid (area pooling
where both sides shrink, else bilinear), concatenated to C channels, and every position is standardised over its
channels to z. With 4-neighbours k and n:

.. math::
    e_k &= max_n \tfrac{1}{2} (1 - \langle z_k, z_n \rangle / C), \qquad
        P_{ij} = max_{k \in path(i, j)} e_k \\
    L_B &= mean_{images,offsets} KL(softmax_i(\kappa P^t / T_b) \| softmax_i(\kappa P^s / T_b)) \\
    R &= softmax_j(\langle z_i, z_j \rangle / (\sqrt{C} T_c)), \qquad
        L_C = mean_{images,i} KL(R^t_i \| R^s_i) / \ln L' \\
    L &= r (w_B L_B + w_C L_C), \qquad r = 1 - progress

Offsets from i to j are those of a half plane nearer than the radius (34 for 5), a path is every integer point of the
offset's bounding box nearer than 1 to the line, and i runs over the positions from which all offsets stay on the grid;
on a small grid the radius is lowered. The relations are between the :math:`L'` positions that are left when the grid is
average-pooled by the smallest integer that leaves at most ``max_tokens`` (a remainder at the border is dropped); they
are computed in blocks of rows, so that memory is linear in :math:`L'`.

:math:`T_c` is state: after each training step it is multiplied by ``tau_factor`` where the range of the teacher's
relations in the batch is above ``tau_limit``, and is never above ``tau_cap``. At ``tau_context = 1`` the relations are
nearly one-hot, so that the context term is small for the first 30 to 50 steps.

Taps: stages. Terms: ``bcd_boundary`` times ``boundary_weight``, ``bcd_context`` times ``context_weight``; a term of
weight 0 is not computed. Trainable parts: the 1 x 1 convolutions. It reads no labels and no logits.

Defaults: ``boundary_weight = 10`` and ``context_weight = 50`` are the paper's alpha and beta in the order of naming, as
is the decay r, which runs over iterations in place of epochs. ``tau_limit = 0.5`` and ``tau_factor = 1.05`` are those
of the cited temperature code, ``radius = 5`` that of IRN. The reconstruction's own: ``stride = 8``, ``kappa = 10``,
``max_tokens = 4096``, ``tau_boundary = 1``, ``tau_cap = 100``, ``bias``. The reductions are means, and the logarithm
of the number of positions makes the context term independent of the grid.

Deviation: the boundary strength is the dissimilarity of neighbours (affinity) in place of a learned 1 x 1 convolution,
which needs a head fitted to the teacher beforehand and collapses when it is trained on both sides. Where the models
have different numbers of stages, only those of one stride are compared.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.checkpoint import checkpoint

from bench.method import (
    EVERY_TASK,
    Batch,
    Fraction,
    Ge,
    Method,
    NonNegative,
    Outputs,
    Pair,
    Positive,
    Step,
    distribution_kl,
    matched_stages,
    methods,
    resize,
    wide,
)

RELATION_ELEMENTS = 2**25
"""Entries of the relation matrices of a batch from which on rows are processed in blocks."""


def on_grid(feature: Tensor, size: tuple[int, int]) -> Tensor:
    """Return an N x C x h' x w' map at another size: pooled where both sides shrink or stay, else bilinear."""
    if feature.shape[-2] >= size[0] and feature.shape[-1] >= size[1]:
        return feature if feature.shape[-2:] == size else F.adaptive_avg_pool2d(feature, size)
    return resize(feature, size)


def standardised(features: Tensor) -> Tensor:
    """Return every position with mean 0 and variance 1 over its channels; N x C x h x w to N x h x w x C."""
    features = features.permute(0, 2, 3, 1)
    return F.layer_norm(features, features.shape[-1:], eps=1e-5)


def boundary_strength(z: Tensor) -> Tensor:
    """Return the largest dissimilarity of each position to a 4-neighbour.

    Args:
        z: N x h x w x C, standardised.

    Returns:
        N x h x w in 0..1; minus infinity on a map of one position, which has no neighbour.
    """
    right = (1 - (z[:, :, 1:] * z[:, :, :-1]).sum(-1) / z.shape[-1]) / 2
    below = (1 - (z[:, 1:] * z[:, :-1]).sum(-1) / z.shape[-1]) / 2
    sides = ((right, (0, 1)), (right, (1, 0)), (below, (0, 0, 0, 1)), (below, (0, 0, 1, 0)))
    return torch.stack([F.pad(side, pad, value=-math.inf) for side, pad in sides]).amax(0)


def fitting_radius(radius: int, size: tuple[int, int] | torch.Size) -> int:
    """Return the radius, lowered where the map is too small for it, at least 2."""
    return max(2, min(radius, size[0], (size[1] + 1) // 2))


def paths(radius: int) -> list[list[tuple[int, int]]]:
    """Return the points ``(y, x)`` on the path to each offset of the half plane nearer than the radius."""
    reach = range(1 - radius, radius)
    offsets = [(dy, dx) for dy in range(radius) for dx in reach if (dy > 0 or dx > 0) and dy**2 + dx**2 < radius**2]
    return [
        [
            (y, x)
            for y in range(dy + 1)
            for x in range(min(dx, 0), max(dx, 0) + 1)
            if (dy * x - dx * y) ** 2 < dy**2 + dx**2
        ]
        for dy, dx in offsets
    ]


def path_maxima(strength: Tensor, radius: int) -> Tensor:
    """Return the largest strength on the path between two positions.

    Args:
        strength: N x h x w.
        radius: offsets are nearer than this; lowered where the map is too small for it.

    Returns:
        N x offsets x anchors; a map below 2 x 3 has no anchor.
    """
    height, width = strength.shape[-2:]
    radius = fitting_radius(radius, (height, width))
    rows, columns = max(0, height - radius + 1), max(0, width - 2 * radius + 2)
    points = [(y, x) for y in range(radius) for x in range(1 - radius, radius)]
    shifted = [strength[:, y : y + rows, radius - 1 + x : radius - 1 + x + columns].flatten(1) for y, x in points]
    least = torch.full_like(shifted[0], -math.inf)  # fills up the shorter paths
    return torch.stack([*shifted, least], dim=1)[:, path_indices(radius, strength.device)].amax(2)


@lru_cache(maxsize=16)
def path_indices(radius: int, device: torch.device) -> Tensor:
    """Return the paths as indices of their points, row by row; the shorter ones end in the index after the last point.

    Returns:
        offsets x points of the longest path, on the device.
    """
    width = 2 * radius - 1
    rows = [torch.tensor([y * width + radius - 1 + x for y, x in path]) for path in paths(radius)]
    return pad_sequence(rows, batch_first=True, padding_value=radius * width).to(device)


def boundary_loss(
    student: Tensor, teacher: Tensor, *, radius: int = 5, kappa: float = 10.0, tau: float = 1.0
) -> Tensor:
    """Return KL(teacher || student) of where the boundaries between pairs are, averaged over images and offsets.

    Args:
        student: N x h x w x C, standardised.
        teacher: the same shape; no gradient flows into it.
        radius: offsets are nearer than this.
        kappa: sharpness of the distributions over anchors.
        tau: their temperature, above 0.

    Returns:
        Scalar; 0 on a grid without anchors.
    """
    maxima = (kappa * path_maxima(boundary_strength(z), radius) for z in (student, teacher.detach()))
    return distribution_kl(*maxima, tau=tau, dim=2).mean()


def pooling_step(size: tuple[int, int] | torch.Size, max_tokens: int) -> int:
    """Return the smallest integer by which average pooling leaves at most so many positions."""
    step = 1
    while math.prod(side // min(step, side) for side in size) > max_tokens:
        step += 1
    return step


def relation_kl(student: Tensor, teacher: Tensor, first: int, last: int, tau: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the summed KL of some rows of the relations, and the teacher's smallest and largest log-probability.

    Args:
        student: N x L x C, standardised.
        teacher: the same shape.
        first: first row.
        last: the row after the last one.
        tau: temperature, scalar.
    """
    scale = math.sqrt(student.shape[-1]) * tau
    student_log = ((student[:, first:last] / scale) @ student.mT).log_softmax(-1)
    with torch.no_grad():
        teacher_log = ((teacher[:, first:last] / scale) @ teacher.mT).log_softmax(-1)
    return F.kl_div(student_log, teacher_log, reduction="sum", log_target=True), *teacher_log.aminmax()


def context_loss(student: Tensor, teacher: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
    """Return KL(teacher || student) of each position's relations as a share of the largest entropy, and their range.

    Above ``RELATION_ELEMENTS`` rows are processed in blocks that are computed again in the backward: the value is the
    same and the matrices are never held whole.

    Args:
        student: N x L x C, standardised.
        teacher: the same shape; no gradient flows into it.
        tau: temperature, scalar.

    Returns:
        The loss, and the range of the teacher's relations over the batch; scalars.
    """
    teacher = teacher.detach()
    count, length = student.shape[:2]
    block = max(1, RELATION_ELEMENTS // (count * length))
    if block >= length:
        parts = [relation_kl(student, teacher, 0, length, tau)]
    else:
        parts = [
            checkpoint(
                relation_kl,
                student,
                teacher,
                first,
                min(first + block, length),
                tau,
                use_reentrant=False,
                preserve_rng_state=False,
            )
            for first in range(0, length, block)
        ]
    total, least, most = (torch.stack(values) for values in zip(*parts, strict=True))
    # a single position relates to itself alone: its divergence is 0, and so is the logarithm
    loss = total.sum() / (count * length * math.log(max(length, 2)))
    return loss, most.max().exp() - least.min().exp()


def next_temperature(
    tau: Tensor, spread: Tensor, *, limit: float = 0.5, factor: float = 1.05, cap: float = 100
) -> Tensor:
    """Return a temperature raised by a factor where the range of the probabilities was above the limit."""
    return torch.where(spread > limit, (factor * tau).clamp(max=cap), tau)


def decay(step: Step) -> float:
    """Return the share of the weight that is left: 1 at the first step, one step's share at the last."""
    return 1 - step.progress


@methods.register("bcd")
class BCD(Method):
    """Boundaries and relations of all stages (Zhang et al., arXiv 2401.13174). Reconstruction."""

    tasks = EVERY_TASK
    taps = ("stages",)
    temperature: Tensor

    def __init__(
        self,
        pair: Pair,
        *,
        boundary_weight: NonNegative = 10.0,
        context_weight: NonNegative = 50.0,
        decay: bool = True,
        stride: Annotated[int, Ge(1)] = 8,
        radius: Annotated[int, Ge(2)] = 5,
        kappa: Positive = 10.0,
        max_tokens: Annotated[int, Ge(1)] = 4096,
        tau_boundary: Positive = 1.0,
        tau_context: Positive = 1.0,
        tau_limit: Fraction = 0.5,
        tau_factor: Annotated[float, Ge(1)] = 1.05,
        tau_cap: Positive = 100.0,
        bias: bool = True,
    ) -> None:
        super().__init__(pair)
        self.matched = matched_stages(pair, "bcd")
        self.adapters = nn.ModuleList(
            nn.Conv2d(pair.student.stages[own].channels, pair.teacher.stages[other].channels, 1, bias=bias)
            for own, other in self.matched
        )
        self.boundary_weight, self.context_weight, self.decay = boundary_weight, context_weight, decay
        self.stride, self.radius, self.kappa, self.max_tokens = stride, radius, kappa, max_tokens
        self.tau_boundary, self.tau_limit, self.tau_factor, self.tau_cap = tau_boundary, tau_limit, tau_factor, tau_cap
        self.register_buffer("temperature", torch.tensor(float(tau_context)))
        self.remarks += self._remarks()

    def _remarks(self) -> list[str]:
        remarks = []
        kept = {other for _, other in self.matched}
        left_out = [spec for index, spec in enumerate(self.pair.teacher.stages) if index not in kept]
        if left_out:
            shown = ", ".join(f"stride {spec.stride:g} ({spec.channels} channels)" for spec in left_out)
            remarks.append(f"bcd: teacher stages without a partner in the student are left out: {shown}")
        grid = self.grid(self.pair.size)
        if grid[0] < 2 or grid[1] < 3:
            remarks.append(f"bcd: a grid of {grid[0]} x {grid[1]} has no pairs, so that the boundary term is 0")
        elif (radius := fitting_radius(self.radius, grid)) < self.radius:
            remarks.append(f"bcd: the radius is {radius} in place of {self.radius}, a grid of {grid[0]} x {grid[1]}")
        return remarks

    def grid(self, size: tuple[int, int] | torch.Size) -> tuple[int, int]:
        """Return height and width of the working grid for images of a size."""
        return -(-size[0] // self.stride), -(-size[1] // self.stride)

    def features(self, student: Outputs, teacher: Outputs, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the stages of both models as one N x C x h x w tensor each."""
        grid = self.grid(batch.images.shape[-2:])
        own = [
            on_grid(adapter(wide(student.stages[index])), grid)
            for adapter, (index, _) in zip(self.adapters, self.matched, strict=True)
        ]
        others = [on_grid(wide(teacher.stages[index].detach()), grid) for _, index in self.matched]
        return torch.cat(own, dim=1), torch.cat(others, dim=1)

    def tokens(self, maps: Tensor, aligned: Tensor) -> Tensor:
        """Return the positions whose relations are compared, N x L x C, standardised.

        Args:
            maps: N x C x h x w.
            aligned: the same, standardised, N x h x w x C.
        """
        step = pooling_step(maps.shape[-2:], self.max_tokens)
        if step > 1:
            aligned = standardised(F.avg_pool2d(maps, [min(step, side) for side in maps.shape[-2:]]))
        return aligned.flatten(1, 2)

    def compare(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return ``boundary`` and ``context`` without weights, and ``range``, the teacher's; none of weight 0."""
        own, others = self.features(student, teacher, batch)
        own_aligned, others_aligned = standardised(own), standardised(others)
        found = {}
        if self.boundary_weight:
            found["boundary"] = boundary_loss(
                own_aligned, others_aligned, radius=self.radius, kappa=self.kappa, tau=self.tau_boundary
            )
        if self.context_weight:
            tokens = (self.tokens(own, own_aligned), self.tokens(others, others_aligned))
            found["context"], found["range"] = context_loss(*tokens, self.temperature)
        return found

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the terms ``bcd_boundary`` and ``bcd_context``, but none of weight 0; raise the temperature."""
        rest = decay(step) if self.decay else 1.0
        found = self.compare(student, teacher, batch)
        if self.training and "range" in found:
            self.temperature = next_temperature(
                self.temperature, found["range"], limit=self.tau_limit, factor=self.tau_factor, cap=self.tau_cap
            )
        weights = {"boundary": rest * self.boundary_weight, "context": rest * self.context_weight}
        return {f"bcd_{name}": weight * found[name] for name, weight in weights.items() if name in found}
