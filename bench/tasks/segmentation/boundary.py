"""Boundary IoU: how well the outlines agree, whatever the size of the regions."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

DILATION_RATIO = 0.02
"""Width of the boundary as a share of the image's diagonal (Cheng et al., arXiv 2103.16562, section 5)."""


def boundary_width(height: int, width: int) -> int:
    """Return the boundary's width in pixels for an image size, at least 1."""
    return max(1, round(DILATION_RATIO * math.hypot(height, width)))


def near_boundary(labels: Tensor, distance: int) -> Tensor:
    """Return the pixels within a distance of a pixel with another label, or of the image's border.

    For every class this is its mask minus the mask eroded ``distance`` times by a 3 x 3 square, all classes at once: a
    square window holds one label exactly if no two neighbours in it differ, and neighbours that differ are counted in
    any window by four look-ups in a table of cumulative sums.

    Args:
        labels: N x H x W integers; the ignore label counts as a label of its own.
        distance: in pixels, in the maximum norm.

    Returns:
        N x H x W bool.
    """
    height, width = labels.shape[-2:]
    d = distance
    outside = int(torch.iinfo(torch.int16).min)
    padded = F.pad(labels.to(torch.int32), (d, d, d, d), value=outside)
    across = _cumulated(padded[:, :, 1:] != padded[:, :, :-1])
    down = _cumulated(padded[:, 1:] != padded[:, :-1])
    rows, columns = 2 * d + 1, 2 * d
    count = _in_windows(across, height, width, rows, columns) + _in_windows(down, height, width, columns, rows)
    return count > 0


def _cumulated(edges: Tensor) -> Tensor:
    table = edges.to(torch.int32).cumsum(1, dtype=torch.int32).cumsum(2, dtype=torch.int32)
    return F.pad(table, (1, 0, 1, 0))


def _in_windows(table: Tensor, height: int, width: int, rows: int, columns: int) -> Tensor:
    """Return how many edges lie in the ``rows`` x ``columns`` window that begins at each pixel."""
    top, left = slice(0, height), slice(0, width)
    bottom, right = slice(rows, rows + height), slice(columns, columns + width)
    return table[:, bottom, right] - table[:, top, right] - table[:, bottom, left] + table[:, top, left]


def boundary_counts(prediction: Tensor, target: Tensor, num_classes: int, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Return pixels in the intersection and in the union of the true and the predicted boundary of every class.

    Boundary IoU (Cheng et al., arXiv 2103.16562, equation 2) is their ratio. A boundary is the pixels of a mask within
    the boundary width of its outline. Ignored pixels are in neither, and are a region of their own on both
    sides: a prediction beside them is not held against the model.

    Args:
        prediction: N x H x W class indices.
        target: N x H x W class indices and the ignore index.
        num_classes: K.
        ignore_index: label that is not scored.

    Returns:
        Two N x K int64 tensors.
    """
    n = len(target)
    distance = boundary_width(int(target.shape[-2]), int(target.shape[-1]))
    scored = target != ignore_index
    near_true = near_boundary(target, distance) & scored
    near_predicted = near_boundary(torch.where(scored, prediction, ignore_index), distance) & scored
    offset = torch.arange(n, device=target.device).view(-1, 1, 1) * num_classes

    def count(labels: Tensor, where: Tensor) -> Tensor:
        return torch.bincount((labels + offset)[where], minlength=n * num_classes).view(n, num_classes)

    intersection = count(target, near_true & near_predicted & (target == prediction))
    union = count(target, near_true) + count(prediction, near_predicted) - intersection
    return intersection, union
