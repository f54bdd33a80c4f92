r"""Intra-class feature variation distillation: how far each pixel's feature is from the mean feature of its class.

Wang, Zhou, Jiang, Bai, Xu, "Intra-class Feature Variation Distillation for Semantic Segmentation", ECCV 2020 (no arXiv
version). The numbers are those of the authors' code, YukangWang/IFVD, utils/criterion.py and options.py.

.. math::
    m_{nk} &= \frac{\sum_{i: y_i = k} f_{ni}}{|\{i: y_i = k\}| + 10^{-6}} \\
    S_{ni} &= \cos(f_{ni}, m_{n y_i}) \\
    L &= w_v \frac{1}{NHW} \sum_{n,i} (S^s_{ni} - S^t_{ni})^2 + w_p K + w_h G

K is the pixel-wise KL divergence of the logits at temperature 1, averaged over pixels; G the adversarial term of
structured distillation, minus the mean score that a discriminator gives the student's logits.

Taps: embedding (channels may differ) and logits, each of one size. The labels are brought to the embedding's size by
nearest neighbour. An unlabelled pixel is its own centre: it adds nothing and stays in the mean, so its feature moves
nothing. The gradient flows through feature and centre.

Terms: ``ifvd`` (weight 200), ``ifvd_pixel`` (10/19), ``ifvd_holistic`` (0.001); weight 0 switches a term off. The
paper's total has all three; its similarity term alone is reported to train badly (issue 8 of the code).

Trainable parts: the discriminator alone, by an optimiser of its own: Adam at 4e-4, betas 0.9 and 0.99, falling as
``(1 - progress)^0.9``; its loss is WGAN-GP with penalty weight 10, times 0.1.

Defaults: ``weight = 200`` is the code's; the paper sets 50, CIRKD 20. ``pixel_weight``: the code has 10 on the mean
over pixels and the 19 classes of Cityscapes, which is 10/19 of our mean over pixels. ``holistic_weight = 0.001`` and
``discriminator_weight = 0.1`` are the code's (options.py:88-102); the values depend on no batch or map size.

Deviations: where the logits are smaller than 64 x 64 the discriminator has fewer stages, which plan and report tell;
its spectral norm's gradient is exact (see ``bench.method.discriminator``). The public code's loop over classes is one
product with the one-hot labels here, of the same value.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bench.method import (
    Adversary,
    Batch,
    Holistic,
    Method,
    NonNegative,
    Outputs,
    Pair,
    Positive,
    Step,
    distribution_kl,
    labels_at,
    methods,
    require_same_size,
    tap_of,
    wide,
)


def similarity_to_class_mean(feature: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Return each position's cosine with the mean feature of its class in the same image; 1 where unlabelled.

    Args:
        feature: N x C x h x w.
        labels: N x h x w; whatever is not in 0..K-1 counts as unlabelled.
        num_classes: number of classes K.

    Returns:
        N x (h * w), float32 or wider.
    """
    flat, ids = wide(feature).flatten(2), labels.flatten(1)
    labelled = (ids >= 0) & (ids < num_classes)
    ids = torch.where(labelled, ids, num_classes)[..., None]
    one_hot = flat.new_zeros(*ids.shape[:2], num_classes + 1).scatter_(2, ids, 1.0)[..., :num_classes]
    means = (flat @ one_hot) / (one_hot.sum(1)[:, None] + 1e-6)
    # every position meets every class's mean and keeps its own: no map of means is ever made
    products = ((flat.mT @ means) * one_hot).sum(2)
    norms = _norm(flat) * (_norm(means)[:, None] * one_hot).sum(2)
    return torch.where(labelled, products / norms.where(labelled, 1.0), 1.0)


def _norm(vectors: Tensor) -> Tensor:
    """Return the length of N x C x M vectors, at least 1e-8, N x M."""
    norm: Tensor = torch.linalg.vector_norm(vectors, dim=1).clamp(min=1e-8)
    return norm


@methods.register("ifvd")
class IFVD(Method):
    """Intra-class feature variation, pixel-wise KL and adversarial term (Wang et al., ECCV 2020)."""

    taps = ("logits", "embedding")

    def __init__(
        self,
        pair: Pair,
        *,
        weight: NonNegative = 200.0,
        pixel_weight: NonNegative = 10 / 19,
        holistic_weight: NonNegative = 0.001,
        discriminator_weight: NonNegative = 0.1,
        discriminator_lr: Positive = 4e-4,
    ) -> None:
        super().__init__(pair)
        require_same_size(pair, "embedding", "ifvd")
        self.weight, self.pixel_weight, self.discriminator_lr = weight, pixel_weight, discriminator_lr
        self.masks_ignored = not (pixel_weight or holistic_weight)
        self.holistic: Holistic | None = None
        if pixel_weight or holistic_weight:
            require_same_size(pair, "logits", "ifvd")
        if holistic_weight:
            self.holistic = Holistic(
                pair,
                "ifvd",
                weight=holistic_weight,
                discriminator_weight=discriminator_weight,
                loss="wgan-gp",
                order="student_first",
            )
            self.remarks += self.holistic.remarks

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the scalars ``ifvd`` and, where they are switched on, ``ifvd_pixel`` and ``ifvd_holistic``."""
        student_map, teacher_map = tap_of(student, "embedding"), tap_of(teacher, "embedding").detach()
        labels = labels_at(batch.target, student_map.shape[-2:])
        variation = [similarity_to_class_mean(one, labels, self.pair.num_classes) for one in (student_map, teacher_map)]
        terms = {"ifvd": self.weight * (variation[0] - variation[1]).square().mean()}
        if self.pixel_weight:
            divergence = distribution_kl(student.logits, teacher.logits, tau=1.0, dim=1)
            terms["ifvd_pixel"] = self.pixel_weight * divergence.mean()
        if self.holistic is not None:
            terms["ifvd_holistic"] = self.holistic.student_term(student, batch)
        return terms

    def adversaries(self) -> Sequence[Adversary]:
        """Return the discriminator, where the holistic term is switched on."""
        if self.holistic is None:
            return ()
        return [self.holistic.adversary("adam", self.discriminator_lr, 0.0, 0.9)]
