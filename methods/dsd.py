r"""DSD: how attention changes from map to map, and how alike the classes' places are.

Feng, Sun, Diao, Li, Gao, "Double Similarity Distillation for Semantic Image Segmentation", IEEE Transactions on Image
Processing 2021, arXiv 2107.08591. The authors' code is not public: the numbers are those of CIRKD's reproduction
(winycg/CIRKD, losses/dsd.py).

.. math::
    L &= w_p L_{psd} + w_c L_{csd} \\
    L_{psd} &= \frac{1}{N |B|} \sum_n \sum_{(k,l) \in B} \lVert \hat r^s_{nkl} - \hat r^t_{nkl} \rVert_2^2, \quad
    \hat r_{kl} = \frac{\hat a_l - \hat a_k}{\lVert \hat a_l - \hat a_k \rVert_2} \\
    L_{csd} &= \frac{1}{N K^2} \sum_{n,c,d} (P G^s_{ncd} - P G^t_{ncd})^2, \quad G = Q Q^T

:math:`\hat a_k` is the attention map of the k-th map (squares averaged over channels, a unit vector for each image) and
B all pairs k < l of maps. Q is the softmax at ``tau`` over the P positions of each class's logits after 2 x 2 average
pooling, whose last windows are partial where the size is odd.

Taps: embedding and logits; ``stages = n`` puts the last n encoder stages in front of them. All need one size; channels
may differ. Terms: ``dsd_pixel`` and ``dsd_category``. Trainable parts: none. Ignored pixels are distilled like all
others.

Defaults: ``tau = 4``; ``pixel_weight = 0.12207`` and ``category_weight = 2.3842e-6`` from CIRKD's 1000 and 10
(scripts/train_kd/train_dsd.sh). CIRKD averages the first term over positions too, which falls with their number
M, and does not scale G, whose entries are about 1 / P; ours sums over positions and multiplies G by P. Its crops of 512
x 1024 at stride 8 have M = 64 x 128 positions, P = 32 x 64 after pooling: 1000 / 8192 = 0.12207 and 10 / 2048^2 =
2.3842e-6. At that weight the second term is almost inert, as it is in CIRKD. ``stages = 0``: the maps of CIRKD's
SegFormer; its other networks put the auxiliary head's logits first, which no tap gives.

Deviations: CIRKD computes neither term where one weight is 0; here each has its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.method import (
    Batch,
    Ge,
    Method,
    NonNegative,
    Outputs,
    OutputSpec,
    Pair,
    Positive,
    Step,
    Unsupported,
    attention_map,
    methods,
    require_tap,
    tap_of,
    wide,
)

CIRKD_POSITIONS = 64 * 128
CIRKD_POOLED_POSITIONS = 32 * 64


def residual_attention(maps: Sequence[Tensor]) -> Tensor:
    """Return the unit difference of the attention maps of every two maps.

    Args:
        maps: at least two of N x C_k x h x w.

    Returns:
        pairs x N x (h * w), float32 or wider.
    """
    attention = [attention_map(one) for one in maps]
    return F.normalize(torch.stack([later - earlier for earlier, later in combinations(attention, 2)]), dim=2)


def pixel_similarity_distance(student_maps: Sequence[Tensor], teacher_maps: Sequence[Tensor]) -> Tensor:
    """Return the mean over pairs of maps and images of the squared distance of the residual attention.

    Args:
        student_maps: at least two of N x C_k x h x w.
        teacher_maps: as many, of the same sizes; no gradient flows into them.

    Returns:
        Scalar in 0..4, float32 or wider.
    """
    student = residual_attention(student_maps)
    teacher = residual_attention([one.detach() for one in teacher_maps])
    return (student - teacher).square().sum(2).mean()


def category_similarity(logits: Tensor, tau: float) -> Tensor:
    """Return P times the scalar products of the classes' distributions over the P pooled positions.

    Args:
        logits: N x K x h x w.
        tau: temperature, above 0.

    Returns:
        N x K x K, at least 0, float32 or wider.
    """
    pooled = F.avg_pool2d(wide(logits), 2, ceil_mode=True).flatten(2)
    places = (pooled / tau).softmax(2)
    return places.shape[2] * wide(places @ places.mT)


def category_similarity_distance(student_logits: Tensor, teacher_logits: Tensor, tau: float) -> Tensor:
    """Return the mean squared difference of the category similarities.

    Args:
        student_logits: N x K x h x w.
        teacher_logits: the same shape; no gradient flows into it.
        tau: temperature, above 0.

    Returns:
        Scalar, float32 or wider.
    """
    difference = category_similarity(student_logits, tau) - category_similarity(teacher_logits.detach(), tau)
    return difference.square().mean()


@methods.register("dsd")
class DSD(Method):
    """Pixel and category similarities (Feng et al., TIP 2021, arXiv 2107.08591; CIRKD's reproduction)."""

    def __init__(
        self,
        pair: Pair,
        *,
        pixel_weight: NonNegative = 1000 / CIRKD_POSITIONS,
        category_weight: NonNegative = 10 / CIRKD_POOLED_POSITIONS**2,
        tau: Positive = 4.0,
        stages: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(pair)
        self.taps = ("logits", "embedding", "stages") if stages else ("logits", "embedding")
        self.pixel_weight, self.category_weight, self.tau, self.stages = pixel_weight, category_weight, tau, stages
        require_tap(pair, "embedding", "dsd")
        if stages:
            require_tap(pair, "stages", "dsd", -stages)
        strides = [self._strides(spec) for spec in (pair.student, pair.teacher)]
        if len({*strides[0], *strides[1]}) > 1:
            shown = ["/".join(f"{stride:g}" for stride in side) for side in strides]
            raise Unsupported(
                f"dsd compares maps of one size; strides of {'stages, ' if stages else ''}embedding and logits are "
                f"{shown[0]} (student) and {shown[1]} (teacher)"
            )

    def _strides(self, spec: OutputSpec) -> list[float]:
        maps = [*spec.stages[len(spec.stages) - self.stages :], spec.embedding, spec.logits]
        return [one.stride for one in maps if one is not None]

    def _maps(self, outputs: Outputs) -> list[Tensor]:
        first = len(outputs.stages) - self.stages
        return [*outputs.stages[first:], tap_of(outputs, "embedding"), outputs.logits]

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the scalar terms ``dsd_pixel`` and ``dsd_category``."""
        pixel = pixel_similarity_distance(self._maps(student), self._maps(teacher))
        category = category_similarity_distance(student.logits, teacher.logits, self.tau)
        return {"dsd_pixel": self.pixel_weight * pixel, "dsd_category": self.category_weight * category}
