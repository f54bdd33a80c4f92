r"""Holistic distillation: a discriminator learns to tell the teacher's score maps from the student's.

Liu, Chen, Liu, Qin, Luo, Wang, "Structured Knowledge Distillation for Semantic Segmentation", CVPR 2019, and the TPAMI
version, both arXiv 1903.04197; the network and its losses as in irfanICMLL/structure_knowledge_distillation
(networks/sagan_models.py, networks/spectral.py, utils/criterion.py), which IFVD, TorchDistiller and CIRKD share.

.. math::
    G &= -mean\, D(s) \\
    L_{wgan-gp} &= mean\, D(s) - mean\, D(t) + \lambda_{gp}\, mean_n (\lVert \nabla_{x_n} D(x) \rVert_2 - 1)^2 \\
    L_{hinge} &= mean\, relu(1 - D(t)) + mean\, relu(1 + D(s))

with x = a t + (1 - a) s and one a ~ U(0, 1) for each image. Deviation: the official spectral norm overwrites its
vectors between the forwards of one backward, so its gradient to the normalised weights is 1 to 5 % off; ours is exact.
Values, the student's gradient and the gradient of every other weight agree.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.base.errors import Unsupported
from bench.method.base import Adversary, Batch, Outputs, Pair, Step
from bench.method.maps import wide

WIDTHS = (64, 128, 256, 512)
ATTENTION_FROM = 2
"""Index of the first stage that attention follows."""
HEAD = 4
"""Side of the last convolution's window."""

Preprocess = Literal["batch_norm", "tanh", "range"]
Loss = Literal["wgan-gp", "hinge"]
Order = Literal["teacher_first", "student_first"]


class SpectralConv2d(nn.Conv2d):
    """A strided convolution whose weight is divided by its largest singular value.

    One power iteration at every forward, in training and in evaluation; the vectors are constants of the backward.
    Miyato et al., "Spectral Normalization for Generative Adversarial Networks", ICLR 2018, arXiv 1802.05957.
    torch's own parametrisation iterates in the other order and only in training, which gives other values.
    """

    u: Tensor

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 4, stride=2, padding=1)
        self.register_buffer("u", F.normalize(torch.randn(out_channels), dim=0))

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution with the normalised weight; N x C x h x w to N x C' x h/2 x w/2, rounded down."""
        matrix = self.weight.flatten(1)
        with torch.no_grad():
            v = _unit(matrix.mT @ _unit(self.u))
            u = _unit(matrix @ v)
        self.u = u
        convolved: Tensor = self._conv_forward(x, self.weight / (u @ (matrix @ v)), self.bias)
        return convolved


