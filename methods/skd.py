r"""Structured knowledge distillation: class distributions, similarities of pairs of positions, and a discriminator.

Liu, Chen, Liu, Qin, Luo, Wang, "Structured Knowledge Distillation for Semantic Segmentation", CVPR 2019, and Liu,
Shu, Wang, Shen, "Structured Knowledge Distillation for Dense Prediction", TPAMI; both arXiv 1903.04197. The numbers
are those of the authors' code, irfanICMLL/structure_knowledge_distillation.

.. math::
    L &= w_p P + w_a A + w_h G \\
    P &= -\frac{1}{NHW} \sum_i \sum_c p^t_{ic} \log p^s_{ic} \\
    A &= \frac{1}{N P^2} \sum_{n,i,j} (a^t_{nij} - a^s_{nij})^2, \quad a_{ij} = \hat f_i \cdot \hat f_j \\
    G &= -mean\, D(s)

:math:`\hat f` is the embedding, max-pooled to P nodes, over its norm, which is a constant of the backward; D scores
logits.

Taps: logits and embedding (channels may differ), each of one size. Terms: ``skd_pixel``, ``skd_pair``,
``skd_holistic``; weight 0 switches a term off. Ignored pixels are distilled like all others.

Trainable parts: the discriminator alone, by an optimiser of its own; its loss stands in the history as
``skd_discriminator`` and ``skd_penalty``.

Defaults:

- ``pixel_weight = 80``: the code has 10 on a sum over the batch divided by H W, at 8 images a GPU: 80 on our mean
  over images and pixels. It keeps the teacher's entropy, as the code does: the value is not 0 for equal models, the
  gradient is that of the KL divergence.
- ``pair_weight = 0.5`` and ``pair_scale = 0.5`` (run_train_val.sh:22; the option's own default is 1.0): pooling
  windows of half the map, that is 2 x 2 nodes, or 3 x 3 at odd sizes. ``pair_pool = cirkd`` is CIRKD's form and the
  paper's granularity: windows of 2 x 2 and the full gradient through the norm; CIRKD weighs it by 10.
- ``holistic_weight = 0.1`` for the student and ``discriminator_weight = 0.1`` for the discriminator (one option in
  the code); IFVD, TorchDistiller and CIRKD have 0.001 and 0.1. ``adversarial_loss = wgan-gp`` with ``penalty_weight =
  10``; CIRKD has ``hinge``. ``discriminator_optimizer = sgd`` at 4e-4 with momentum 0.9 and weight decay 5e-4,
  falling as ``(1 - progress)^0.9``; the three others have ``adam`` with betas 0.9 and 0.99.
- ``preprocess = batch_norm`` of the logits, with the statistics of each batch; ``tanh`` and ``range`` are the code's
  modes 2 and 3. ``conditional`` shows the discriminator the image beside the class probabilities, as the paper and
  the code's cvpr_19 branch do.

Means over batch and map make all but the pixel term independent of both sizes.

Deviations: where the logits are smaller than 64 x 64 the discriminator has as many of its four stages as fit, which
plan and report tell; its spectral norm's gradient is exact (see ``bench.method.discriminator``). The paper pools
nodes by averaging and weighs the pair term by 10; the code is followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.method import (
    Adversary,
    Batch,
    Gt,
    Holistic,
    Le,
    Method,
    NonNegative,
    Outputs,
    Pair,
    Positive,
    Step,
    Unsupported,
    methods,
    require_same_size,
    tap_of,
    wide,
)

Pool = Literal["scale", "cirkd"]


def soft_cross_entropy(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Return the mean over pixels of the cross-entropy with the teacher's class distribution.

    Args:
        student_logits: N x K x h x w.
        teacher_logits: the same shape; no gradient flows into it.

    Returns:
        Scalar, float32 or wider.
    """
    probabilities = wide(teacher_logits.detach()).softmax(1)
    return -(probabilities * F.log_softmax(wide(student_logits), 1)).sum(1).mean()


