"""PSPNet teachers on ResNet-101."""

from __future__ import annotations

from bench.models.base import SegmentationModel, teachers
from bench.models.encoders.resnet import ResNetEncoder, fed_bgr, gluon_r101, imagenet
from bench.models.heads.psp import MMSEG, SEMSEG, SKD, pspnet


@teachers.register("pspnet_r101_skd")
def pspnet_r101_skd(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """PSPNet-R101 of SKD, IFVD and CWD: 70,437,350 parameters at 19 classes, 70,439,402 at 21, auxiliary head included.

    65,707,475 at 19 classes without the auxiliary head. Liu et al., Structured Knowledge Distillation for Semantic
    Segmentation, CVPR 2019 (arXiv 1903.04197), irfanICMLL/structure_knowledge_distillation. The max-pool rounds up, so
    that 512 pixels give 65 positions. InPlace-ABN is plain batch normalisation with leaky ReLU here.
    """
    encoder = ResNetEncoder(101, stem="deep64", dilation="full", ceil_mode=True)
    weights = imagenet(101, "deep64") if pretrained else ()
    return fed_bgr(pspnet(num_classes, encoder, 512, SKD, auxiliary_width=512, pretrained=weights))


@teachers.register("pspnet_r101_semseg")
def pspnet_r101_semseg(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """PSPNet-R101 of hszhao/semseg: 68,072,166 parameters at 19 classes, 68,073,706 at 21, auxiliary head included.

    65,707,475 at 19 classes without the auxiliary head. Zhao et al., CVPR 2017 (arXiv 1612.01105). The repository
    starts from ImageNet weights of its own; here Gluon's for the same encoder are taken.
    """
    encoder = ResNetEncoder(101, stem="deep64", dilation="full")
    weights = gluon_r101() if pretrained else ()
    return pspnet(num_classes, encoder, 512, SEMSEG, auxiliary_width=256, pretrained=weights)


@teachers.register("pspnet_r101_mmseg")
def pspnet_r101_mmseg(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """PSPNet-R101 of mmseg: 67,967,622 parameters at 19 classes, 67,969,162 at 21, auxiliary head included.

    65,602,931 at 19 classes without the auxiliary head. Configuration pspnet_r101-d8 of open-mmlab/mmsegmentation, the
    teacher of mmrazor's CWD.
    """
    encoder = ResNetEncoder(101, stem="deep32", dilation="first")
    weights = imagenet(101, "deep32") if pretrained else ()
    return pspnet(num_classes, encoder, 512, MMSEG, auxiliary_width=256, pretrained=weights)