def _unit(vector: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(vector)
    return vector / (norm + 1e-12)


class SelfAttention(nn.Module):
    """Attention over positions with a residual whose weight starts at 0.

    Zhang et al., "Self-Attention Generative Adversarial Networks", ICML 2019, arXiv 1805.08318; dot products are not
    scaled.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels // 8, 1)
        self.key = nn.Conv2d(channels, channels // 8, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the attended map; N x C x h x w to the same shape."""
        query, key, value = (layer(x).flatten(2) for layer in (self.query, self.key, self.value))
        weights = (query.mT @ key).softmax(dim=-1)
        attended: Tensor = self.gamma * (value @ weights.mT).view_as(x) + x
        return attended


class Discriminator(nn.Module):
    """Scores maps: up to four strided convolutions under spectral norm, attention after the last two, one score window.

    Args:
        in_channels: channels of the maps.
        size: height and width of the maps; from 64 x 64 on all four stages fit, below it as many as do.
        preprocess: batch norm with the batch's own statistics, tanh, or ``2 (x / 255 - 0.5)``; None does nothing.

    Raises:
        Unsupported: the maps are smaller than 8 x 8, so that no stage fits.
    """

    def __init__(self, in_channels: int, size: tuple[int, int], preprocess: Preprocess | None = "batch_norm") -> None:
        super().__init__()
        widths = WIDTHS[: stages_that_fit(size)]
        if not widths:
            raise Unsupported(
                f"the discriminator needs logits of at least 8 x 8, they are {size[0]} x {size[1]}. "
                "Use a larger crop, or weight 0 for the holistic term."
            )
        self.preprocess = preprocess
        self.norm = nn.BatchNorm2d(in_channels, track_running_stats=False) if preprocess == "batch_norm" else None
        pairs = zip((in_channels, *widths), widths, strict=False)
        self.convs = nn.ModuleList(SpectralConv2d(narrow, wide_) for narrow, wide_ in pairs)
        self.attentions = nn.ModuleList(SelfAttention(width) for width in widths[ATTENTION_FROM:])
        self.head = nn.Conv2d(widths[-1], 1, HEAD)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the scores of maps.

        Args:
            maps: N x C x h x w.

        Returns:
            N x 1 x h' x w', a score for each window of the last convolution; one for maps of 64 x 64.
        """
        x = maps
        if self.norm is not None:
            x = self.norm(x)
        elif self.preprocess == "tanh":
            x = x.tanh()
        elif self.preprocess == "range":
            x = 2 * (x / 255 - 0.5)
        for index, conv in enumerate(self.convs):
            x = F.leaky_relu(conv(x), 0.1)
            if index >= ATTENTION_FROM:
                x = self.attentions[index - ATTENTION_FROM](x)
        scores: Tensor = self.head(x)
        return scores


def stages_that_fit(size: tuple[int, int]) -> int:
    """Return how many halvings leave at least the last window's side, at most four."""
    side, stages = min(size), 0
    while stages < len(WIDTHS) and side // 2 >= HEAD:
        side, stages = side // 2, stages + 1
    return stages


def gradient_penalty(discriminator: nn.Module, real: Tensor, fake: Tensor, alpha: Tensor) -> Tensor:
    """Return the mean over images of ``(|gradient of the scores| - 1)^2`` between real and fake maps.

    Gulrajani et al., "Improved Training of Wasserstein GANs", NeurIPS 2017, arXiv 1704.00028, eq. 3.

    Args:
        discriminator: the network.
        real: N x C x h x w.
        fake: the same shape.
        alpha: N x 1 x 1 x 1 in 0..1, the share of ``real``.

    Returns:
        Scalar of at least 0.
    """
    between = (alpha * real + (1 - alpha) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
    penalty: Tensor = (torch.linalg.vector_norm(gradient.flatten(1), dim=1) - 1).square().mean()
    return penalty


class Holistic(nn.Module):
    """The holistic term of a method and the discriminator behind it.

    Args:
        pair: the pair; logits of student and teacher have one size.
        method: named in a refusal and in the terms.
        weight: of the student's term.
        discriminator_weight: of the discriminator's own loss.
        loss: ``wgan-gp`` or ``hinge``.
        penalty_weight: of the gradient penalty of ``wgan-gp``.
        preprocess: what the discriminator does to its input first.
        conditional: show the discriminator the image beside the class probabilities, as the CVPR 2019 paper has it.
        order: which logits the discriminator sees first in its own step; its spectral norm moves on at each forward.

    Raises:
        Unsupported: the logits are too small.
    """

    def __init__(
        self,
        pair: Pair,
        method: str,
        *,
        weight: float,
        discriminator_weight: float,
        loss: Loss,
        penalty_weight: float = 10.0,
        preprocess: Preprocess = "batch_norm",
        conditional: bool = False,
        order: Order = "teacher_first",
    ) -> None:
        super().__init__()
        self.method, self.weight, self.discriminator_weight = method, weight, discriminator_weight
        self.loss, self.penalty_weight, self.conditional, self.order = loss, penalty_weight, conditional, order
        size = pair.logits_size()
        channels = pair.num_classes + (3 if conditional else 0)
        self.discriminator = Discriminator(channels, size, None if conditional else preprocess)
        self.remarks: list[str] = []
        if (stages := len(self.discriminator.convs)) < len(WIDTHS):
            self.remarks.append(
                f"{method}: the discriminator has {stages} of its {len(WIDTHS)} stages, as many as fit logits of "
                f"{size[0]} x {size[1]} (all fit from 64 x 64 on)"
            )

    def student_term(self, student: Outputs, batch: Batch) -> Tensor:
        """Return minus the weighted mean score of the student's logits.

        Args:
            student: outputs with a graph.
            batch: images for a conditional term.

        Returns:
            Scalar whose gradients run through the discriminator.
        """
        scores: Tensor = self.discriminator(self.view(student.logits, batch))
        return -self.weight * scores.mean()

    def view(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return what the discriminator is shown of a model.

        Args:
            logits: N x K x h x w.
            batch: its images are shown too where the term is conditional.

        Returns:
            The logits, or N x (3 + K) x h x w: images and class probabilities; float32 or wider.
        """
        if not self.conditional:
            return wide(logits)
        images = F.interpolate(batch.images, size=logits.shape[-2:], mode="bilinear", align_corners=True)
        probabilities = wide(logits).softmax(dim=1)
        return torch.cat([images.to(probabilities.dtype), probabilities], dim=1)

    def discriminator_terms(self, student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the discriminator's own loss, weighted, and the penalty as a term of its own: scalars by name."""
        real, fake = self.view(teacher.logits, batch).detach(), self.view(student.logits, batch).detach()
        if self.order == "teacher_first":
            real_scores, fake_scores = self.discriminator(real), self.discriminator(fake)
        else:
            fake_scores, real_scores = self.discriminator(fake), self.discriminator(real)
        name = f"{self.method}_discriminator"
        if self.loss == "hinge":
            terms = {name: F.relu(1 - real_scores).mean() + F.relu(1 + fake_scores).mean()}
        else:
            penalty = gradient_penalty(self.discriminator, real, fake, self.draw(real))
            terms = {
                name: fake_scores.mean() - real_scores.mean(),
                f"{self.method}_penalty": self.penalty_weight * penalty,
            }
        return {key: self.discriminator_weight * term for key, term in terms.items()}

    @staticmethod
    def draw(maps: Tensor) -> Tensor:
        """Return one uniform number in 0..1 for each image; N x C x h x w maps to N x 1 x 1 x 1."""
        return torch.rand(len(maps), 1, 1, 1, device=maps.device, dtype=maps.dtype)

    def adversary(self, optimizer: Literal["adam", "sgd"], lr: float, weight_decay: float, power: float) -> Adversary:
        """Return the discriminator with its optimiser: SGD of momentum 0.9, or Adam of betas 0.9 and 0.99."""
        make = (
            partial(torch.optim.SGD, lr=lr, momentum=0.9, weight_decay=weight_decay)
            if optimizer == "sgd"
            else partial(torch.optim.Adam, lr=lr, betas=(0.9, 0.99), weight_decay=weight_decay)
        )
        return Adversary(self.discriminator, self.discriminator_terms, make, power)
