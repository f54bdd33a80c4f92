"""Atrous pyramids: DeepLabV3 (Chen et al., arXiv 1706.05587) and DeepLabV3+ (ECCV 2018, arXiv 1802.02611)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.segmentation import deeplabv3
from torchvision.ops import Conv2dNormActivation

from bench.models.encoders.lite import LiteEncoder
from bench.models.encoders.resnet import CoarsestStage, EncoderSegmenter, ResNetEncoder, fed_bgr, imagenet
from bench.models.heads.fcn import FCNHead
from bench.models.weights.lite import MEAN, STD, imagenet_lite

RATES = (12, 24, 36)
"""Dilations at output stride 8."""
RATES_16 = (6, 12, 18)
"""Dilations at output stride 16."""


class SeparableConv(nn.Sequential):
    """Depthwise 3x3 and pointwise 1x1 convolution, each with batch normalisation and ReLU."""

    def __init__(self, in_channels: int, width: int, dilation: int = 1) -> None:
        super().__init__(
            Conv2dNormActivation(in_channels, in_channels, 3, groups=in_channels, dilation=dilation),
            Conv2dNormActivation(in_channels, width, 1),
        )


class ASPP(nn.Module):
    """The atrous pyramid of mmseg: image pooling, 1x1, dilated 3x3 convolutions, fused by a full 3x3 one.

    torchvision's and CIRKD's has the pooling last and fuses by a 1x1 one.

    Args:
        in_channels: of the feature.
        width: channels of each branch and of what comes out.
        rates: dilations.
        separable: dilated convolutions are depthwise separable.
    """

    def __init__(self, in_channels: int, width: int, *, rates: Sequence[int] = RATES, separable: bool = False) -> None:
        super().__init__()
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), Conv2dNormActivation(in_channels, width, 1))
        self.point = Conv2dNormActivation(in_channels, width, 1)
        self.atrous = nn.ModuleList(
            SeparableConv(in_channels, width, rate)
            if separable
            else Conv2dNormActivation(in_channels, width, 3, dilation=rate)
            for rate in rates
        )
        self.fuse = Conv2dNormActivation((2 + len(rates)) * width, width, 3)

    def forward(self, feature: Tensor) -> Tensor:
        """Return the fused branches; N x C x h x w to N x width x h x w."""
        pooled = self.pool(feature).expand(-1, -1, *feature.shape[-2:])
        branches = [pooled, self.point(feature), *(atrous(feature) for atrous in self.atrous)]
        fused: Tensor = self.fuse(torch.cat(branches, dim=1))
        return fused


class DeepLabV3PlusDecoder(nn.Module):
    """A separable atrous pyramid on stage 4, joined with a narrow stage 1 by two separable convolutions.

    Args:
        channels: of the four stages.
        width: channels of the pyramid and of the embedding.
        low_width: channels that stage 1 is reduced to.
        rates: dilations of the pyramid.
    """

    def __init__(self, channels: Sequence[int], width: int, low_width: int, rates: Sequence[int] = RATES) -> None:
        super().__init__()
        self.context = ASPP(channels[-1], width, rates=rates, separable=True)
        self.low = Conv2dNormActivation(channels[0], low_width, 1)
        self.fuse = nn.Sequential(SeparableConv(width + low_width, width), SeparableConv(width, width))

    def forward(self, stages: tuple[Tensor, ...]) -> Tensor:
        """Return the embedding.

        Args:
            stages: each N x C_i x h_i x w_i, from fine to coarse.

        Returns:
            N x width x h_1 x w_1.
        """
        low = self.low(stages[0])
        context = F.interpolate(self.context(stages[-1]), size=low.shape[-2:], mode="bilinear", align_corners=False)
        embedding: Tensor = self.fuse(torch.cat([context, low], dim=1))
        return embedding


def deeplabv3_cirkd(num_classes: int, depth: int, width: int, *, pretrained: bool) -> EncoderSegmenter:
    """Return DeepLabV3 as CIRKD builds it: torchvision's pyramid, a 3x3 convolution, dropout 0.1.

    Args:
        num_classes: number of classes K.
        depth: of the ResNet, 18 or 101.
        width: channels of the pyramid and of the embedding.
        pretrained: start the encoder from ImageNet weights.
    """
    encoder = ResNetEncoder(depth, stem="deep64")
    pyramid = deeplabv3.ASPP(encoder.channels[-1], RATES, width)
    model = EncoderSegmenter(
        encoder,
        CoarsestStage(pyramid, Conv2dNormActivation(width, width, 3)),
        nn.Conv2d(width, num_classes, 1),
        dropout=nn.Dropout(0.1),
        auxiliary=FCNHead(encoder.channels[2], encoder.channels[2] // 4, num_classes, dropout=nn.Dropout),
        pretrained=imagenet(depth, "deep64") if pretrained else (),
    )
    return fed_bgr(model)


def deeplabv3plus_mmseg(
    num_classes: int, depth: int, width: int, low_width: int, *, pretrained: bool
) -> EncoderSegmenter:
    """Return DeepLabV3+ as mmseg builds it.

    Args:
        num_classes: number of classes K.
        depth: of the ResNetV1c, 18, 50 or 101.
        width: channels of the pyramid and of the embedding.
        low_width: channels that stage 1 is reduced to.
        pretrained: start the encoder from ImageNet weights.
    """
    encoder = ResNetEncoder(depth, stem="deep32", dilation="first")
    return EncoderSegmenter(
        encoder,
        DeepLabV3PlusDecoder(encoder.channels, width, low_width),
        nn.Conv2d(width, num_classes, 1),
        dropout=nn.Dropout2d(0.1),
        auxiliary=FCNHead(encoder.channels[2], encoder.channels[2] // 4, num_classes),
        pretrained=imagenet(depth, "deep32") if pretrained else (),
    )


def deeplabv3plus_lite(
    num_classes: int, size: int, width: int, low_width: int, *, pretrained: bool
) -> EncoderSegmenter:
    """Return DeepLabV3+ at output stride 16 on an EfficientNet-Lite.

    Args:
        num_classes: number of classes K.
        size: of the EfficientNet-Lite, 0, 1 or 2.
        width: channels of the pyramid and of the embedding.
        low_width: channels that stage 1 is reduced to.
        pretrained: start the encoder from ImageNet weights.
    """
    name = f"tf_efficientnet_lite{size}"
    encoder = LiteEncoder(name)
    model = EncoderSegmenter(
        encoder,
        DeepLabV3PlusDecoder(encoder.channels, width, low_width, RATES_16),
        nn.Conv2d(width, num_classes, 1),
        dropout=nn.Dropout2d(0.1),
        pretrained=imagenet_lite(name) if pretrained else (),
    )
    model.mean, model.std = MEAN, STD
    return model
