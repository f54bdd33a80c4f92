r"""Channel-wise distillation: each channel's distribution over the positions of the map.

Shu, Liu, Gao, Zheng, Shen, "Channel-wise Knowledge Distillation for Dense Prediction", ICCV 2021, arXiv 2011.13256.

.. math:: L = w \frac{\tau^2}{NC} \sum_{n,c} \sum_m q^t_{ncm} (\log q^t_{ncm} - \log q^s_{ncm})

with :math:`q = softmax_m(z / \tau)` over the positions m.

Taps: logits. Trainable parts: none. Ignored pixels are distilled like all others.

Defaults: ``tau = 4`` and ``weight = 3`` on the logits are those of the authors' script (irfanICMLL/TorchDistiller,
SemSeg-distill, README and exp_cwd.sh).

Deviation: log-softmax in place of the logarithm of a softmax, which the authors' code underflows for very peaked maps.
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


def channelwise_kl(student_map: Tensor, teacher_map: Tensor, tau: float) -> Tensor:
    """Return tau squared times the mean over images and channels of KL(teacher || student) over positions.

    Args:
        student_map: N x C x h x w.
        teacher_map: the same shape; no gradient flows into it.
        tau: temperature, above 0.

    Returns:
        Scalar, float32 or wider.
    """
    return tau**2 * distribution_kl(student_map.flatten(2), teacher_map.flatten(2), tau=tau, dim=2).mean()


@methods.register("cwd")
class CWD(Method):
    """Channel-wise distillation of the logits (Shu et al., ICCV 2021, arXiv 2011.13256)."""

    taps = ("logits",)

    def __init__(self, pair: Pair, *, tau: Positive = 4.0, weight: NonNegative = 3.0) -> None:
        super().__init__(pair)
        require_same_size(pair, "logits", "cwd")
        self.tau, self.weight = tau, weight

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the term ``cwd``."""
        return {"cwd": self.weight * channelwise_kl(student.logits, teacher.logits, self.tau)}
