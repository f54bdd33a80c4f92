r"""PKD: feature maps compared after each channel is standardised, which is their Pearson correlation.

Cao, Zhang, Gao, Cheng, Cheng, Zhang, "PKD: General Distillation Framework for Object Detectors via Pearson Correlation
Coefficient", NeurIPS 2022, arXiv 2207.02039.

.. math::
    L &= w \sum_l \frac{1}{2 N C_l H_l W_l} \sum_{n,c,m} (z^s_{ncm} - z^t_{ncm})^2 \\
    z_{ncm} &= (f_{ncm} - \mu_c) / (\sigma_c + 10^{-6})

with mean and unbiased deviation of channel c over all images and positions. For n values a channel it equals
:math:`(n - 1) / n` times the mean over channels of 1 - r, r Pearson's coefficient.

Taps: embedding, or stages with ``tap: stages``: all encoder stages that match, one to one or by stride, summed.
Terms: ``pkd``. Sizes may differ: the student's map is resized to the teacher's, bilinear without aligned corners, or
the teacher's to the student's with ``resize_student: false``. Ignored pixels are distilled like all others.

Trainable parts: none. The channels of the two maps have to be equally many; ``adapter: true`` puts a 1x1 convolution
behind each map of the student, which is not in the paper (no bias: the standardisation would remove it).

Defaults: ``weight = 6`` is the authors' for two-stage detectors on each level of a feature pyramid, 10 for one-stage
ones (open-mmlab/mmrazor, configs/distill/mmdet/pkd; models/losses/pkd_loss.py, default 1). There is no official
segmentation setting: weight and tap are our choice. The mean depends on neither batch nor map size.

Deviations: the official code resizes where the heights differ and stops where only the widths do; here either one
resizes. One value a channel, whose unbiased deviation is not defined, counts as deviation 0.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from bench.method import (
    EVERY_TASK,
    Batch,
    Method,
    NonNegative,
    Outputs,
    Pair,
    Step,
    TapSpec,
    Unsupported,
    matched_stages,
    methods,
    require_tap,
    resize,
    tap_of,
    wide,
)

EPSILON = 1e-6


def standardised(feature: Tensor) -> Tensor:
    """Return a map whose channels have mean 0 and deviation 1 over all images and positions.

    Args:
        feature: N x C x h x w.

    Returns:
        The same shape, float32 or wider.
    """
    values = wide(feature)
    centred = values - values.mean(dim=(0, 2, 3), keepdim=True)
    count = values.numel() // values.shape[1]
    deviation: Tensor = torch.linalg.vector_norm(centred, dim=(0, 2, 3), keepdim=True) / math.sqrt(max(count - 1, 1))
    return centred / (deviation + EPSILON)


def pearson_distance(student_map: Tensor, teacher_map: Tensor, *, resize_student: bool = True) -> Tensor:
    """Return half the mean squared difference of the standardised maps.

    Args:
        student_map: N x C x h x w.
        teacher_map: N x C x h' x w'; no gradient flows into it.
        resize_student: bring the student's map to the teacher's size, else the other way round.

    Returns:
        Scalar in 0..2, float32 or wider.
    """
    student, teacher = wide(student_map), wide(teacher_map.detach())
    if resize_student:
        student = resize(student, teacher.shape[-2:])
    else:
        teacher = resize(teacher, student.shape[-2:])
    return (standardised(student) - standardised(teacher)).square().mean() / 2


@methods.register("pkd")
class PKD(Method):
    """Pearson distance of feature maps (Cao et al., NeurIPS 2022, arXiv 2207.02039)."""

    tasks = EVERY_TASK

    def __init__(
        self,
        pair: Pair,
        *,
        tap: Literal["embedding", "stages"] = "embedding",
        resize_student: bool = True,
        adapter: bool = False,
        weight: NonNegative = 6.0,
    ) -> None:
        super().__init__(pair)
        self.taps = (tap,)
        self.tap, self.resize_student, self.weight = tap, resize_student, weight
        if tap == "stages":
            self.levels = matched_stages(pair, "pkd")
            specs = [(pair.student.stages[i], pair.teacher.stages[j]) for i, j in self.levels]
        else:
            self.levels = [(-1, -1)]
            specs = [require_tap(pair, tap, "pkd")]
        if not adapter:
            _require_equal_channels(specs, tap)
        self.adapters = nn.ModuleList(
            nn.Conv2d(student.channels, teacher.channels, 1, bias=False) if adapter else nn.Identity()
            for student, teacher in specs
        )

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the term ``pkd``."""
        distances = [
            pearson_distance(
                adapter(wide(tap_of(student, self.tap, student_stage))),
                tap_of(teacher, self.tap, teacher_stage),
                resize_student=self.resize_student,
            )
            for (student_stage, teacher_stage), adapter in zip(self.levels, self.adapters, strict=True)
        ]
        return {"pkd": self.weight * torch.stack(distances).sum()}


def _require_equal_channels(specs: list[tuple[TapSpec, TapSpec]], tap: str) -> None:
    if any(student.channels != teacher.channels for student, teacher in specs):
        channels = ["/".join(str(spec.channels) for spec in side) for side in zip(*specs, strict=True)]
        raise Unsupported(
            f"pkd compares maps channel by channel; the {tap} has {channels[0]} (student) and {channels[1]} (teacher) "
            "channels. Set adapter: true for 1x1 adapters, which the paper does not have"
        )
