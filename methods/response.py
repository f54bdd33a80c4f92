r"""Response distillation that replaces a share of the task loss, at label resolution.

N. Duncan, D. Dubinko, laboratory report of ELEC 475 (Lab 3), Queen's University, 11 November 2025, after Hinton,
Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015, arXiv 1503.02531. Reconstruction: the report gives
the sum, no code; together with ``cosine`` it is the report's combined loss (``response+cosine``).

.. math::
    L = (1 - \alpha) L_{task} + \alpha \tau^2 \frac{1}{NHW} \sum_i \sum_c p^t_{ic} (\log p^t_{ic} - \log p^s_{ic})

with :math:`p = softmax_c(z / \tau)` of the logits resized to the labels, bilinear without aligned corners.

Taps: logits, whose sizes may differ. Terms: ``response`` (weight ``alpha``); the task loss is multiplied by
:math:`1 - \alpha`. Trainable parts: none. Ignored pixels are distilled like all others.

Defaults: ``alpha = 0.9`` and ``tau = 4`` are the report's, whose KL is a mean over pixels; it depends on neither batch
nor map size.

Deviations from the report's text: none known. Reconstructed: the mean over pixels (dividing the sum by the images
alone would make it as many times larger as there are pixels), the factor tau squared, and that void pixels count. The
trainer multiplies the whole task loss by :math:`1 - \alpha`, an auxiliary head's share included.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.method import Batch, Fraction, Method, Outputs, Pair, Positive, Step, distribution_kl, methods, resize, wide


def response_kl(student_logits: Tensor, teacher_logits: Tensor, size: torch.Size, tau: float) -> Tensor:
    """Return tau squared times the mean over pixels of KL(teacher || student) at a given size.

    Args:
        student_logits: N x K x h x w.
        teacher_logits: N x K x h' x w'; no gradient flows into it.
        size: height and width to resize both to.
        tau: temperature, above 0.

    Returns:
        Scalar, float32 or wider.
    """
    student, teacher = resize(wide(student_logits), size), resize(wide(teacher_logits.detach()), size)
    return tau**2 * distribution_kl(student, teacher, tau=tau, dim=1).mean()


@methods.register("response")
class Response(Method):
    """Pixel-wise KL in place of a share of the task loss (reconstruction; after Hinton et al., arXiv 1503.02531)."""

    taps = ("logits",)

    def __init__(self, pair: Pair, *, alpha: Fraction = 0.9, tau: Positive = 4.0) -> None:
        super().__init__(pair)
        self.alpha, self.tau = alpha, tau
        self.task_weight = 1 - alpha

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the scalar term ``response``."""
        divergence = response_kl(student.logits, teacher.logits, batch.target.shape[-2:], self.tau)
        return {"response": self.alpha * divergence}
