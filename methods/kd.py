r"""Knowledge distillation of every pixel's class distribution.

Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015, arXiv 1503.02531, applied to each pixel of
the logits before up-sampling.

.. math:: L = w \tau^2 \frac{1}{NHW} \sum_i \sum_c p^t_{ic} (\log p^t_{ic} - \log p^s_{ic})

with :math:`p = softmax_c(z / \tau)`.

Taps: logits, of one size. Terms: ``kd``. Trainable parts: none. Ignored pixels are distilled like all others.

Defaults: ``tau = 1``, ``weight = 1`` and the convention are those of CIRKD (winycg/CIRKD, losses/kd.py,
train_kd.py:76). ``convention`` names how a public code reduces the same sum :math:`S = \sum_i \sum_c`, so that its own
``tau`` and ``weight`` can be given:

- ``cirkd``: :math:`\tau^2 S / (NHW)`; mdistiller has the same with ``tau = 4``;
- ``ifvd``: :math:`S / (NKHW)`, the mean over classes too and no factor :math:`\tau^2`; also TorchDistiller. Both weigh
  it by 10 at ``tau = 1``, which is 0.526 of ``cirkd`` at 19 classes;
- ``mmrazor_batchmean``: :math:`\tau^2 S / N`, which grows with the map; ``mmrazor_mean``: :math:`\tau^2 S / (NKHW)`;
  ``mmrazor_sum``: :math:`\tau^2 S` (open-mmlab/mmrazor, models/losses/kl_divergence.py).

``upsample`` resizes both logits by that factor first, bilinear with aligned corners, which IFVD and TorchDistiller can
(by 8; off in their scripts).

``resize`` brings the teacher's or the student's map to the other's size, bilinear without aligned corners, where a
pair's strides differ; the paper and its codes have one size, and ``none``, the default, refuses such a pair.

Deviation: the paper mixes a soft cross-entropy with the task loss; segmentation codes add the KL divergence, whose
gradient is the same.
"""

from __future__ import annotations

from typing import Annotated, Literal

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
    Resize,
    Step,
    distribution_kl,
    methods,
    of_one_size,
    require_same_size,
)

Convention = Literal["cirkd", "ifvd", "mmrazor_batchmean", "mmrazor_mean", "mmrazor_sum"]


def pixelwise_kl(student_logits: Tensor, teacher_logits: Tensor, tau: float, convention: Convention) -> Tensor:
    """Return KL(teacher || student) of the pixels' class distributions, reduced as a public code does.

    Args:
        student_logits: N x K x h x w.
        teacher_logits: the same shape; no gradient flows into it.
        tau: temperature, above 0.
        convention: reduction and factor, as in the module's description.

    Returns:
        Scalar, float32 or wider.
    """
    divergence = distribution_kl(student_logits, teacher_logits, tau=tau, dim=1)
    if convention == "ifvd":
        return divergence.mean() / student_logits.shape[1]
    count = {"cirkd": divergence.numel(), "mmrazor_batchmean": len(divergence), "mmrazor_sum": 1}
    return tau**2 * divergence.sum() / count.get(convention, student_logits.numel())


@methods.register("kd")
class KD(Method):
    """Pixel-wise KL between class distributions (Hinton et al., 2015, arXiv 1503.02531; CIRKD's reduction)."""

    taps = ("logits",)

    def __init__(
        self,
        pair: Pair,
        *,
        tau: Positive = 1.0,
        weight: NonNegative = 1.0,
        convention: Convention = "cirkd",
        upsample: Annotated[int, Ge(1)] = 1,
        resize: Resize = "none",
    ) -> None:
        super().__init__(pair)
        require_same_size(pair, "logits", "kd", resize=resize)
        self.resize: Resize = resize
        self.tau, self.weight, self.convention, self.upsample = tau, weight, convention, upsample

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the scalar term ``kd``."""
        student_logits, teacher_logits = of_one_size(student.logits, teacher.logits, self.resize)
        if self.upsample > 1:
            height, width = student_logits.shape[-2:]
            size = (height * self.upsample, width * self.upsample)
            student_logits, teacher_logits = (
                F.interpolate(one, size=size, mode="bilinear", align_corners=True)
                for one in (student_logits, teacher_logits)
            )
        return {"kd": self.weight * pixelwise_kl(student_logits, teacher_logits, self.tau, self.convention)}
