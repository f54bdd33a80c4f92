r"""Channel-wise distillation: each channel's distribution over the positions of the map.

Shu, Liu, Gao, Zheng, Shen, "Channel-wise Knowledge Distillation for Dense Prediction", ICCV 2021, arXiv 2011.13256.

.. math:: L = w \frac{\tau^2}{NC} \sum_{n,c} \sum_m q^t_{ncm} (\log q^t_{ncm} - \log q^s_{ncm})

with :math:`q = softmax_m(z / \tau)` over the positions m.

Taps: logits (``tap = logits``), or the embedding behind a trainable 1x1 convolution from the student's channels to the
teacher's; both of one size. Terms: ``cwd``. Ignored pixels are distilled like all others.

Trainable parts: the adapter of the embedding, where there is one.

Defaults: ``tau = 4`` and ``weight = 3`` on the logits (irfanICMLL/TorchDistiller, SemSeg-distill, README and
exp_cwd.sh; winycg/CIRKD, train_cwd.sh). On the embedding CIRKD weighs the same form by 50. None of these reductions
depends on batch or map size, so the weights are the authors' own.

Options that name what public codes do otherwise:

- ``adapter``: ``auto`` is CIRKD's (a convolution without bias where the channel counts differ, else nothing), ``bias``
  that of mmsegmentation-distiller (the same with a bias), ``batch_norm`` that of TorchDistiller (convolution, batch
  norm and ReLU, always).
- ``divisor``: C is the ``student``'s channel count from before the adapter, as CIRKD and mmsegmentation-distiller
  divide, or the ``teacher``'s.
- ``divergence``: ``kl``; ``cross_entropy`` leaves the teacher's entropy in, which changes no gradient
  (mmsegmentation-distiller); ``mse`` is TorchDistiller's squared difference, which knows no temperature.
- ``norm``: ``channel``, the paper's; TorchDistiller's ``spatial`` is, despite its name there, a softmax over the
  classes divided by N h w, and its ``channel_mean`` compares the means of the channels (``mse`` only).

``resize`` brings the teacher's or the student's map to the other's size, bilinear without aligned corners, where a
pair's strides differ; the paper and its codes have one size, and ``none``, the default, refuses such a pair.

Deviations: log-softmax in place of the logarithm of a softmax, which the authors' code underflows for very peaked maps.
The paper divides by C for each image, the codes and this one average over images too.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from bench.method import (
    EVERY_TASK,
    Batch,
    Method,
    NonNegative,
    Outputs,
    Pair,
    Positive,
    Resize,
    Step,
    Unsupported,
    distribution_kl,
    methods,
    of_one_size,
    require_same_size,
    tap_of,
    wide,
)

Adapter = Literal["auto", "bias", "batch_norm"]
Divergence = Literal["kl", "cross_entropy", "mse"]
Norm = Literal["channel", "spatial", "channel_mean"]


def channelwise_divergence(
    student_map: Tensor, teacher_map: Tensor, tau: float, divergence: Divergence = "kl", norm: Norm = "channel"
) -> Tensor:
    """Return the mean over images and channels of the divergence of the positions' distributions.

    Args:
        student_map: N x C x h x w.
        teacher_map: the same shape; no gradient flows into it.
        tau: temperature, above 0; ``mse`` ignores it.
        divergence: KL(teacher || student) or cross-entropy, both times tau squared, or squared difference.
        norm: ``channel`` for distributions over positions, ``spatial`` for distributions over channels, averaged over
            images and positions, ``channel_mean`` for no distribution but the channels' means.

    Returns:
        Scalar, float32 or wider.
    """
    student_flat, teacher_flat = wide(student_map).flatten(2), wide(teacher_map.detach()).flatten(2)
    if norm == "channel_mean":
        return (student_flat.mean(2) - teacher_flat.mean(2)).square().mean()
    dim = 2 if norm == "channel" else 1
    if divergence == "mse":
        return (student_flat.softmax(dim) - teacher_flat.softmax(dim)).square().sum(dim).mean()
    if divergence == "cross_entropy":
        weights = (teacher_flat / tau).softmax(dim)
        return -(tau**2) * (weights * F.log_softmax(student_flat / tau, dim)).sum(dim).mean()
    return tau**2 * distribution_kl(student_flat, teacher_flat, tau=tau, dim=dim).mean()


def build_adapter(kind: Adapter, student_channels: int, teacher_channels: int) -> nn.Module:
    """Return what brings an embedding to the teacher's channels."""
    if kind == "batch_norm":
        convolution = nn.Conv2d(student_channels, teacher_channels, 1, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(teacher_channels), nn.ReLU())
    if student_channels == teacher_channels:
        return nn.Identity()
    return nn.Conv2d(student_channels, teacher_channels, 1, bias=kind == "bias")


@methods.register("cwd")
class CWD(Method):
    """Channel-wise distillation of logits or embedding (Shu et al., ICCV 2021, arXiv 2011.13256)."""

    tasks = EVERY_TASK

    def __init__(
        self,
        pair: Pair,
        *,
        tau: Positive = 4.0,
        weight: NonNegative = 3.0,
        tap: Literal["logits", "embedding"] = "logits",
        adapter: Adapter = "auto",
        divisor: Literal["student", "teacher"] = "student",
        divergence: Divergence = "kl",
        norm: Norm = "channel",
        resize: Resize = "none",
    ) -> None:
        super().__init__(pair)
        if norm == "channel_mean" and divergence != "mse":
            raise Unsupported("cwd compares the means of channels by divergence: mse only")
        student, teacher = require_same_size(pair, tap, "cwd", resize=resize)
        self.resize: Resize = resize
        self.tap: Literal["logits", "embedding"] = tap
        self.taps = (tap,)
        self.tau, self.weight, self.divergence, self.norm = tau, weight, divergence, norm
        self.adapter = nn.Identity() if tap == "logits" else build_adapter(adapter, student.channels, teacher.channels)
        # each map of the teacher counts 1 / C of the student's, as the public codes with an adapter divide
        by_channel = divisor == "student" and norm != "spatial"
        self.scale = teacher.channels / student.channels if by_channel else 1.0

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the term ``cwd``."""
        adapted = self.adapter(tap_of(student, self.tap))
        student_map, teacher_map = of_one_size(adapted, tap_of(teacher, self.tap), self.resize)
        loss = channelwise_divergence(student_map, teacher_map, self.tau, self.divergence, self.norm)
        return {"cwd": self.weight * self.scale * loss}
