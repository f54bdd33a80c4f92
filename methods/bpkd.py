r"""Boundary privileged distillation: edges and bodies of the classes are distilled apart.

Liu, Wang, Phan, Zhang, Ge, Liu, "BPKD: Boundary Privileged Knowledge Distillation for Semantic Segmentation", WACV
2024, arXiv 2306.08075. Reconstruction: the authors published weights and a figure of the edge loss
(github.com/AkideLiu/BPKD), no loss code; the values come from the figure, the abstract and third parties that agree.

A pixel is on the edge of class c where the k x k window around it holds c and something else, which is dilation minus
erosion of the class mask; windows end at the image's border. Average pooling of that to the size of the logits gives
the soft mask :math:`M_c \in [0, 1]`, so that a boundary between two classes is in the masks of both and of no other.

.. math::
    D_i &= \sum_c p^t_{ic} (\log p^t_{ic} - \log p^s_{ic}), \qquad p = softmax_c(z M / \tau_e) \\
    L_{edge} &= \frac{\tau_e^2}{N} \sum_{n,c} \frac{\alpha}{A_{nc}} \sum_i M_{nci} D_{ni} \\
    L_{body} &= \frac{\tau_b^2}{NK} \sum_{n,c} KL(q^t_{nc} \| q^s_{nc}), \qquad q = softmax_i(z (1 - M) / \tau_b)

where :math:`A_{nc}` counts the positions with :math:`M > 0` (``edge_norm = count``) or sums M (``mass``), and a class
without an edge adds nothing. Masked logits are 0 and stay members of both softmaxes.

Taps: logits; the teacher's are resized to the student's size. Terms: ``bpkd_edge`` times ``edge_weight``, ``bpkd_body``
times ``body_weight``. Trainable parts: none. It reads the labels.

Defaults: ``edge_weight = 50``, ``body_weight = 20``, ``alpha = 2`` and both temperatures 1 as two independent third
parties quote them (a 3-D port has 500 and 200); ``edge_kernel = 7`` label pixels as two third parties report. The
reductions depend neither on the batch's nor on the map's size, so nothing is converted. ``pre_mask`` (logits times M)
and ``post_mask`` (D times M) are the figure's two steps; without the second there are no classes to weigh and to count,
and the edge term is :math:`\tau_e^2` times the mean of D over images and positions. ``ignore_edges`` says whether a
transition to ignored pixels is an edge; what the authors do is not known.

Deviation: none from the figure, which divides by mask pixels without saying how they are counted, and has no factor
:math:`\tau_e^2`; at the default temperature it is 1.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.method import (
    Batch,
    Ge,
    Method,
    NonNegative,
    Outputs,
    Pair,
    Positive,
    Step,
    Unsupported,
    distribution_kl,
    methods,
    require_tap,
    resize,
    wide,
)

EdgeNorm = Literal["count", "mass"]

BLOCK_ELEMENTS = 2**26
"""Elements of the class masks at label resolution from which on classes are processed in blocks."""


def window_maximum(maps: Tensor, kernel: int) -> Tensor:
    """Return the largest value of the window around each position; there is nothing beyond the border.

    Args:
        maps: ... x H x W, boolean or numbers of at least 0.
        kernel: side of the window, odd.

    Returns:
        The same shape and type.
    """
    maps = F.pad(maps, (kernel // 2,) * 4)
    for dim in (-2, -1):
        width = 1
        # the maximum over 2w positions is that of two windows of w: log(kernel) steps in place of kernel
        while width < kernel:
            step = min(width, kernel - width)
            length = maps.shape[dim] - step
            maps = torch.maximum(maps.narrow(dim, 0, length), maps.narrow(dim, step, length))
            width += step
    return maps


@torch.no_grad()
def edge_masks(
    target: Tensor,
    num_classes: int,
    size: tuple[int, int] | torch.Size,
    *,
    kernel: int,
    ignore_index: int,
    ignore_edges: bool = True,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Return each class's share of edge pixels in each cell of a smaller map.

    Args:
        target: N x H x W int64.
        num_classes: K.
        size: h and w.
        kernel: side of the window, odd.
        ignore_index: label value that is no class.
        ignore_edges: whether a transition to ignored pixels is an edge.
        dtype: type of the result.

    Returns:
        N x K x h x w in 0..1.
    """
    labels = target.to(torch.int32)
    ignored = target == ignore_index
    # counted from 1, so that 0 is nothing, as beyond the border
    rank = torch.where(ignored, num_classes + 1 if ignore_edges else 0, labels + 1)
    opposite = torch.where(rank == 0, 0, num_classes + 2 - rank)
    # erosion is not needed: a window that holds c and is not of one value holds something else
    mixed = window_maximum(rank, kernel) + window_maximum(opposite, kernel) > num_classes + 2
    labels = torch.where(ignored, -1, labels)
    block = max(1, BLOCK_ELEMENTS // labels.numel())
    classes = torch.arange(num_classes, device=labels.device, dtype=labels.dtype)[:, None, None]
    masks = []
    for first in range(0, num_classes, block):
        near = window_maximum(labels[:, None] == classes[first : first + block], kernel)
        masks.append(F.adaptive_avg_pool2d((near & mixed[:, None]).to(dtype), (size[0], size[1])))
    return torch.cat(masks, dim=1)


def edge_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    masks: Tensor,
    *,
    tau: float = 1.0,
    alpha: float = 2.0,
    edge_norm: EdgeNorm = "count",
    pre_mask: bool = True,
    post_mask: bool = True,
) -> Tensor:
    """Return tau squared times KL(teacher || student) of pixels, averaged over each class's edge, summed over classes.

    Args:
        student_logits: N x K x h x w.
        teacher_logits: the same shape; no gradient flows into it.
        masks: the same shape, in 0..1.
        tau: temperature, above 0.
        alpha: weight of every class, where there is a ``post_mask``.
        edge_norm: what a class's sum is divided by, likewise.
        pre_mask: multiply the logits with the masks.
        post_mask: multiply the divergence with the masks; without it, take the mean over positions.

    Returns:
        Scalar, float32 or wider; 0 where there is no edge.
    """
    student, teacher = wide(student_logits), wide(teacher_logits)
    if pre_mask:
        student, teacher = student * masks, teacher * masks
    divergence = tau**2 * distribution_kl(student, teacher, tau=tau, dim=1)
    if not post_mask:
        return divergence.mean()
    area = (masks > 0).to(masks.dtype) if edge_norm == "count" else masks
    area = area.sum((2, 3), keepdim=True)
    share = torch.where(area > 0, alpha / area, 0)
    # the divergence is the same for all classes, so their weights are added up before it is multiplied
    weights = (share * masks).sum(1)
    return (weights * divergence).sum((1, 2)).mean()


