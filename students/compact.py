"""Compact students that a report or a paper describes without code."""

from __future__ import annotations

from bench.models.base import SegmentationModel, students
from bench.models.nets.compact import CompactMobileNetV3, EfficientNetPSP


@students.register("compact_mobilenetv3")
def compact_mobilenetv3(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """MobileNetV3-Small under a six-branch ASPP: 8,843,285 parameters at 21 classes, 8,225,045 at inference.

    The difference is three 1x1 adapters (24 to 256, 40 to 512, 576 to 1024 channels) that the report counts in; they
    fit the levels layer1 to layer3 of an FCN-ResNet-50 teacher. Stages are at strides 8, 16 and 32, where the report
    writes 4, 8 and 16. With ``pretrained`` the encoder starts from torchvision's ImageNet weights.
    Source: the lab's report on its CompactStudentModel.
    """
    return CompactMobileNetV3(num_classes, pretrained=pretrained)


@students.register("efficientnet_b1_psp")
def efficientnet_b1_psp(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """EfficientNet-B1 with a PSP head, unverified: 6,697,142 parameters at 19 classes, 6,666,563 at inference.

    No code of the EfficientNet-B1 student of IFVD and BCD (6.7 M) was found. This head of 80 channels on the coarsest
    map at stride 8, with deep supervision on the stride-8 stage, gives the published parameters of both B0 and B1 and
    their operations less 1.5 %; compare scores with the papers' with that in mind.
    With ``pretrained`` the encoder starts from timm's ``efficientnet_b1.ft_in1k``.
    """
    return EfficientNetPSP(num_classes, 80, pretrained=pretrained)
