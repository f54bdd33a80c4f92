"""MobileNet students of CIRKD and the MobileNetV2Plus of LightNet, which SKD and BCD list as MobileNetV2."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import models
from torchvision.ops import Conv2dNormActivation

from bench.method import Outputs
from bench.models.base import SegmentationModel
from bench.models.heads.pooling import AtrousPooling, BranchPooling
from bench.models.rows import through_stages
from bench.models.weights.pretrained import Pretrained, classifier_features

WIDTH = 128
"""Channels of CIRKD's mobile heads."""


class MobileSegmenter(SegmentationModel):
    """A torchvision MobileNet dilated to output stride 8 under a head, as CIRKD builds its mobile students.

    Args:
        num_classes: number of classes K.
        features: blocks of the encoder.
        ends: places of the blocks that end a stage.
        head: turns the last block's output into the embedding.
        weights: published classifier whose blocks the encoder starts from; None for none.

    ``forward`` returns logits and embedding at stride 8 and the stages.
    """

    def __init__(
        self, num_classes: int, features: nn.Sequential, ends: tuple[int, ...], head: nn.Module, weights: str | None
    ) -> None:
        super().__init__()
        self.features = features
        self.ends = ends
        self.head = head
        self.classifier = nn.Conv2d(WIDTH, num_classes, 1)
        if weights is not None:
            convert = functools.partial(classifier_features, keep=len(features))
            self.pretrained = (Pretrained("features", weights, weights.rpartition("/")[2], convert),)

    def forward(self, images: Tensor) -> Outputs:
        """Return logits and embedding at stride 8 and the encoder stages.

        Args:
            images: N x 3 x H x W, normalised.

        Returns:
            Logits N x K x h x w, embedding N x 128 x h x w, stages N x C_i x h_i x w_i at strides 4, 8, 8 and 8.
        """
        feature, stages = through_stages(self.features, images, self.ends)
        embedding = self.head(feature)
        return Outputs(self.classifier(embedding), embedding, stages, model=self)


def deeplab_head(channels: int) -> nn.Sequential:
    """Return CIRKD's mobile DeepLabV3 head: ASPP of rates 12, 24 and 36, and a 3x3."""
    pooling = AtrousPooling(channels, WIDTH, (12, 24, 36), align_corners=True)
    return nn.Sequential(pooling, Conv2dNormActivation(WIDTH, WIDTH, 3), nn.Dropout(0.1))


