"""SegFormer-B4 and -B5 teachers."""

from __future__ import annotations

from bench.models.base import SegmentationModel, teachers
from bench.models.nets.segformer import SegFormer


@teachers.register("segformer_b4_cirkd")
def segformer_b4_cirkd(num_classes: int, *, pretrained: bool = True, fuse_bias: bool = False) -> SegmentationModel:
    """SegFormer-B4 as CIRKD's teacher, without dropout: 64,007,635 parameters at 19 classes.

    CIRKD's own code has a bias in the fuse convolution, 64,008,403 parameters: set ``fuse_bias: true`` to load its
    weights. With ``pretrained`` the encoder starts from the ImageNet weights of MiT-B4 that smp publishes.
    Source: winycg/CIRKD, ``models/segformer.py``.
    """
    return SegFormer(num_classes, "mit_b4", 768, fuse_bias=fuse_bias, dropout=0.0, pretrained=pretrained)


@teachers.register("segformer_b4")
def segformer_b4(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """SegFormer-B4 in NVlabs' layout, head width 768: 64,007,635 parameters at 19 classes.

    With ``pretrained`` the encoder starts from the ImageNet weights of MiT-B4 that smp publishes.
    Source: NVlabs/SegFormer, arXiv 2105.15203.
    """
    return SegFormer(num_classes, "mit_b4", 768, pretrained=pretrained)


@teachers.register("segformer_b5")
def segformer_b5(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """SegFormer-B5 in NVlabs' layout, head width 768: 84,607,955 parameters at 19 classes.

    With ``pretrained`` the encoder starts from the ImageNet weights of MiT-B5 that smp publishes.
    Source: NVlabs/SegFormer, arXiv 2105.15203.
    """
    return SegFormer(num_classes, "mit_b5", 768, pretrained=pretrained)
