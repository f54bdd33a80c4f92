"""The FCN teacher of torchvision."""

from __future__ import annotations

from bench.models.base import SegmentationModel, teachers
from bench.models.heads.fcn import torchvision_fcn


@teachers.register("fcn_resnet50_tv")
def fcn_resnet50_tv(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """FCN-R50 of torchvision: 35,320,678 parameters at 19 classes, 35,322,218 at 21, auxiliary head included.

    32,957,013 at 21 classes without the auxiliary head. Long et al., CVPR 2015 (arXiv 1411.4038), under torchvision's
    names: COCO_WITH_VOC_LABELS_V1 loads at 21 classes. Logits are those before torchvision's up-sampling.
    """
    return torchvision_fcn(num_classes, pretrained=pretrained)
