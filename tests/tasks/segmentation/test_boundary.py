"""Boundary IoU, against erosion pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from bench.tasks.segmentation.boundary import boundary_counts, boundary_width, near_boundary
from bench.tasks.segmentation.scores import scores


def eroded_boundary(labels: np.ndarray, distance: int) -> np.ndarray:
    """Mask minus eroded mask, class by class; outside the image is no part of any mask."""
    found = np.zeros(labels.shape, bool)
    for value in np.unique(labels):
        mask = labels == value
        kept = ndimage.binary_erosion(mask, np.ones((3, 3)), iterations=distance, border_value=0)
        found |= mask & ~kept
    return found


@pytest.mark.parametrize("distance", [1, 2, 5, 40])
@pytest.mark.parametrize("shape", [(1, 1), (7, 13), (24, 31)])
def test_all_classes_at_once_are_mask_minus_erosion(distance, shape):
    rng = np.random.default_rng(distance)
    blocks = rng.choice([0, 1, 2, 255], (3, -(-shape[0] // 6), -(-shape[1] // 6)))
    labels = blocks.repeat(6, 1).repeat(6, 2)[:, : shape[0], : shape[1]]
    found = near_boundary(torch.from_numpy(labels), distance)
    expected = np.stack([eroded_boundary(image, distance) for image in labels])
    np.testing.assert_array_equal(found.numpy(), expected)


def test_counts_are_those_of_sets():
    rng = np.random.default_rng(0)
    target = rng.choice([0, 1, 2, 255], (2, 4, 5)).repeat(10, 1).repeat(10, 2)
    prediction = rng.choice([0, 1, 2], (2, 8, 10)).repeat(5, 1).repeat(5, 2)
    intersection, union = boundary_counts(torch.from_numpy(prediction), torch.from_numpy(target), 3, 255)
    distance = boundary_width(40, 50)
    assert distance == 1
    for image in range(2):
        shown = np.where(target[image] == 255, 255, prediction[image])
        true, predicted = eroded_boundary(target[image], distance), eroded_boundary(shown, distance)
        for k in range(3):
            first, second = true & (target[image] == k), predicted & (shown == k)
            assert intersection[image, k] == (first & second).sum()
            assert union[image, k] == (first | second).sum()


def test_the_width_is_two_hundredths_of_the_diagonal():
    assert boundary_width(1024, 2048) == 46
    assert boundary_width(360, 480) == 12
    assert boundary_width(1, 1) == 1


def test_a_perfect_prediction_scores_one_and_ignored_pixels_do_not_count():
    target = torch.zeros(1, 30, 30, dtype=torch.long)
    target[:, 10:20, 10:20] = 1
    target[:, :5] = 255
    prediction = target.clamp(max=1)
    intersection, union = boundary_counts(prediction, target, 3, 255)
    assert torch.equal(intersection, union)
    total = np.stack([intersection.sum(0).numpy(), union.sum(0).numpy()])
    found = scores(np.diag([5, 7, 0]), ["a", "b", "c"], total)
    assert found["mean_boundary_iou"] == 1
    assert found["boundary_iou"] == {"a": 1, "b": 1, "c": None}


def test_an_outline_off_by_a_few_pixels_costs_more_than_in_the_region():
    """What it is for: a large region with a wrong outline has a high IoU and a low boundary IoU."""
    target = torch.zeros(1, 200, 200, dtype=torch.long)
    target[:, 20:180, 20:180] = 1
    prediction = torch.zeros_like(target)
    prediction[:, 24:176, 24:176] = 1
    intersection, union = boundary_counts(prediction, target, 2, 255)
    region = 152**2 / 160**2
    assert intersection[0, 1] / union[0, 1] < 0.35 < 0.9 < region


def test_an_image_without_labels_counts_nothing():
    target = torch.full((1, 6, 6), 255)
    intersection, union = boundary_counts(torch.zeros_like(target), target, 3, 255)
    assert not intersection.any()
    assert not union.any()
