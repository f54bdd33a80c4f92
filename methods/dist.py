r"""DIST: relations among the classes of a pixel and among the pixels of a class.

Huang, You, Wang, Qian, Xu, "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022, arXiv 2205.10536.

.. math::
    L &= w \tau^2 (\beta L_{inter} + \gamma L_{intra}) \\
    L_{inter} &= 1 - \frac{1}{R} \sum_i r(p^s_{i \cdot}, p^t_{i \cdot}), \quad
    L_{intra} = 1 - \frac{1}{K} \sum_c r(p^s_{\cdot c}, p^t_{\cdot c})

with :math:`p = softmax_c(z / \tau)` as a table of all R = NHW pixels of the batch by K classes and
:math:`r(a, b) = \tilde a \cdot \tilde b / (\lVert \tilde a \rVert \lVert \tilde b \rVert + 10^{-8})`, Pearson's
coefficient of the centred vectors.

Taps: logits, of one size. Terms: ``dist_inter`` (weight ``weight`` tau^2 ``beta``) and ``dist_intra`` (``weight`` tau^2
``gamma``). Trainable parts: none. Ignored pixels are distilled like all others.

Defaults: ``beta = gamma = 1``, ``tau = 1`` and ``weight = 1`` are the authors' for segmentation (hunto/DIST_KD,
segmentation/losses/dist_kd.py, train_kd.py:254), which has no temperature; tau and its square are mmrazor's
(open-mmlab/mmrazor, models/losses/dist_loss.py, weight 2 in its ImageNet configuration). Coefficients are means, so
neither batch nor map size scales them; which pixels a class is correlated over is the batch's.

``resize`` brings the teacher's or the student's map to the other's size, bilinear without aligned corners, where a
pair's strides differ; the paper and its codes have one size, and ``none``, the default, refuses such a pair.

Deviations: the authors add 0.4 times the same loss on auxiliary logits where the student has them; ours has the main
logits alone. mmrazor's loss on maps correlates over the images of the batch instead of over pixels, which is not
offered.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.method import (
    Batch,
    Method,
    NonNegative,
    Outputs,
    Pair,
    Positive,
    Resize,
    Step,
    methods,
    of_one_size,
    require_same_size,
    wide,
)

EPSILON = 1e-8


def pearson(student: Tensor, teacher: Tensor, dim: int) -> Tensor:
    """Return Pearson's coefficient along one dimension.

    Args:
        student: of any shape.
        teacher: of the same shape.
        dim: the dimension that the vectors run along.

    Returns:
        The inputs' shape without ``dim``, in -1..1.
    """
    student = student - student.mean(dim, keepdim=True)
    teacher = teacher - teacher.mean(dim, keepdim=True)
    norms = torch.linalg.vector_norm(student, dim=dim) * torch.linalg.vector_norm(teacher, dim=dim)
    coefficient: Tensor = (student * teacher).sum(dim) / (norms + EPSILON)
    return coefficient


def relation_distances(student_logits: Tensor, teacher_logits: Tensor, tau: float) -> tuple[Tensor, Tensor]:
    """Return one minus the mean correlation over classes (inter) and over pixels (intra).

    Args:
        student_logits: N x K x h x w.
        teacher_logits: the same shape; no gradient flows into it.
        tau: temperature, above 0.

    Returns:
        Two scalars in 0..2, float32 or wider.
    """
    student = (wide(student_logits) / tau).softmax(1).transpose(0, 1).flatten(1)
    teacher = (wide(teacher_logits.detach()) / tau).softmax(1).transpose(0, 1).flatten(1)
    return 1 - pearson(student, teacher, 0).mean(), 1 - pearson(student, teacher, 1).mean()


@methods.register("dist")
class DIST(Method):
    """Correlation of class distributions over classes and pixels (Huang et al., NeurIPS 2022, arXiv 2205.10536)."""

    taps = ("logits",)

    def __init__(
        self,
        pair: Pair,
        *,
        beta: NonNegative = 1.0,
        gamma: NonNegative = 1.0,
        tau: Positive = 1.0,
        weight: NonNegative = 1.0,
        resize: Resize = "none",
    ) -> None:
        super().__init__(pair)
        require_same_size(pair, "logits", "dist", resize=resize)
        self.resize: Resize = resize
        self.beta, self.gamma, self.tau, self.weight = beta, gamma, tau, weight

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the scalar terms ``dist_inter`` and ``dist_intra``."""
        inter, intra = relation_distances(*of_one_size(student.logits, teacher.logits, self.resize), self.tau)
        scale = self.weight * self.tau**2
        return {"dist_inter": scale * self.beta * inter, "dist_intra": scale * self.gamma * intra}
