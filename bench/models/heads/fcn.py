"""Fully convolutional heads (Long et al., CVPR 2015, arXiv 1411.4038): the auxiliary one, mmseg's, torchvision's."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.resnet import resnet50
from torchvision.models.segmentation import deeplabv3, fcn
from torchvision.ops import Conv2dNormActivation

from bench.method import Outputs
from bench.models.base import IMAGENET_MEAN, IMAGENET_STD, SegmentationModel
from bench.models.encoders.resnet import imagenet
from bench.models.rows import through_head


class FCNHead(nn.Sequential):
    """3x3 convolution, batch normalisation, activation, dropout, 1x1 convolution: the auxiliary head of the papers.

    Args:
        in_channels: of the stage that it reads.
        width: channels between the two convolutions.
        num_classes: number of classes K.
        activation: after the normalisation.
        bias: of the 3x3 convolution.
        dropout: before the 1x1 convolution.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        num_classes: int,
        *,
        activation: type[nn.Module] = nn.ReLU,
        bias: bool = False,
        dropout: type[nn.Module] = nn.Dropout2d,
    ) -> None:
        super().__init__(
            Conv2dNormActivation(in_channels, width, 3, activation_layer=activation, bias=bias),
            dropout(0.1),
            nn.Conv2d(width, num_classes, 1),
        )


class ConcatenatedFCN(nn.Module):
    """Two 3x3 convolutions, and a third one on what goes in and what comes out: the FCN head of mmseg.

    Args:
        in_channels: of the feature.
        width: channels of the embedding.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            Conv2dNormActivation(in_channels, width, 3), Conv2dNormActivation(width, width, 3)
        )
        self.fuse = Conv2dNormActivation(in_channels + width, width, 3)

    def forward(self, feature: Tensor) -> Tensor:
        """Return the embedding; N x C x h x w to N x width x h x w."""
        embedding: Tensor = self.fuse(torch.cat([feature, self.convolutions(feature)], dim=1))
        return embedding


class TorchvisionSegmenter(SegmentationModel):
    """torchvision's ResNet-50 at output stride 8 under one of its heads.

    The state dict has torchvision's names, so that its whole-model checkpoints load as they are; images are normalised
    as those expect.

    Args:
        head: torchvision's head on stage 4, a Sequential whose last layer is the classifier.
        auxiliary: torchvision's head on stage 3.
        pretrained: start the encoder from ImageNet weights (V1, those that torchvision's own models started from).
    """

    mean, std = IMAGENET_MEAN, IMAGENET_STD

    def __init__(self, head: nn.Sequential, auxiliary: nn.Module, *, pretrained: bool) -> None:
        super().__init__()
        body = resnet50(weights=None, replace_stride_with_dilation=[False, True, True])
        self.backbone = IntermediateLayerGetter(body, {f"layer{stage}": f"layer{stage}" for stage in (1, 2, 3, 4)})
        self.classifier = head
        self.aux_classifier = auxiliary
        self.__dict__["auxiliary"] = auxiliary  # no second registration, which would put it into the state dict twice
        self.pretrained = imagenet(50, "7x7", part="backbone") if pretrained else ()

    def forward(self, images: Tensor) -> Outputs:
        """Return logits and embedding at stride 8, the stages, and in training the auxiliary logits.

        Args:
            images: N x 3 x H x W, normalised.

        Returns:
            Logits and auxiliary logits N x K x h x w, embedding N x C x h x w (512 channels of FCN, 256 of DeepLabV3),
            stages N x C_i x h_i x w_i of 256, 512, 1024 and 2048 channels at strides 4, 8, 8 and 8.
        """
        stages = tuple(self.backbone(images).values())
        embedding, logits = through_head(self.classifier, stages[-1])
        auxiliary = self.aux_classifier(stages[2]) if self.training else None
        return Outputs(logits, embedding, stages, auxiliary, model=self)


def torchvision_fcn(num_classes: int, *, pretrained: bool) -> TorchvisionSegmenter:
    """Return torchvision's fcn_resnet50 with its auxiliary head."""
    return TorchvisionSegmenter(fcn.FCNHead(2048, num_classes), fcn.FCNHead(1024, num_classes), pretrained=pretrained)


def torchvision_deeplabv3(num_classes: int, *, pretrained: bool) -> TorchvisionSegmenter:
    """Return torchvision's deeplabv3_resnet50 with its auxiliary head."""
    head = deeplabv3.DeepLabHead(2048, num_classes)
    return TorchvisionSegmenter(head, fcn.FCNHead(1024, num_classes), pretrained=pretrained)
