"""Logits at label size: whole images or sliding windows, several scales, the mirrored image."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.tasks.segmentation.settings import Evaluation

Forward = Callable[[Tensor], Tensor]
"""Images N x 3 x h x w to logits N x K x any size."""


def predict(
    forward: Forward, images: Tensor, size: tuple[int, int], evaluation: Evaluation, align_corners: bool
) -> Tensor:
    """Return class scores at label size, whose argmax is the prediction.

    Args:
        forward: the model.
        images: N x 3 x H x W, normalised.
        size: height and width of the labels.
        evaluation: how to look at the images.
        align_corners: how logits are up-sampled.

    Returns:
        N x K x h x w float32, h and w those of ``size``: logits of the one view, or probabilities averaged over all.
    """
    from bench.data.feed.transforms import short_side_size  # a plan needs no torchvision

    height, width = images.shape[-2:]
    base = short_side_size(height, width, evaluation.short_side) if evaluation.short_side else [height, width]
    views = [
        (scale, flipped) for scale in evaluation.scales for flipped in ((False, True) if evaluation.flip else (False,))
    ]
    total: Tensor | None = None
    for scale, flipped in views:
        view = _resized(images, [max(1, round(side * scale)) for side in base])
        logits = _logits(forward, view.flip(-1) if flipped else view, size, evaluation, align_corners)
        logits = logits.flip(-1) if flipped else logits
        if len(views) == 1:
            return logits
        total = logits.softmax(1) if total is None else total.add_(logits.softmax(1))
    assert total is not None
    return total / len(views)


def _resized(images: Tensor, size: list[int]) -> Tensor:
    if list(images.shape[-2:]) == size:
        return images
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)


def _logits(
    forward: Forward, images: Tensor, size: tuple[int, int], evaluation: Evaluation, align_corners: bool
) -> Tensor:
    if evaluation.window is None:
        return upsample(forward(images).float(), size, align_corners)
    return upsample(slide(forward, images, evaluation, align_corners), size, align_corners)


def upsample(logits: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
    """Return logits at another size, bilinear.

    Args:
        logits: N x K x h x w.
        size: H and W.
        align_corners: of the interpolation.

    Returns:
        N x K x H x W; the logits themselves where that is their size.
    """
    if tuple(logits.shape[-2:]) == tuple(size):
        return logits
    return F.interpolate(logits, size=tuple(size), mode="bilinear", align_corners=align_corners)


def starts(length: int, window: int, stride: int) -> list[int]:
    """Return where windows begin along one axis: every stride, the last one moved back to end with the image."""
    if length <= window:
        return [0]
    return [*range(0, length - window, stride), length - window]


def slide(forward: Forward, images: Tensor, evaluation: Evaluation, align_corners: bool) -> Tensor:
    """Return the mean over overlapping windows of their logits, at the images' size.

    Every window's logits are brought to the window's size first. An image smaller than the window is one window.

    Args:
        forward: the model.
        images: N x 3 x H x W.
        evaluation: gives window and stride.
        align_corners: how a window's logits are up-sampled.

    Returns:
        N x K x H x W float32.
    """
    assert evaluation.window is not None
    stride = evaluation.stride or tuple(max(1, side * 2 // 3) for side in evaluation.window)
    height, width = images.shape[-2:]
    high, wide = min(height, evaluation.window[0]), min(width, evaluation.window[1])
    total: Tensor | None = None
    seen = images.new_zeros((1, 1, height, width), dtype=torch.float32)
    for top in starts(height, high, stride[0]):
        for left in starts(width, wide, stride[1]):
            region = (..., slice(top, top + high), slice(left, left + wide))
            logits = upsample(forward(images[region]).float(), (high, wide), align_corners)
            if total is None:
                total = logits.new_zeros((*logits.shape[:2], height, width))
            total[region] += logits
            seen[region] += 1
    assert total is not None
    return total / seen
