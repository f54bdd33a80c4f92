r"""MGD: the student's masked map has to generate the teacher's whole one.

Yang, Li, Shao, Shi, Yuan, Yuan, "Masked Generative Distillation", ECCV 2022, arXiv 2205.01529.

.. math:: L = w \frac{1}{NHW} \sum_{n,m} \sum_c (G(M \odot A f^s) - f^t)_{ncm}^2

A: 1x1 convolution to the teacher's channels; M: drawn anew at every step, 0 at a share ``mask_ratio`` of each image's
positions and 1 elsewhere, for all channels alike; G: 3x3 convolution, ReLU, 3x3 convolution. Every position counts,
masked or not.

Taps: the last encoder stage, or the embedding with ``tap: embedding``, of one size; channels may differ. Terms:
``mgd``. Ignored pixels are distilled like all others.

Trainable parts: A, with bias, where the channels differ; G at the teacher's channels, which is larger than most
students where those are many (75 million parameters at 2048).

Defaults: ``mask_ratio = 0.75``, the share that is dropped (the code's lambda), and the last stage are the authors' for
segmentation (yzd-v/MGD, seg/configs/distillers/mgd; 0.65 for detection and in open-mmlab/mmrazor,
architectures/connectors/mgd_connector.py, whose ``mask_on_channel`` is ``mask_channels``: whole channels of an image
are dropped instead of positions). ``weight = 0.08192``: the code weighs the sum over all entries, divided by the
number of images, by 2e-5, which grows with the map; ours is a mean over positions. Its configurations train on crops
of 512 x 512 at stride 8, taken here to give 64 x 64 positions: 2e-5 * 4096 = 0.08192. A weight w of the official form
is w M here at M positions.

Deviation: the authors' segmentation code adds CWD of the logits by default (tau 4, weight 3), which is ``mgd+cwd``.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from bench.method import (
    EVERY_TASK,
    Batch,
    Fraction,
    Method,
    NonNegative,
    Outputs,
    Pair,
    Step,
    methods,
    require_same_size,
    tap_of,
    wide,
)

MGD_POSITIONS = 64 * 64


def generation_loss(generated: Tensor, teacher_map: Tensor) -> Tensor:
    """Return the squared distance of the channel vectors, averaged over images and positions.

    Args:
        generated: N x C x h x w.
        teacher_map: the same shape; no gradient flows into it.

    Returns:
        Scalar, float32 or wider.
    """
    return (wide(generated) - wide(teacher_map.detach())).square().sum(1).mean()


@methods.register("mgd")
class MGD(Method):
    """Masked generative distillation (Yang et al., ECCV 2022, arXiv 2205.01529)."""

    tasks = EVERY_TASK

    def __init__(
        self,
        pair: Pair,
        *,
        tap: Literal["stages", "embedding"] = "stages",
        mask_ratio: Fraction = 0.75,
        mask_channels: bool = False,
        weight: NonNegative = 2e-5 * MGD_POSITIONS,
    ) -> None:
        super().__init__(pair)
        self.taps = (tap,)
        student, teacher = require_same_size(pair, tap, "mgd")
        self.tap, self.mask_ratio, self.mask_channels, self.weight = tap, mask_ratio, mask_channels, weight
        channels = teacher.channels
        self.align = nn.Identity() if student.channels == channels else nn.Conv2d(student.channels, channels, 1)
        self.generation = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)
        )

    def draw(self, feature: Tensor) -> Tensor:
        """Return uniform numbers in 0..1 for a map: one a position, N x 1 x h x w, or one a channel, N x C x 1 x 1."""
        images, channels, height, width = feature.shape
        shape = (images, channels, 1, 1) if self.mask_channels else (images, 1, height, width)
        return torch.rand(shape, device=feature.device, dtype=feature.dtype)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the term ``mgd``."""
        aligned = self.align(wide(tap_of(student, self.tap)))
        kept = self.draw(aligned) <= 1 - self.mask_ratio
        return {"mgd": self.weight * generation_loss(self.generation(aligned * kept), tap_of(teacher, self.tap))}
