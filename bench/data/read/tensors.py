"""Decoded pixels as the tensors that transforms know; imported when a sample is read, as nothing before needs torch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision import tv_tensors


def image_of(pixels: NDArray[np.uint8]) -> tv_tensors.Image:
    """Return an image as a tensor of 3 x H x W uint8.

    Args:
        pixels: H x W x 3 uint8 RGB, of memory that may be written to.
    """
    return tv_tensors.Image(torch.from_numpy(pixels).permute(2, 0, 1).contiguous())


def mask_of(labels: NDArray[np.uint8]) -> tv_tensors.Mask:
    """Return labels as a tensor of H x W uint8 that shares their memory.

    Args:
        labels: H x W uint8, of memory that may be written to.
    """
    return tv_tensors.Mask(torch.from_numpy(labels))