def pyramid_head(channels: int) -> nn.Sequential:
    """Return CIRKD's mobile PSPNet head: pyramid pooling to a quarter of the channels each, and a 3x3."""
    pooling = BranchPooling(channels, channels // 4, align_corners=True)
    return nn.Sequential(pooling, Conv2dNormActivation(pooling.out_channels, WIDTH, 3), nn.Dropout(0.1))


def deeplabv3_mobilenet_v2(num_classes: int, *, pretrained: bool) -> MobileSegmenter:
    """Build DeepLabV3 on MobileNetV2 without its last 1x1.

    As in CIRKD the depthwise convolutions that lose their stride have half the dilation of those that follow.
    """
    features = models.mobilenet_v2(weights=None).features[:-1]
    dilate(features[7:14], 2, first=1)
    dilate(features[14:], 4, first=2)
    url = models.MobileNet_V2_Weights.IMAGENET1K_V1.url if pretrained else None
    return MobileSegmenter(num_classes, features, (3, 6, 13, 17), deeplab_head(320), url)


def mobilenet_v3(num_classes: int, size: str, head: str, *, pretrained: bool) -> MobileSegmenter:
    """Build a head on MobileNetV3.

    As in CIRKD every depthwise convolution of a dilated stage is dilated alike, the one that loses its stride too.

    Args:
        num_classes: number of classes K.
        size: ``small`` or ``large``.
        head: ``psp`` or ``deeplabv3``.
        pretrained: whether the encoder is to start from torchvision's ImageNet weights.
    """
    if size == "small":
        features = models.mobilenet_v3_small(weights=None).features
        published, channels, ends, first, second = models.MobileNet_V3_Small_Weights, 576, (1, 3, 8, 12), 4, 9
    else:
        features = models.mobilenet_v3_large(weights=None).features
        published, channels, ends, first, second = models.MobileNet_V3_Large_Weights, 960, (3, 6, 12, 16), 7, 13
    dilate(features[first:second], 2, first=2)
    dilate(features[second:], 4, first=4)
    module = pyramid_head(channels) if head == "psp" else deeplab_head(channels)
    return MobileSegmenter(num_classes, features, ends, module, published.IMAGENET1K_V1.url if pretrained else None)


def dilate(blocks: Iterable[nn.Module], dilation: int, *, first: int) -> None:
    """Trade the stride of the first block for dilation.

    Args:
        blocks: a stage.
        dilation: of its depthwise convolutions of stride 1.
        first: of the one that had a stride.
    """
    for block in blocks:
        for conv in block.modules():
            if isinstance(conv, nn.Conv2d) and conv.kernel_size[0] > 1:
                rate = first if conv.stride[0] > 1 else dilation
                reach = rate * (conv.kernel_size[0] // 2)
                conv.stride, conv.dilation, conv.padding = (1, 1), (rate, rate), (reach, reach)


class InvertedResidual(nn.Module):
    """LightNet's block of MobileNetV2, which keeps the expanding 1x1 where it expands by 1.

    Args:
        channels: of the input.
        width: of the output.
        expansion: how many times wider the depthwise convolution is.
        stride: of the depthwise convolution.
        dilation: of the depthwise convolution.
    """

    def __init__(self, channels: int, width: int, expansion: int, stride: int, dilation: int) -> None:
        super().__init__()
        inner = channels * expansion
        self.residual = stride == 1 and channels == width
        self.conv = nn.Sequential(
            Conv2dNormActivation(channels, inner, 1, activation_layer=nn.ReLU6),
            Conv2dNormActivation(inner, inner, 3, stride, dilation=dilation, groups=inner, activation_layer=nn.ReLU6),
            Conv2dNormActivation(inner, width, 1, activation_layer=None),
        )

    def forward(self, feature: Tensor) -> Tensor:
        """Return the block's output; N x channels x h x w to N x width x h/stride x w/stride, rounded up."""
        result: Tensor = self.conv(feature)
        return feature + result if self.residual else result


class SpatialChannelGate(nn.Module):
    """Concurrent spatial and channel squeeze and excitation (scSE, arXiv 1803.02579), the two gated maps summed."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        inner = channels // reduction
        self.channel = nn.Sequential(
            nn.Linear(channels, inner), nn.ReLU(inplace=True), nn.Linear(inner, channels), nn.Sigmoid()
        )
        self.spatial = nn.Sequential(nn.Conv2d(channels, 1, 1, bias=False), nn.Sigmoid())

    def forward(self, feature: Tensor) -> Tensor:
        """Return the gated map; N x C x h x w to the same shape."""
        gate = self.channel(feature.mean((2, 3)))[..., None, None]
        gated: Tensor = feature * gate + feature * self.spatial(feature)
        return gated


class MobileNetV2Plus(SegmentationModel):
    """LightNet's MobileNetV2Plus: all stages concatenated under scSE and ASPP, the two finest joined again at stride 4.

    Args:
        num_classes: number of classes K.

    ``forward`` returns logits and embedding (296 channels) at stride 4 and stages of 16, 24, 32 and 320 channels at
    strides 2, 4, 8 and 8.
    """

    settings = (
        (1, 16, 1, 1),
        (6, 24, 2, 1),
        (6, 32, 3, 1),
        (6, 64, 4, 2),
        (6, 96, 3, 4),
        (6, 160, 3, 8),
        (6, 320, 1, 16),
    )
    """Expansion, channels, blocks and dilation of every stage; the second and the third halve the map."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.stem = Conv2dNormActivation(3, 32, 3, stride=2)
        self.stages = nn.ModuleList()
        channels = 32
        for place, (expansion, width, count, dilation) in enumerate(self.settings):
            blocks = nn.Sequential()
            for block in range(count):
                stride = 2 if place in (1, 2) and block == 0 else 1
                blocks.append(InvertedResidual(channels, width, expansion, stride, dilation))
                channels = width
            self.stages.append(blocks)
        total = sum(width for _, width, _, _ in self.settings)
        self.gate = SpatialChannelGate(total)
        self.norm = _normed(total)
        self.average = nn.Conv2d(total, 256, 1, bias=False)
        self.branches = nn.ModuleList([nn.Conv2d(total, 256, 1, bias=False)])
        self.branches.extend(nn.Conv2d(total, 256, 3, padding=rate, dilation=rate, bias=False) for rate in (12, 24, 36))
        # a 1x1 with padding: the map grows by a frame of zeros before it is resized, as in LightNet
        self.fuse = nn.Sequential(
            _normed(5 * 256), nn.Conv2d(5 * 256, 256, 1, padding=1, bias=False), nn.Dropout2d(0.2)
        )
        joined = 256 + 24 + 16
        self.joined_gate = SpatialChannelGate(joined)
        self.score = nn.Sequential(
            _normed(joined), nn.Conv2d(joined, joined, 3, padding=2, dilation=2, bias=False), _normed(joined)
        )
        self.classifier = nn.Conv2d(joined, num_classes, 1)

    def forward(self, images: Tensor) -> Outputs:
        """Return logits and embedding at stride 4 and four of the stages.

        Args:
            images: N x 3 x H x W, normalised.

        Returns:
            Logits N x K x h x w, embedding N x 296 x h x w, stages N x C_i x h_i x w_i of 16, 24, 32 and 320 channels
            at strides 2, 4, 8 and 8.
        """
        feature, stages = through_stages(self.stages, self.stem(images))
        half, quarter, *rest = stages
        half_pooled = _pooled(half, quarter)
        joined = [*rest, _pooled(half_pooled, feature), _pooled(quarter, feature)]
        deep = self._pyramid(self.gate(torch.cat(joined, 1)))
        deep = F.interpolate(deep, quarter.shape[-2:], mode="bilinear", align_corners=False)
        embedding = self.score(self.joined_gate(torch.cat([deep, quarter, half_pooled], 1)))
        return Outputs(self.classifier(embedding), embedding, (half, quarter, rest[0], feature), model=self)

    def _pyramid(self, feature: Tensor) -> Tensor:
        feature = self.norm(feature)
        average = self.average(F.adaptive_avg_pool2d(feature, 1)).expand(-1, -1, *feature.shape[-2:])
        fused: Tensor = self.fuse(torch.cat([average, *(branch(feature) for branch in self.branches)], 1))
        return fused


def _normed(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.LeakyReLU(0.01, inplace=True))


def _pooled(feature: Tensor, like: Tensor) -> Tensor:
    pooled = F.max_pool2d(feature, 3, 2, ceil_mode=True)
    if pooled.shape[-2:] == like.shape[-2:]:
        return pooled
    return F.interpolate(pooled, like.shape[-2:], mode="nearest")  # sizes that are no multiple of 8
