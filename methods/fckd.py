r"""Feature condensation: only what the teacher is sure of is distilled, enhanced along space and along channels.

Yuan, Lu, Zhang, Liu, "FCKDNet: A Feature Condensation Knowledge Distillation Network for Semantic Segmentation",
Entropy 2023, 25(1), 125, doi 10.3390/e25010125 (not on arXiv). Reconstruction in every formula: no code was found and
only the abstract could be read.

With the teacher's logits t, the student's s, class probabilities p and :math:`E = -\sum_c p^t_c \ln p^t_c / \ln K`:

.. math::
    M_i &= [E_i \le mean_i E] \quad\text{("hard")}, \qquad M_i = 1 - E_i \quad\text{("soft")} \\
    t' &= M t, \quad s' = M s, \quad
        g_i = \frac{mean_c |t'_{ic}|}{max_i + 10^{-6}}, \quad q_c = \frac{mean_i |t'_{ic}|}{max_c + 10^{-6}} \\
    A_{sp} &= hw\, softmax_i(g / \tau_a), \qquad A_{ch} = K\, softmax_c(q / \tau_a) \\
    L_{sp} &= \frac{\tau^2}{max(\sum M, 1)} \sum_i M_i KL_c(t'_i (1 + A_{sp,i}) / 2 \| s'_i) \\
    L_{ch} &= \frac{\tau^2}{NK} \sum_{n,c} KL_i(t'_c (1 + A_{ch,c}) / 2 \| s'_c)

where KL is that of the softmax at temperature tau, over classes for :math:`L_{sp}`, over positions for :math:`L_{ch}`.
The sums of :math:`L_{sp}` run over the whole batch. Only the teacher is enhanced, so that the loss of a student that
equals its teacher is not 0.

Taps: logits; the student's are resized to the teacher's size. Terms: ``fckd_spatial`` times ``spatial_weight``,
``fckd_channel`` times ``channel_weight``. Trainable parts: none.

Defaults: all are the reconstruction's own. The rule of the entropy keeps about half of the pixels and needs no constant
(the abstract names a rule of pixel information entropy and its matrix). ``tau_attention = 0.5`` is that of FGD's
attention; ``tau = 4`` and ``channel_weight = 3`` are those of CWD on logits, whose form the channel term has and whose
mean over images and channels is kept; ``spatial_weight = 1``. No reduction depends on the map's size.

Deviation: unknown, as the paper's own formulas are.
"""

from __future__ import annotations

import math
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from bench.method import (
    Batch,
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

Condense = Literal["hard", "soft"]

EPS = 1e-6


def condensation_matrix(teacher_logits: Tensor, condense: Condense) -> Tensor:
    """Return how much of each pixel is kept: 0 or 1 by its entropy against the image's mean, or one minus its entropy.

    Args:
        teacher_logits: N x K x h x w, at least two classes.
        condense: which of the two.

    Returns:
        N x 1 x h x w in 0..1, float32 or wider.
    """
    log = F.log_softmax(wide(teacher_logits), dim=1)
    entropy = -(log.exp() * log).sum(1, keepdim=True) / math.log(teacher_logits.shape[1])
    if condense == "soft":
        return 1 - entropy
    return (entropy <= entropy.mean((2, 3), keepdim=True)).to(entropy.dtype)


def attention(activation: Tensor, tau: float) -> Tensor:
    """Return weights of mean 1 along the last dimension: softmax of the activation relative to its largest entry.

    Args:
        activation: N x M, at least 0.
        tau: temperature, above 0.

    Returns:
        N x M, at least 0.
    """
    relative = activation / (activation.amax(1, keepdim=True) + EPS)
    return activation.shape[1] * F.softmax(relative / tau, dim=1)


def condensed_kl(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    tau: float = 4.0,
    tau_attention: float = 0.5,
    condense: Condense = "hard",
) -> tuple[Tensor, Tensor]:
    """Return the spatial and the channel loss of the condensed logits.

    Args:
        student_logits: N x K x h' x w', resized to the teacher's size.
        teacher_logits: N x K x h x w, at least two classes; no gradient flows into it.
        tau: temperature of the distributions, above 0.
        tau_attention: temperature of the enhancement, above 0.
        condense: a binary matrix, or one that falls with the entropy.

    Returns:
        Two scalars, float32 or wider.
    """
    teacher = wide(teacher_logits.detach())
    matrix = condensation_matrix(teacher, condense)
    student = resize(wide(student_logits), teacher.shape[-2:]) * matrix
    teacher = teacher * matrix
    over_space = attention(teacher.abs().mean(1).flatten(1), tau_attention).view_as(matrix)
    over_classes = attention(teacher.abs().mean((2, 3)), tau_attention)[:, :, None, None]
    pixels = distribution_kl(student, teacher * (1 + over_space) / 2, tau=tau, dim=1)
    spatial = tau**2 * (matrix[:, 0] * pixels).sum() / matrix.sum().clamp(min=1)
    enhanced = teacher * (1 + over_classes) / 2
    channel = tau**2 * distribution_kl(student.flatten(2), enhanced.flatten(2), tau=tau, dim=2).mean()
    return spatial, channel


@methods.register("fckd")
class FCKD(Method):
    """Feature condensation of the logits, FCKDNet (Yuan et al., Entropy 2023, 25(1), 125). Reconstruction."""

    taps = ("logits",)

    def __init__(
        self,
        pair: Pair,
        *,
        tau: Positive = 4.0,
        tau_attention: Positive = 0.5,
        spatial_weight: NonNegative = 1.0,
        channel_weight: NonNegative = 3.0,
        condense: Condense = "hard",
    ) -> None:
        super().__init__(pair)
        if require_tap(pair, "logits", "fckd")[1].channels < 2:
            raise Unsupported(
                "fckd needs the entropy of a class distribution, which a single logit does not have. "
                "Use two classes with a softmax."
            )
        self.tau, self.tau_attention, self.condense = tau, tau_attention, condense
        self.spatial_weight, self.channel_weight = spatial_weight, channel_weight

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the scalar terms ``fckd_spatial`` and ``fckd_channel``."""
        spatial, channel = condensed_kl(
            student.logits,
            teacher.logits,
            tau=self.tau,
            tau_attention=self.tau_attention,
            condense=self.condense,
        )
        return {"fckd_spatial": self.spatial_weight * spatial, "fckd_channel": self.channel_weight * channel}
