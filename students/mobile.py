"""MobileNet students of CIRKD, and LightNet's MobileNetV2Plus."""

from __future__ import annotations

from bench.models.base import SegmentationModel, students
from bench.models.nets.mobile import MobileNetV2Plus, deeplabv3_mobilenet_v2, mobilenet_v3


@students.register("deeplabv3_mbv2_cirkd")
def deeplabv3_mbv2_cirkd(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """DeepLabV3 on MobileNetV2, output stride 8, head of 128: 3,233,171 parameters at 19 classes.

    CIRKD's 3.2 M student. With ``pretrained`` the encoder starts from torchvision's ImageNet weights.
    Source: winycg/CIRKD, ``models/deeplabv3_mobile.py``.
    """
    return deeplabv3_mobilenet_v2(num_classes, pretrained=pretrained)


@students.register("psp_mobilenetv3_small")
def psp_mobilenetv3_small(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """PSPNet on MobileNetV3-Small, output stride 8, head of 128: 2,589,747 parameters at 19 classes.

    Strided convolutions pad both sides, as torchvision's do; CIRKD's pad as TensorFlow does, to go with weights ported
    from there. With ``pretrained`` the encoder starts from torchvision's ImageNet weights.
    Source: winycg/CIRKD, ``models/psp_mobile.py``.
    """
    return mobilenet_v3(num_classes, "small", "psp", pretrained=pretrained)


@students.register("psp_mobilenetv3_large")
def psp_mobilenetv3_large(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """PSPNet on MobileNetV3-Large, output stride 8, head of 128: 6,110,019 parameters at 19 classes.

    Padding and ``pretrained`` as for ``psp_mobilenetv3_small``. Source: winycg/CIRKD, ``models/psp_mobile.py``.
    """
    return mobilenet_v3(num_classes, "large", "psp", pretrained=pretrained)


@students.register("deeplabv3_mobilenetv3_small")
def deeplabv3_mobilenetv3_small(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """DeepLabV3 on MobileNetV3-Small, output stride 8, head of 128: 3,298,739 parameters at 19 classes.

    Padding and ``pretrained`` as for ``psp_mobilenetv3_small``.
    Source: winycg/CIRKD, ``models/deeplabv3_mobilenetv3.py``.
    """
    return mobilenet_v3(num_classes, "small", "deeplabv3", pretrained=pretrained)


@students.register("deeplabv3_mobilenetv3_large")
def deeplabv3_mobilenetv3_large(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """DeepLabV3 on MobileNetV3-Large, output stride 8, head of 128: 6,769,091 parameters at 19 classes.

    Padding and ``pretrained`` as for ``psp_mobilenetv3_small``.
    Source: winycg/CIRKD, ``models/deeplabv3_mobilenetv3.py``.
    """
    return mobilenet_v3(num_classes, "large", "deeplabv3", pretrained=pretrained)


@students.register("mobilenetv2plus")
def mobilenetv2plus(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """MobileNetV2Plus of LightNet: 8,301,113 parameters at 19 classes, 8,340,020 at 150.

    What SKD and BCD list as MobileNetV2, 8.3 M. LightNet's in-place activated batch norm is batch norm and a leaky
    ReLU of slope 0.01 here. No weights are published under a lasting address, so ``pretrained`` changes nothing.
    Source: linksense/LightNet, ``models/mobilenetv2plus.py``.
    """
    del pretrained
    return MobileNetV2Plus(num_classes)
