r"""Knowledge distillation of every pixel's class distribution.

Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015, arXiv 1503.02531, applied to each pixel of
the logits before up-sampling.

.. math:: L = w \tau^2 \frac{1}{NHW} \sum_i \sum_c p^t_{ic} (\log p^t_{ic} - \log p^s_{ic})

with :math:`p = softmax_c(z / \tau)`.

Taps: logits. Trainable parts: none. Ignored pixels are distilled like all others.

Defaults: ``tau = 1`` and ``weight = 1`` are those of CIRKD (winycg/CIRKD, losses/kd.py, train_kd.py:76), whose form
this is: mean over pixels, sum over classes, times tau squared. Others weigh the same quantity differently: IFVD and
TorchDistiller use ``10 / K`` of it at ``tau = 1`` and no factor tau squared.
"""

from __future__ import annotations

from torch import Tensor

from bench.method import (
    Batch,
    Method,
    NonNegative,
    Outputs,
    Pair,
    Positive,
    Step,
    distribution_kl,
    methods,
    require_same_size,
)


def pixelwise_kl(student_logits: Tensor, teacher_logits: Tensor, tau: float) -> Tensor:
    """Return tau squared times the mean over pixels of KL(teacher || student).

    Args:
        student_logits: N x K x h x w.
        teacher_logits: the same shape; no gradient flows into it.
        tau: temperature, above 0.

    Returns:
        Scalar, float32 or wider.
    """
    return tau**2 * distribution_kl(student_logits, teacher_logits, tau=tau, dim=1).mean()


@methods.register("kd")
class KD(Method):
    """Pixel-wise KL between class distributions (Hinton et al., 2015, arXiv 1503.02531; CIRKD's reduction)."""

    taps = ("logits",)

    def __init__(self, pair: Pair, *, tau: Positive = 1.0, weight: NonNegative = 1.0) -> None:
        super().__init__(pair)
        require_same_size(pair, "logits", "kd")
        self.tau, self.weight = tau, weight

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the term ``kd``."""
        return {"kd": self.weight * pixelwise_kl(student.logits, teacher.logits, self.tau)}
