"""K-Net teachers on ResNetV1c-50 with the kernel-generating heads of mmseg, and UPerNet without K-Net.

Zhang et al., K-Net: Towards Unified Image Segmentation, NeurIPS 2021 (arXiv 2106.14855), configurations
knet_s3_*_r50-d8 of open-mmlab/mmsegmentation. mmseg trains the logits of all four rounds; here the last ones alone are
returned and trained, which reaches every parameter too, and the auxiliary head on stage 3 is the only extra loss. The
embedding is the 512-channel feature that the kernels are applied to, before dropout. DuckSegmentation's K-Net of
75.78 M parameters is none of these; knet_uper_r50 is the nearest.
"""

from __future__ import annotations

from bench.models.base import SegmentationModel, teachers
from bench.models.nets.knet import mmseg_r50


@teachers.register("knet_fcn_r50")
def knet_fcn_r50(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """K-Net on FCN, ResNet-50: 62,709,638 parameters at 19 classes, 62,711,178 at 21, auxiliary head included.

    60,345,973 at 21 classes without it. Zhang et al., NeurIPS 2021, mmseg's knet_s3_fcn_r50-d8. The logits of the
    earlier rounds have no loss of their own.
    """
    return mmseg_r50(num_classes, "fcn", knet=True, pretrained=pretrained)


@teachers.register("knet_psp_r50")
def knet_psp_r50(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """K-Net on PSPNet, ResNet-50: 62,187,398 parameters at 19 classes, 62,188,938 at 21, auxiliary head included.

    59,823,733 at 21 classes without it. Zhang et al., NeurIPS 2021, mmseg's knet_s3_pspnet_r50-d8. The logits of the
    earlier rounds have no loss of their own.
    """
    return mmseg_r50(num_classes, "psp", knet=True, pretrained=pretrained)


@teachers.register("knet_dlv3_r50")
def knet_dlv3_r50(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """K-Net on DeepLabV3, ResNet-50: 81,324,934 parameters at 19 classes, 81,326,474 at 21, auxiliary head included.

    78,961,269 at 21 classes without it. Zhang et al., NeurIPS 2021, mmseg's knet_s3_deeplabv3_r50-d8. The logits of the
    earlier rounds have no loss of their own.
    """
    return mmseg_r50(num_classes, "dlv3", knet=True, pretrained=pretrained)


@teachers.register("knet_uper_r50")
def knet_uper_r50(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """K-Net on UPerNet, ResNet-50: 79,627,142 parameters at 19 classes, 79,628,682 at 21, auxiliary head included.

    77,263,477 at 21 classes without it. Zhang et al., NeurIPS 2021, mmseg's knet_s3_upernet_r50-d8, whose encoder is
    not dilated. The logits of the earlier rounds have no loss of their own.
    """
    return mmseg_r50(num_classes, "uper", knet=True, pretrained=pretrained)


@teachers.register("uper_r50")
def uper_r50(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """UPerNet, ResNet-50: 66,415,238 parameters at 19 classes, 66,416,778 at 21, auxiliary head included.

    64,051,573 at 21 classes without it. Xiao et al., Unified Perceptual Parsing, ECCV 2018 (arXiv 1807.10221), mmseg's
    upernet_r50: knet_uper_r50 with a plain 1x1 classifier.
    """
    return mmseg_r50(num_classes, "uper", knet=False, pretrained=pretrained)