def body_loss(student_logits: Tensor, teacher_logits: Tensor, masks: Tensor, *, tau: float = 1.0) -> Tensor:
    """Return tau squared times the mean KL(teacher || student) of the classes' distributions over positions off edges.

    Args:
        student_logits: N x K x h x w.
        teacher_logits: the same shape; no gradient flows into it.
        masks: the edges, the same shape, in 0..1.
        tau: temperature, above 0.

    Returns:
        Scalar, float32 or wider.
    """
    student, teacher = ((wide(logits) * (1 - masks)).flatten(2) for logits in (student_logits, teacher_logits))
    return tau**2 * distribution_kl(student, teacher, tau=tau, dim=2).mean()


@methods.register("bpkd")
class BPKD(Method):
    """Edges by pixel, bodies by channel (Liu et al., WACV 2024, arXiv 2306.08075). Reconstruction."""

    taps = ("logits",)

    def __init__(
        self,
        pair: Pair,
        *,
        edge_weight: NonNegative = 50.0,
        body_weight: NonNegative = 20.0,
        alpha: NonNegative = 2.0,
        tau_edge: Positive = 1.0,
        tau_body: Positive = 1.0,
        edge_kernel: Annotated[int, Ge(1)] = 7,
        edge_norm: EdgeNorm = "count",
        pre_mask: bool = True,
        post_mask: bool = True,
        ignore_edges: bool = True,
    ) -> None:
        super().__init__(pair)
        require_tap(pair, "logits", "bpkd")
        if edge_kernel % 2 == 0:
            raise Unsupported(f"bpkd centres its window on a pixel: edge_kernel is odd, {edge_kernel} was given")
        self.edge_weight, self.body_weight = edge_weight, body_weight
        self.alpha, self.tau_edge, self.tau_body = alpha, tau_edge, tau_body
        self.edge_kernel, self.edge_norm, self.ignore_edges = edge_kernel, edge_norm, ignore_edges
        self.pre_mask, self.post_mask = pre_mask, post_mask

    def masks(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return the soft edge masks for N x K x h x w logits, of the same shape, in 0..1, float32 or wider."""
        return edge_masks(
            batch.target,
            logits.shape[1],
            logits.shape[-2:],
            kernel=self.edge_kernel,
            ignore_index=batch.ignore_index,
            ignore_edges=self.ignore_edges,
            dtype=torch.promote_types(logits.dtype, torch.float32),
        )

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the scalar terms ``bpkd_edge`` and ``bpkd_body``."""
        maps = (student.logits, resize(wide(teacher.logits.detach()), student.logits.shape[-2:]))
        masks = self.masks(student.logits, batch)
        edge = edge_loss(
            *maps,
            masks,
            tau=self.tau_edge,
            alpha=self.alpha,
            edge_norm=self.edge_norm,
            pre_mask=self.pre_mask,
            post_mask=self.post_mask,
        )
        body = body_loss(*maps, masks, tau=self.tau_body)
        return {"bpkd_edge": self.edge_weight * edge, "bpkd_body": self.body_weight * body}
