"""SegFormer (Xie et al., NeurIPS 2021, arXiv 2105.15203): a mix transformer encoder and an all-MLP head.

Three published layouts of the head, told apart by their parameter counts: NVlabs' (per-stage linear layers, fuse
convolution without bias, stages concatenated from coarse to fine), mmsegmentation's (per-stage 1x1 convolutions with
batch norm and ReLU, concatenated from fine to coarse) and CIRKD's (NVlabs' with a bias in the fuse convolution).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from bench.method import Outputs
from bench.models.base import SegmentationModel
from bench.models.libraries.smp_family import LinspaceOnCpu, use_published_encoder


class Projection(nn.Module):
    """Linear layer over the channels of a map."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, width)

    def forward(self, feature: Tensor) -> Tensor:
        """Return the projected map; N x C x h x w to N x width x h x w."""
        tokens: Tensor = self.linear(feature.flatten(2).transpose(1, 2))
        return tokens.transpose(1, 2).reshape(feature.shape[0], -1, *feature.shape[-2:])


class MlpDecoder(nn.Module):
    """NVlabs' head up to the classifier; parameter names are those of smp's ``SegformerDecoder``.

    Args:
        channels: of the stages, fine to coarse.
        width: channels of every projection and of the fused map.
        fuse_bias: whether the fuse convolution has a bias in front of its batch norm, as CIRKD's does.
    """

    def __init__(self, channels: list[int], width: int, fuse_bias: bool) -> None:
        super().__init__()
        self.mlp_stage = nn.ModuleList(Projection(count, width) for count in reversed(channels))
        fuse = nn.Conv2d(len(channels) * width, width, 1, bias=fuse_bias)
        self.fuse_stage = nn.Sequential(fuse, nn.BatchNorm2d(width), nn.ReLU(inplace=True))

    def forward(self, stages: tuple[Tensor, ...]) -> Tensor:
        """Return the fused map.

        Args:
            stages: each N x C_i x h_i x w_i, from fine to coarse.

        Returns:
            N x width x h_1 x w_1, the finest one's size.
        """
        projected = [project(stage) for project, stage in zip(self.mlp_stage, reversed(stages), strict=True)]
        fused: Tensor = self.fuse_stage(resized_together(projected, stages[0]))
        return fused


class ConvDecoder(nn.Module):
    """mmsegmentation's head up to the classifier.

    Args:
        channels: of the stages, fine to coarse.
        width: channels of every projection and of the fused map.
    """

    def __init__(self, channels: list[int], width: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(Conv2dNormActivation(count, width, 1) for count in channels)
        self.fusion_conv = Conv2dNormActivation(len(channels) * width, width, 1)

    def forward(self, stages: tuple[Tensor, ...]) -> Tensor:
        """Return the fused map.

        Args:
            stages: each N x C_i x h_i x w_i, from fine to coarse.

        Returns:
            N x width x h_1 x w_1, the finest one's size.
        """
        projected = [project(stage) for project, stage in zip(self.convs, stages, strict=True)]
        fused: Tensor = self.fusion_conv(resized_together(projected, stages[0]))
        return fused


class SegFormer(SegmentationModel):
    """Mix transformer, all-MLP head, 1x1 classifier.

    Parameter names of the NVlabs layout are those of ``segmentation_models_pytorch.Segformer``, which resizes to a
    quarter of the image rounded down; here the size is that of the finest stage, as in the papers' code.

    Args:
        num_classes: number of classes K.
        encoder: smp's name of the encoder, ``mit_b0`` to ``mit_b5``.
        width: channels of the head.
        layout: ``nvlabs`` or ``mmseg``.
        fuse_bias: for the NVlabs layout, whether the fuse convolution has a bias.
        dropout: share of channels dropped in front of the classifier.
        pretrained: whether the encoder is to start from published ImageNet weights.

    ``forward`` returns logits and embedding (the fused map, before dropout) at stride 4 and the stages at strides 4, 8,
    16 and 32.
    """

    def __init__(
        self,
        num_classes: int,
        encoder: str,
        width: int,
        *,
        layout: str = "nvlabs",
        fuse_bias: bool = False,
        dropout: float = 0.1,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        from segmentation_models_pytorch.base import initialization
        from segmentation_models_pytorch.encoders import get_encoder

        with LinspaceOnCpu():
            self.encoder = get_encoder(encoder, weights=None)
        channels = list(self.encoder.out_channels[2:])
        self.decoder = ConvDecoder(channels, width) if layout == "mmseg" else MlpDecoder(channels, width, fuse_bias)
        self.dropout = nn.Dropout2d(dropout)
        self.segmentation_head = nn.Sequential(nn.Conv2d(width, num_classes, 1))
        initialization.initialize_decoder(self.decoder)
        initialization.initialize_head(self.segmentation_head)
        if pretrained:
            use_published_encoder(self, encoder)

    def forward(self, images: Tensor) -> Outputs:
        """Return logits and embedding at stride 4 and the encoder stages.

        Args:
            images: N x 3 x H x W, normalised.

        Returns:
            Logits N x K x h x w, embedding N x width x h x w, stages N x C_i x h_i x w_i at strides 4, 8, 16 and 32.
        """
        stages = tuple(self.encoder(images)[2:])
        embedding = self.decoder(stages)
        return Outputs(self.segmentation_head(self.dropout(embedding)), embedding, stages, model=self)


def resized_together(features: list[Tensor], finest: Tensor) -> Tensor:
    """Bring maps to the size of the finest one and concatenate them.

    Args:
        features: each N x C x h_i x w_i.
        finest: N x C' x h x w, whose size it is.

    Returns:
        N x (maps * C) x h x w.
    """
    size = finest.shape[-2:]
    return torch.cat([F.interpolate(map_, size=size, mode="bilinear", align_corners=False) for map_ in features], 1)
