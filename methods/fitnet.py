r"""FitNet: the student's embedding regresses the teacher's through a linear adapter.

Romero, Ballas, Kahou, Chassang, Gatta, Bengio, "FitNets: Hints for Thin Deep Nets", ICLR 2015, arXiv 1412.6550.

.. math:: L = w \frac{1}{NCHW} \sum_{n,c,m} (A f^s - f^t)_{ncm}^2

with A a 1x1 convolution to the teacher's channels.

Taps: embedding, of one size; channels may differ. Terms: ``fitnet``. Ignored pixels are distilled like all others.

Trainable parts: the adapter, without bias, also where the channels are equal. ``adapter: false`` leaves it out and
needs equal channels.

Defaults: ``weight = 10``, the adapter and the mean are CIRKD's (winycg/CIRKD, losses/fitnet.py,
scripts/train_kd/train_fitnet.sh, where pixel KD of weight 1 stands beside it: ``fitnet+kd``; CIRKDv2's scripts use 1
or 10). The mean depends on neither batch nor map size, so the weight is unchanged.

``normalize`` and ``reduction`` express mmrazor's L2Loss (open-mmlab/mmrazor, models/losses/l2_loss.py), which has no
adapter, normalises by default and weighs by 1: ``normalize`` divides each image's whole map by its L2 norm;
``reduction`` is ``mean`` (its ``div_element``), ``image``, the sum over an image (its default), or ``root``, the square
root of the whole sum (its ``dist``). The last two grow with the map; its multiplier m is a factor
:math:`m^2` of the weight, m for ``root``. An all-zero map stays zero where that code divides by 0.

Deviation: the paper trains the hint in a stage of its own before the task, with half the sum of squares, and its
regressor may be a larger convolution; the public segmentation codes train hint and task jointly, which is followed.
"""

from __future__ import annotations

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
    Unsupported,
    methods,
    require_same_size,
    tap_of,
    wide,
)

Reduction = Literal["mean", "image", "root"]


def unit_maps(feature: Tensor) -> Tensor:
    """Return each image's map as one vector of L2 norm 1; an all-zero map stays zero.

    Args:
        feature: N x C x h x w, float32 or wider.

    Returns:
        N x (C * h * w).
    """
    flat = feature.flatten(1)
    norm = torch.linalg.vector_norm(flat, dim=1, keepdim=True)
    return flat / torch.where(norm > 0, norm, torch.ones_like(norm))


def hint_loss(student_map: Tensor, teacher_map: Tensor, *, normalize: bool, reduction: Reduction) -> Tensor:
    """Return the squared difference of two maps.

    Args:
        student_map: N x C x h x w, after the adapter.
        teacher_map: the same shape; no gradient flows into it.
        normalize: compare the maps as unit vectors, one for each image.
        reduction: mean over all entries, sum over an image's, or square root of the sum.

    Returns:
        Scalar, float32 or wider.
    """
    student, teacher = wide(student_map), wide(teacher_map.detach())
    if normalize:
        student, teacher = unit_maps(student), unit_maps(teacher)
    difference = student - teacher
    if reduction == "root":
        # the norm's gradient is 0 where the maps agree, the square root's would not be finite
        root: Tensor = torch.linalg.vector_norm(difference)
        return root
    squares = difference.square()
    return squares.mean() if reduction == "mean" else squares.sum() / len(squares)


@methods.register("fitnet")
class FitNet(Method):
    """Regression of the teacher's embedding (Romero et al., ICLR 2015, arXiv 1412.6550; CIRKD's form)."""

    tasks = EVERY_TASK
    taps = ("embedding",)

    def __init__(
        self,
        pair: Pair,
        *,
        weight: NonNegative = 10.0,
        adapter: bool = True,
        normalize: bool = False,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(pair)
        student, teacher = require_same_size(pair, "embedding", "fitnet")
        if not adapter and student.channels != teacher.channels:
            raise Unsupported(
                f"fitnet without its adapter compares embeddings of equally many channels, they have "
                f"{student.channels} (student) and {teacher.channels} (teacher). Set adapter: true"
            )
        self.weight, self.normalize, self.reduction = weight, normalize, reduction
        self.adapter = nn.Conv2d(student.channels, teacher.channels, 1, bias=False) if adapter else nn.Identity()

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the term ``fitnet``."""
        adapted = self.adapter(wide(tap_of(student, "embedding")))
        loss = hint_loss(adapted, tap_of(teacher, "embedding"), normalize=self.normalize, reduction=self.reduction)
        return {"fitnet": self.weight * loss}