def affinity(feature: Tensor, window: tuple[int, int], detach_norm: bool) -> Tensor:
    """Return the similarities of all pairs of max-pooled nodes.

    Args:
        feature: N x C x h x w.
        window: height and width of a node.
        detach_norm: treat the nodes' norms as constants, as the official code does.

    Returns:
        N x P x P, float32 or wider.
    """
    nodes = F.max_pool2d(wide(feature), window, stride=window, ceil_mode=True).flatten(2)
    if detach_norm:
        nodes = nodes / (torch.linalg.vector_norm(nodes.detach(), dim=1, keepdim=True) + 1e-8)
    else:
        nodes = F.normalize(nodes, dim=1)
    return nodes.mT @ nodes


@methods.register("skd")
class SKD(Method):
    """Pixel-wise, pair-wise and holistic distillation (Liu et al., CVPR 2019 and TPAMI, arXiv 1903.04197)."""

    def __init__(
        self,
        pair: Pair,
        *,
        pixel_weight: NonNegative = 80.0,
        pair_weight: NonNegative = 0.5,
        pair_scale: Annotated[float, Gt(0), Le(1)] = 0.5,
        pair_pool: Pool = "scale",
        holistic_weight: NonNegative = 0.1,
        discriminator_weight: NonNegative = 0.1,
        adversarial_loss: Literal["wgan-gp", "hinge"] = "wgan-gp",
        penalty_weight: NonNegative = 10.0,
        preprocess: Literal["batch_norm", "tanh", "range"] = "batch_norm",
        conditional: bool = False,
        discriminator_optimizer: Literal["sgd", "adam"] = "sgd",
        discriminator_lr: Positive = 4e-4,
    ) -> None:
        super().__init__(pair)
        if not (pixel_weight or pair_weight or holistic_weight):
            raise Unsupported("skd has all of its terms switched off; give one of them a weight, or use none")
        self.pixel_weight, self.pair_weight = pixel_weight, pair_weight
        self.pair_scale, self.pair_pool = pair_scale, pair_pool
        self.discriminator_optimizer, self.discriminator_lr = discriminator_optimizer, discriminator_lr
        self.taps = (
            *(("logits",) if pixel_weight or holistic_weight else ()),
            *(("embedding",) if pair_weight else ()),
        )
        for tap in self.taps:
            require_same_size(pair, tap, "skd")
        self.holistic: Holistic | None = None
        if holistic_weight:
            self.holistic = Holistic(
                pair,
                "skd",
                weight=holistic_weight,
                discriminator_weight=discriminator_weight,
                loss=adversarial_loss,
                penalty_weight=penalty_weight,
                preprocess=preprocess,
                conditional=conditional,
            )
            self.remarks += self.holistic.remarks

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return those of the scalars ``skd_pixel``, ``skd_pair`` and ``skd_holistic`` that are switched on."""
        terms: dict[str, Tensor] = {}
        if self.pixel_weight:
            terms["skd_pixel"] = self.pixel_weight * soft_cross_entropy(student.logits, teacher.logits)
        if self.pair_weight:
            terms["skd_pair"] = self.pair_weight * self._pair_term(student, teacher)
        if self.holistic is not None:
            terms["skd_holistic"] = self.holistic.student_term(student, batch)
        return terms

    def _pair_term(self, student: Outputs, teacher: Outputs) -> Tensor:
        student_map, teacher_map = tap_of(student, "embedding"), tap_of(teacher, "embedding").detach()
        height, width = (max(1, int(self.pair_scale * side)) for side in teacher_map.shape[-2:])
        official = self.pair_pool == "scale"
        window = (height, width) if official else (2, 2)
        return (affinity(teacher_map, window, official) - affinity(student_map, window, official)).square().mean()

    def adversaries(self) -> Sequence[Adversary]:
        """Return the discriminator, where the holistic term is switched on."""
        if self.holistic is None:
            return ()
        decay = 5e-4 if self.discriminator_optimizer == "sgd" else 0.0
        return [self.holistic.adversary(self.discriminator_optimizer, self.discriminator_lr, decay, 0.9)]
