"""PSPNet students on ResNet-18, its half, and ResNet-38."""

from __future__ import annotations

from bench.models.base import SegmentationModel, students
from bench.models.encoders.resnet import ResNetEncoder, fed_bgr, imagenet
from bench.models.heads.psp import CIRKD, MMSEG, SKD, pspnet

HALF = (32, 64, 128, 256)
"""Stage widths of ResNet18(0.5)."""


@students.register("pspnet_r18_skd")
def pspnet_r18_skd(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """PSPNet-R18 of the SKD paper's tables: 15,247,187 parameters at 19 classes, 15,247,701 at 21, no auxiliary head.

    Liu et al., CVPR 2019 (arXiv 1903.04197). No released code builds exactly this model: it is the one that has the
    published parameters (15.24 M) and MACs (128.2 G at 512x1024); the dilations are taken from the authors' others.
    """
    encoder = ResNetEncoder(18, dilation="full", ceil_mode=True)
    weights = imagenet(18, "7x7") if pretrained else ()
    return pspnet(num_classes, encoder, 256, SKD, auxiliary_width=None, pretrained=weights)


@students.register("pspnet_r18half_skd")
def pspnet_r18half_skd(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """PSPNet on ResNet18(0.5) of the SKD tables: 3,834,515 parameters at 19 classes, 3,834,773 at 21, no auxiliary.

    As pspnet_r18_skd at half the width, but for the 7x7 stem. No weights of this width are published: it starts from
    random ones, ``pretrained`` or not.
    """
    encoder = ResNetEncoder(18, dilation="full", ceil_mode=True, channels=HALF)
    return pspnet(num_classes, encoder, 128, SKD, auxiliary_width=None)


@students.register("pspnet_r18_ifvd")
def pspnet_r18_ifvd(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """PSPNet-R18 of IFVD and CWD: 13,068,262 parameters at 19 classes, 13,068,778 at 21, auxiliary head included.

    12,770,515 at 19 classes without the auxiliary head. Wang et al., Intra-class Feature Variation Distillation, ECCV
    2020; the released code of the SKD journal version and of CWD builds the same model.
    """
    encoder = ResNetEncoder(18, stem="deep64", dilation="full", ceil_mode=True)
    weights = imagenet(18, "deep64") if pretrained else ()
    return fed_bgr(pspnet(num_classes, encoder, 128, SKD, auxiliary_width=128, pretrained=weights))


@students.register("pspnet_r18half_ifvd")
def pspnet_r18half_ifvd(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """PSPNet on ResNet18(0.5) of IFVD: 3,271,686 parameters at 19 classes, 3,271,946 at 21, auxiliary head included.

    3,196,531 at 19 classes without the auxiliary head. As pspnet_r18_ifvd with every width halved, the stem's too. No
    weights of this width are published: it starts from random ones, ``pretrained`` or not.
    """
    encoder = ResNetEncoder(18, stem="deep32", dilation="full", ceil_mode=True, channels=HALF)
    return fed_bgr(pspnet(num_classes, encoder, 64, SKD, auxiliary_width=64))


@students.register("pspnet_r18_cirkd")
def pspnet_r18_cirkd(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """PSPNet-R18 of CIRKD: 12,919,334 parameters at 19 classes, 12,919,722 at 21, auxiliary head included.

    12,770,515 at 19 classes without the auxiliary head. Yang et al., Cross-Image Relational Knowledge Distillation for
    Semantic Segmentation, CVPR 2022 (arXiv 2204.06986), winycg/CIRKD.
    """
    encoder = ResNetEncoder(18, stem="deep64")
    weights = imagenet(18, "deep64") if pretrained else ()
    return fed_bgr(pspnet(num_classes, encoder, 128, CIRKD, auxiliary_width=64, pretrained=weights))


@students.register("pspnet_r18_mmseg")
def pspnet_r18_mmseg(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """PSPNet-R18 of mmseg: 12,790,086 parameters at 19 classes, 12,790,474 at 21, auxiliary head included.

    12,641,267 at 19 classes without the auxiliary head. Configuration pspnet_r18-d8 of open-mmlab/mmsegmentation, the
    student of mmrazor's CWD.
    """
    encoder = ResNetEncoder(18, stem="deep32", dilation="first")
    weights = imagenet(18, "deep32") if pretrained else ()
    return pspnet(num_classes, encoder, 128, MMSEG, auxiliary_width=64, pretrained=weights)


@students.register("pspnet_r38")
def pspnet_r38(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """PSPNet-38 as we read it, a guess: 47,813,606 parameters at 19 classes, 47,815,658 at 21, auxiliary head included.

    The BCD paper names a ResNet-38 that its reference does not define, with 47.4 M parameters on Cityscapes and 58.6 M
    on VOC. Bottlenecks (3, 3, 3, 3) have 38 layers and come within 0.9 % of the first; nothing was found for the
    second. 43,083,731 at 19 classes without the auxiliary head, which is SKD's as all of the decoder.
    No weights are published: it starts from random ones, ``pretrained`` or not.
    """
    encoder = ResNetEncoder(50, stem="deep64", dilation="full", ceil_mode=True, layers=(3, 3, 3, 3))
    return pspnet(num_classes, encoder, 512, SKD, auxiliary_width=512)
