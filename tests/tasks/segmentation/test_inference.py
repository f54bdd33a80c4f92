"""Ways of looking at an image, against windows and views written out one by one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bench.tasks.segmentation.inference import predict, slide, starts, upsample
from bench.tasks.segmentation.settings import Evaluation

K = 3


def stride_two(images):
    """A model whose logits depend on position alone through padding: a strided convolution of fixed weights."""
    weight = torch.linspace(-1, 1, K * 3 * 9, dtype=images.dtype).view(K, 3, 3, 3)
    return F.conv2d(images, weight, stride=2, padding=1)


def pictures(height, width, n=2):
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("align_corners", [True, False])
def test_a_whole_image_is_one_forward_and_one_upsampling(align_corners):
    images = pictures(9, 12)
    found = predict(stride_two, images, (9, 12), Evaluation(), align_corners)
    expected = F.interpolate(stride_two(images), size=(9, 12), mode="bilinear", align_corners=align_corners)
    assert torch.equal(found, expected)


def test_predictions_reach_the_size_of_the_labels_whatever_the_input():
    images = pictures(20, 30)
    found = predict(stride_two, images, (20, 30), Evaluation(short_side=10), False)
    small = F.interpolate(images, size=(10, 15), mode="bilinear", antialias=True)
    assert torch.equal(found, upsample(stride_two(small), (20, 30), False))


def test_windows_are_averaged_where_they_overlap():
    images = pictures(10, 17)
    evaluation = Evaluation(window=(6, 8), stride=(4, 5))
    total, seen = torch.zeros(2, K, 10, 17), torch.zeros(10, 17)
    for top in (0, 4):
        for left in (0, 5, 9):
            window = stride_two(images[:, :, top : top + 6, left : left + 8])
            total[:, :, top : top + 6, left : left + 8] += upsample(window, (6, 8), False)
            seen[top : top + 6, left : left + 8] += 1
    torch.testing.assert_close(slide(stride_two, images, evaluation, False), total / seen)
    torch.testing.assert_close(predict(stride_two, images, (10, 17), evaluation, False), total / seen)


def test_an_image_smaller_than_the_window_is_seen_whole():
    images = pictures(5, 7)
    found = predict(stride_two, images, (5, 7), Evaluation(window=64), False)
    assert torch.equal(found, predict(stride_two, images, (5, 7), Evaluation(), False))


@given(length=st.integers(1, 60), window=st.integers(1, 40), stride=st.integers(1, 40))
def test_windows_cover_every_pixel_and_stay_inside(length, window, stride):
    stride = min(stride, window)
    found = starts(length, window, stride)
    window = min(window, length)
    covered = {pixel for start in found for pixel in range(start, start + window)}
    assert covered == set(range(length))
    assert len(set(found)) == len(found)


def test_several_scales_and_the_mirror_image_average_probabilities():
    images = pictures(8, 12)
    evaluation = Evaluation(scales=(1.0, 0.5), flip=True)
    parts = []
    for size in ((8, 12), (4, 6)):
        view = images if size == (8, 12) else F.interpolate(images, size=size, mode="bilinear", antialias=True)
        parts.append(upsample(stride_two(view), (8, 12), False).softmax(1))
        parts.append(upsample(stride_two(view.flip(-1)), (8, 12), False).flip(-1).softmax(1))
    torch.testing.assert_close(predict(stride_two, images, (8, 12), evaluation, False), torch.stack(parts).mean(0))


def test_mirrored_evaluation_of_a_mirrored_image_is_mirrored():
    images = pictures(8, 12)
    evaluation = Evaluation(flip=True)
    found = predict(stride_two, images, (8, 12), evaluation, False)
    mirrored = predict(stride_two, images.flip(-1), (8, 12), evaluation, False)
    torch.testing.assert_close(mirrored.flip(-1), found)


def test_one_pixel_is_enough():
    assert predict(stride_two, pictures(1, 1), (1, 1), Evaluation(scales=(0.5, 1.0)), False).shape == (2, K, 1, 1)


@pytest.mark.parametrize(
    ("given_values", "word"),
    [
        ({"stride": 4}, "only a sliding window"),
        ({"window": 4, "stride": 8}, "larger than the window"),
        ({"scales": []}, "at least 1"),
        ({"scales": [0]}, "greater than 0"),
        ({"short_side": 0}, "greater than 0"),
    ],
)
def test_evaluations_that_make_no_sense_are_refused(given_values, word):
    with pytest.raises(ValidationError, match=word):
        Evaluation(**given_values)
