"""Pooling heads of the compact students, and the two students that are described without code."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import MobileNet_V3_Small_Weights, mobilenet_v3_small
from torchvision.ops import Conv2dNormActivation

from bench.method import Outputs
from bench.models.base import SegmentationModel
from bench.models.heads.pooling import AtrousPooling, BranchPooling
from bench.models.rows import through_stages
from bench.models.weights.pretrained import Pretrained, classifier_features, without_top


class CompactMobileNetV3(SegmentationModel):
    """MobileNetV3-Small, a six-branch ASPP and one skip connection, with 1x1 adapters to a ResNet-50 teacher's stages.

    The adapters are counted in the report that describes the model and belong to its distillation loss, so nothing
    here runs them; methods bring adapters of their own.

    Args:
        num_classes: number of classes K.
        pretrained: whether the encoder is to start from torchvision's ImageNet weights.

    ``forward`` returns logits and embedding at stride 8 and stages of 24, 40 and 576 channels at strides 8, 16 and 32.
    """

    training_only = ("adapter_low", "adapter_mid", "adapter_high")
    taps = (3, 6, 12)

    def __init__(self, num_classes: int, *, pretrained: bool = False) -> None:
        super().__init__()
        self.features = mobilenet_v3_small(weights=None).features
        self.aspp = AtrousPooling(576, 256, (1, 6, 12, 18), align_corners=False)
        self.low = Conv2dNormActivation(24, 48, 1)
        self.fuse = nn.Sequential(Conv2dNormActivation(256 + 48, 256, 3), Conv2dNormActivation(256, 256, 3))
        self.classifier = nn.Conv2d(256, num_classes, 1)
        self.adapter_low = nn.Conv2d(24, 256, 1)
        self.adapter_mid = nn.Conv2d(40, 512, 1)
        self.adapter_high = nn.Conv2d(576, 1024, 1)
        if pretrained:
            url = MobileNet_V3_Small_Weights.IMAGENET1K_V1.url
            self.pretrained = (Pretrained("features", url, url.rpartition("/")[2], classifier_features),)

    def forward(self, images: Tensor) -> Outputs:
        """Return logits and embedding at stride 8 and the tapped stages.

        Args:
            images: N x 3 x H x W, normalised.

        Returns:
            Logits N x K x h x w, embedding N x 256 x h x w, stages N x C_i x h_i x w_i of 24, 40 and 576 channels at
            strides 8, 16 and 32.
        """
        feature, stages = through_stages(self.features, images, self.taps)
        low = self.low(stages[0])
        high = F.interpolate(self.aspp(feature), low.shape[-2:], mode="bilinear", align_corners=False)
        embedding = self.fuse(torch.cat([high, low], 1))
        return Outputs(self.classifier(embedding), embedding, stages, model=self)


class EfficientNetPSP(SegmentationModel):
    """EfficientNet-B1 without its last convolution, its coarsest map brought to stride 8 under a pyramid pooling head.

    A reading of published counts, not the authors' code: see ``students/compact.py``.

    Args:
        num_classes: number of classes K.
        width: channels of the pooled maps and of the head.
        pretrained: whether the encoder is to start from timm's ImageNet weights.

    ``forward`` returns logits and embedding at stride 8 and the stages at strides 4, 8, 16 and 32; in training the
    auxiliary logits of the stride-8 stage.
    """

    encoder_name = "efficientnet_b1.ft_in1k"

    def __init__(self, num_classes: int, width: int, *, pretrained: bool = False) -> None:
        super().__init__()
        import timm

        self.encoder = timm.create_model(self.encoder_name, features_only=True, pretrained=False)
        _, _, fine, _, coarse = self.encoder.feature_info.channels()
        self.pool = BranchPooling(coarse, width, align_corners=True)
        self.fuse = nn.Sequential(Conv2dNormActivation(self.pool.out_channels, width, 3), nn.Dropout2d(0.1))
        self.classifier = nn.Conv2d(width, num_classes, 1)
        self.auxiliary = nn.Sequential(
            nn.Conv2d(fine, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Dropout2d(0.1),
            nn.Conv2d(width, num_classes, 1),
        )
        if pretrained:
            url = timm.get_pretrained_cfg(self.encoder_name).url
            self.pretrained = (Pretrained("encoder", url, url.rpartition("/")[2], without_top),)

    def forward(self, images: Tensor) -> Outputs:
        """Return logits and embedding at stride 8, the stages, and in training the auxiliary logits.

        Args:
            images: N x 3 x H x W, normalised.

        Returns:
            Logits and auxiliary logits N x K x h x w, embedding N x width x h x w, stages N x C_i x h_i x w_i of 24,
            40, 112 and 320 channels at strides 4, 8, 16 and 32.
        """
        stages = tuple(self.encoder(images)[1:])
        fine = stages[1]
        coarse = F.interpolate(stages[-1], fine.shape[-2:], mode="bilinear", align_corners=True)
        embedding = self.fuse(self.pool(coarse))
        head = self.auxiliary if self.training else None
        auxiliary = None if head is None else head(fine)
        return Outputs(self.classifier(embedding), embedding, stages, auxiliary, model=self)
