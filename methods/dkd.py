r"""DKD: the labelled class against the rest, and the rest among itself, weighed apart.

Zhao, Cui, Song, Qiu, Liang, "Decoupled Knowledge Distillation", CVPR 2022, arXiv 2203.08679, a method for
classification, applied here to each labelled pixel of the logits before up-sampling.

.. math::
    L &= w \, u \, \tau^2 \frac{1}{R} \sum_i (\alpha\, KL(b^t_i \| b^s_i) + \beta\, KL(\hat p^t_i \| \hat p^s_i)) \\
    b_i &= (p_{i y_i}, 1 - p_{i y_i}), \quad \hat p_{ic} = p_{ic} / (1 - p_{i y_i}) \quad (c \ne y_i)

with :math:`p = softmax_c(z / \tau)`, y the label, R the number of labelled pixels and u the warm-up.

Taps: logits, of one size, and the labels, brought to that size by nearest neighbour. Terms: ``dkd_tckd`` (weight
``weight`` ``alpha`` tau^2 u) and ``dkd_nckd`` (``weight`` ``beta`` tau^2 u). Trainable parts: none. Ignored pixels
carry no weight.

Defaults: ``alpha = 1``, ``beta = 8``, ``tau = 4`` and ``weight = 1`` are those of megvii-research/mdistiller
(distillers/DKD.py, CIFAR-100; on ImageNet beta is 0.5 or 2 and tau 1), with the mean over rows, which depends on
neither batch nor map size. ``warmup = 20/240``: u grows linearly from 0 to 1 over that share of the training; there,
over the first 20 of 240 epochs. ``reduction: sum`` leaves out 1/R, so that it grows with batch and map: mmrazor
(open-mmlab/mmrazor, models/losses/decoupled_kd.py) returns it for ``mean``, ``sum`` and ``none``, and the mean for
``batchmean``.

``resize`` brings the teacher's or the student's map to the other's size, bilinear without aligned corners, where a
pair's strides differ; the paper and its codes have one size, and ``none``, the default, refuses such a pair.

Deviations: no public code applies DKD to segmentation, so pixels as rows and the choice of labels are ours. The
warm-up rises at every step instead of every epoch. The log-probability of the rest is a logsumexp over it, where the
official codes take the logarithm of a sum of probabilities and push the label's logit down by 1000; values agree where
those are finite.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from bench.method import (
    Batch,
    Fraction,
    Method,
    NonNegative,
    Outputs,
    Pair,
    Positive,
    Resize,
    Step,
    distribution_kl,
    labels_at,
    methods,
    of_one_size,
    require_same_size,
    wide,
)

Reduction = Literal["mean", "sum"]


def decoupled_kl(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, tau: float) -> tuple[Tensor, Tensor]:
    """Return KL(teacher || student) of label against rest (TCKD) and among the rest (NCKD).

    Args:
        student_logits: N x K x h x w.
        teacher_logits: the same shape; no gradient flows into it.
        labels: N x h x w int64 in 0..K-1.
        tau: temperature, above 0.

    Returns:
        Two tensors of N x h x w, float32 or wider, without the factor tau squared.
    """
    student_pair, student_rest = label_and_rest(student_logits, labels, tau)
    teacher_pair, teacher_rest = label_and_rest(teacher_logits, labels, tau)
    target = distribution_kl(student_pair, teacher_pair, tau=1, dim=1)
    return target, distribution_kl(student_rest, teacher_rest, tau=1, dim=1)


def label_and_rest(logits: Tensor, labels: Tensor, tau: float) -> tuple[Tensor, Tensor]:
    """Split scores by the label.

    Args:
        logits: N x K x h x w.
        labels: N x h x w int64 in 0..K-1.
        tau: temperature, above 0.

    Returns:
        Scores of the label and of all other classes together, N x 2 x h x w, and those of the other classes,
        N x (K - 1) x h x w; both are divided by tau.
    """
    scores, label = wide(logits) / tau, labels[:, None]
    others = torch.arange(logits.shape[1] - 1, device=logits.device).view(1, -1, 1, 1)
    rest = scores.gather(1, others + (others >= label))
    return torch.cat([scores.gather(1, label), rest.logsumexp(1, keepdim=True)], dim=1), rest


@methods.register("dkd")
class DKD(Method):
    """Decoupled distillation of labelled pixels (Zhao et al., CVPR 2022, arXiv 2203.08679)."""

    taps = ("logits",)
    masks_ignored = True

    def __init__(
        self,
        pair: Pair,
        *,
        alpha: NonNegative = 1.0,
        beta: NonNegative = 8.0,
        tau: Positive = 4.0,
        warmup: Fraction = 20 / 240,
        reduction: Reduction = "mean",
        weight: NonNegative = 1.0,
        resize: Resize = "none",
    ) -> None:
        super().__init__(pair)
        require_same_size(pair, "logits", "dkd", resize=resize)
        self.resize: Resize = resize
        self.masks_ignored = resize == "none"  # a resized map mixes pixels with their neighbours
        self.alpha, self.beta, self.tau, self.weight = alpha, beta, tau, weight
        self.warmup, self.reduction = warmup, reduction

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the scalar terms ``dkd_tckd`` and ``dkd_nckd``."""
        student_logits, teacher_logits = of_one_size(student.logits, teacher.logits, self.resize)
        labels = labels_at(batch.target, student_logits.shape[-2:])
        labelled = labels != batch.ignore_index
        # an ignored pixel takes class 0, which exists, and weighs nothing
        tckd, nckd = decoupled_kl(student_logits, teacher_logits, labels.where(labelled, 0), self.tau)
        rows = labelled.sum().clamp(min=1) if self.reduction == "mean" else 1
        scale = self.weight * self.tau**2 * (min(step.progress / self.warmup, 1) if self.warmup else 1)
        return {
            "dkd_tckd": scale * self.alpha * (tckd * labelled).sum() / rows,
            "dkd_nckd": scale * self.beta * (nckd * labelled).sum() / rows,
        }
