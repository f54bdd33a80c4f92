"""The Mask2Former teacher."""

from __future__ import annotations

from bench.models.base import SegmentationModel, teachers
from bench.models.libraries.mask2former import mask2former_resnet50


@teachers.register("mask2former_r50")
def mask2former_r50(num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """Mask2Former on ResNet-50: 44,041,367 parameters at 150 classes. Needs ``pip install transformers``.

    The teacher of BCD's ADE20K table. Its logits are logarithms of its semantic scores. No weights of the ResNet-50
    model are published in this layout under a lasting address, so ``pretrained`` changes nothing: give a weights file.
    Source: facebookresearch/Mask2Former, arXiv 2112.01527, as in Hugging Face's ``transformers``.
    """
    del pretrained
    return mask2former_resnet50(num_classes)
