"""Pooling heads of the compact students."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation


class BranchPooling(nn.Module):
    """Pyramid pooling (PSPNet, arXiv 1612.01105): the map beside its averages over 1, 2, 3 and 6 bins a side.

    Args:
        channels: of the map.
        width: channels of each average.
        align_corners: how the averages are brought back to the map's size.
    """

    def __init__(self, channels: int, width: int, *, align_corners: bool) -> None:
        super().__init__()
        self.bins = (1, 2, 3, 6)
        self.align_corners = align_corners
        self.branches = nn.ModuleList(Conv2dNormActivation(channels, width, 1) for _ in self.bins)
        self.out_channels = channels + len(self.bins) * width

    def forward(self, feature: Tensor) -> Tensor:
        """Return map and averages, concatenated; N x C x h x w to N x out_channels x h x w."""
        size = feature.shape[-2:]
        pooled = [
            F.interpolate(
                branch(F.adaptive_avg_pool2d(feature, bins)), size, mode="bilinear", align_corners=self.align_corners
            )
            for bins, branch in zip(self.bins, self.branches, strict=True)
        ]
        return torch.cat([feature, *pooled], 1)


class AtrousPooling(nn.Module):
    """Atrous spatial pyramid pooling (DeepLabV3, arXiv 1706.05587): 1x1, dilated 3x3s, image average; fused by a 1x1.

    Args:
        channels: of the map.
        width: channels of every branch and of the result.
        rates: dilations of the 3x3s.
        align_corners: how the image average is brought to the map's size.
    """

    def __init__(self, channels: int, width: int, rates: Sequence[int], *, align_corners: bool) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.branches = nn.ModuleList([Conv2dNormActivation(channels, width, 1)])
        self.branches.extend(Conv2dNormActivation(channels, width, 3, dilation=rate) for rate in rates)
        self.pooled = Conv2dNormActivation(channels, width, 1)
        self.project = nn.Sequential(Conv2dNormActivation((len(rates) + 2) * width, width, 1), nn.Dropout(0.5))

    def forward(self, feature: Tensor) -> Tensor:
        """Return the fused map; N x C x h x w to N x width x h x w."""
        average = self.pooled(F.adaptive_avg_pool2d(feature, 1))
        whole = F.interpolate(average, feature.shape[-2:], mode="bilinear", align_corners=self.align_corners)
        fused: Tensor = self.project(torch.cat([*(branch(feature) for branch in self.branches), whole], 1))
        return fused
