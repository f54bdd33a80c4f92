"""SegFormer-B0 students in the three layouts that the papers' code uses."""

from __future__ import annotations

from bench.models.base import SegmentationModel, students
from bench.models.nets.segformer import SegFormer


@students.register("segformer_b0_nvlabs")
def segformer_b0_nvlabs(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """SegFormer-B0 in NVlabs' layout: 3,719,027 parameters at 19 classes, 3,752,694 at 150.

    The student of BCD's ADE20K table. With ``pretrained`` the encoder starts from the ImageNet weights of MiT-B0 that
    smp publishes. Source: NVlabs/SegFormer, arXiv 2105.15203.
    """
    return SegFormer(num_classes, "mit_b0", 256, pretrained=pretrained)


@students.register("segformer_b0_mmseg")
def segformer_b0_mmseg(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """SegFormer-B0 in mmsegmentation's layout: 3,720,051 parameters at 19 classes, 3,753,718 at 150.

    With ``pretrained`` the encoder starts from the ImageNet weights of MiT-B0 that smp publishes.
    Source: open-mmlab/mmsegmentation, ``segformer_mit-b0``.
    """
    return SegFormer(num_classes, "mit_b0", 256, layout="mmseg", pretrained=pretrained)


@students.register("segformer_b0_cirkd")
def segformer_b0_cirkd(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """SegFormer-B0 in CIRKD's layout: 3,719,283 parameters at 19 classes.

    NVlabs' head with a bias in the fuse convolution and without dropout. With ``pretrained`` the encoder starts from
    the ImageNet weights of MiT-B0 that smp publishes. Source: winycg/CIRKD, ``models/segformer.py``.
    """
    return SegFormer(num_classes, "mit_b0", 256, fuse_bias=True, dropout=0.0, pretrained=pretrained)
