"""The decoder of UPerNet (Xiao et al., ECCV 2018, arXiv 1807.10221) as mmseg builds it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from bench.method.maps import resize
from bench.models.heads.psp import PyramidPooling


class UPerDecoder(nn.Module):
    """Pyramid pooling on the coarsest stage, a feature pyramid above it, all levels joined at the finest one.

    Args:
        channels: of the stages from fine to coarse.
        width: channels of every level and of the embedding.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.pool = PyramidPooling(channels[-1], width)
        self.laterals = nn.ModuleList(Conv2dNormActivation(narrow, width, 1) for narrow in channels[:-1])
        self.smooth = nn.ModuleList(Conv2dNormActivation(width, width, 3) for _ in channels[:-1])
        self.fuse = Conv2dNormActivation(len(channels) * width, width, 3)

    def forward(self, stages: tuple[Tensor, ...]) -> Tensor:
        """Return the embedding.

        Args:
            stages: each N x C_i x h_i x w_i, from fine to coarse.

        Returns:
            N x width x h_1 x w_1, the finest one's size.
        """
        laterals = [lateral(stage) for lateral, stage in zip(self.laterals, stages[:-1], strict=True)]
        coarse_to_fine = list(
            itertools.accumulate([self.pool(stages[-1]), *reversed(laterals)], lambda top, here: here + _at(top, here))
        )
        top, *finer = coarse_to_fine
        levels = [smooth(level) for smooth, level in zip(self.smooth, reversed(finer), strict=True)]
        finest = levels[0]
        embedding: Tensor = self.fuse(torch.cat([_at(level, finest) for level in (*levels, top)], dim=1))
        return embedding


def _at(level: Tensor, other: Tensor) -> Tensor:
    return resize(level, other.shape[-2:])
