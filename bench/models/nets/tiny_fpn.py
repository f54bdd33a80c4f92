"""A feature pyramid small enough to train in seconds on a CPU, with its head at stride 4."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.method import Outputs
from bench.models.base import SegmentationModel
from bench.models.rows import through_stages


def _block(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """Return a 3x3 convolution, batch norm and ReLU.

    As torchvision's ``Conv2dNormActivation``; nothing else here needs torchvision, which takes long to import.
    """
    convolution = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))


class TinyFPN(SegmentationModel):
    """Stem at stride 2, one stage for each further width, lateral 1x1s summed top-down, one fuse block, a classifier.

    The pyramid is the top-down pathway of FPN (Lin et al., CVPR 2017, arXiv 1612.03144) reduced to its finest level.

    Args:
        num_classes: number of classes K.
        widths: channels of the stem (stride 2) and of the stages (strides 4, 8, ...).
        lateral: channels of the pyramid, which is also the embedding.

    ``forward`` returns logits and embedding at stride 4 and the stages at strides 4, 8, ...
    """

    def __init__(self, num_classes: int, widths: Sequence[int], lateral: int) -> None:
        super().__init__()
        self.stem = _block(3, widths[0], stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(_block(narrow, wide, stride=2), _block(wide, wide))
            for narrow, wide in itertools.pairwise(widths)
        )
        self.laterals = nn.ModuleList(nn.Conv2d(width, lateral, 1) for width in widths[1:])
        self.fuse = _block(lateral, lateral)
        self.classifier = nn.Conv2d(lateral, num_classes, 1)

    def forward(self, images: Tensor) -> Outputs:
        """Return logits and embedding at stride 4 and every stage.

        Args:
            images: N x 3 x H x W, normalised.

        Returns:
            Logits N x K x h x w, embedding N x lateral x h x w, stages N x C_i x h_i x w_i at strides 4, 8, ...
        """
        _, stages = through_stages(self.stages, self.stem(images))
        pyramid = torch.zeros((), device=images.device)
        for lateral, stage_feature in zip(reversed(self.laterals), reversed(stages), strict=True):
            here = lateral(stage_feature)
            pyramid = (
                here if pyramid.dim() == 0 else here + F.interpolate(pyramid, size=here.shape[-2:], mode="nearest")
            )
        embedding = self.fuse(pyramid)
        return Outputs(self.classifier(embedding), embedding, stages, model=self)
