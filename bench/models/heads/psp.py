"""Pyramid pooling, and PSPNet as four code bases build it (Zhao et al., CVPR 2017, arXiv 1612.01105)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from bench.models.encoders.resnet import CoarsestStage, EncoderSegmenter, ResNetEncoder
from bench.models.heads.fcn import FCNHead
from bench.models.weights.pretrained import Pretrained


class PyramidPooling(nn.Module):
    """Average pools of several sizes, a 1x1 convolution each, and a 3x3 one on them and the feature.

    Args:
        in_channels: of the feature.
        width: channels of each level and of what comes out.
        bins: side of each pool's output.
        activation: after every normalisation.
        align_corners: of the bilinear up-sampling of the levels.
        levels_first: concatenate the levels before the feature, else after it.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        bins: Sequence[int] = (1, 2, 3, 6),
        activation: type[nn.Module] = nn.ReLU,
        align_corners: bool = False,
        levels_first: bool = False,
    ) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(
                nn.AdaptiveAvgPool2d(side), Conv2dNormActivation(in_channels, width, 1, activation_layer=activation)
            )
            for side in bins
        )
        self.fuse = Conv2dNormActivation(in_channels + len(bins) * width, width, 3, activation_layer=activation)
        self.align_corners = align_corners
        self.levels_first = levels_first

    def forward(self, feature: Tensor) -> Tensor:
        """Return the fused levels; N x C x h x w to N x width x h x w."""
        levels = [
            F.interpolate(level(feature), size=feature.shape[-2:], mode="bilinear", align_corners=self.align_corners)
            for level in self.levels
        ]
        parts = [*levels, feature] if self.levels_first else [feature, *levels]
        fused: Tensor = self.fuse(torch.cat(parts, dim=1))
        return fused


@dataclass(frozen=True)
class Dialect:
    """What code bases do differently in the same PSPNet.

    Attributes:
        activation: in the heads.
        align_corners: when levels are up-sampled.
        levels_first: order of the concatenation.
        auxiliary_bias: the auxiliary head's 3x3 convolution has a bias.
        dropout: whole channels or single values.
    """

    activation: type[nn.Module] = nn.ReLU
    align_corners: bool = True
    levels_first: bool = False
    auxiliary_bias: bool = False
    dropout: type[nn.Module] = nn.Dropout2d


SKD = Dialect(activation=nn.LeakyReLU, levels_first=True, auxiliary_bias=True)
"""Structured knowledge distillation, IFVD, CWD: InPlace-ABN with leaky ReLU, here plain BN with leaky ReLU 0.01."""
SEMSEG = Dialect()
CIRKD = Dialect(dropout=nn.Dropout)
MMSEG = Dialect(align_corners=False)


def pspnet(
    num_classes: int,
    encoder: ResNetEncoder,
    width: int,
    dialect: Dialect,
    *,
    auxiliary_width: int | None,
    pretrained: tuple[Pretrained, ...] = (),
) -> EncoderSegmenter:
    """Return a PSPNet.

    Args:
        num_classes: number of classes K.
        encoder: at output stride 8.
        width: channels of each pyramid level and of the embedding.
        dialect: of the code base.
        auxiliary_width: channels of the auxiliary head on stage 3; None for no head.
        pretrained: weights of the encoder that it starts from.
    """
    pyramid = PyramidPooling(
        encoder.channels[-1],
        width,
        activation=dialect.activation,
        align_corners=dialect.align_corners,
        levels_first=dialect.levels_first,
    )
    auxiliary = None
    if auxiliary_width is not None:
        auxiliary = FCNHead(
            encoder.channels[2],
            auxiliary_width,
            num_classes,
            activation=dialect.activation,
            bias=dialect.auxiliary_bias,
            dropout=dialect.dropout,
        )
    return EncoderSegmenter(
        encoder,
        CoarsestStage(pyramid),
        nn.Conv2d(width, num_classes, 1),
        dropout=dialect.dropout(0.1),
        auxiliary=auxiliary,
        pretrained=pretrained,
    )
