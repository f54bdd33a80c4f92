"""The loss and the metric, against loops and hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.data.facts import DatasetInfo
from bench.matrix.recipe import recipe_for
from bench.method import Batch, Outputs
from bench.tasks.segmentation.task import Segmentation

INFO = DatasetInfo(("a", "b", "c"), ((0, 0, 0),) * 3, (0.5,) * 3, (0.2,) * 3, "made here")


def task(**recipe) -> Segmentation:
    return Segmentation(INFO, recipe_for()(iterations=1, **recipe))


def batch(target: torch.Tensor) -> Batch:
    return Batch(torch.zeros(len(target), 3, *target.shape[1:]), target, 255)


def one_hot(prediction: torch.Tensor) -> torch.Tensor:
    return F.one_hot(prediction, 3).permute(0, 3, 1, 2).float()


def test_cross_entropy_is_the_mean_over_pixels_that_are_not_ignored():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, generator=generator)
    target = torch.randint(0, 3, (2, 4, 5), generator=generator)
    target[0, :2] = 255
    expected = F.cross_entropy(logits, target, ignore_index=255)
    assert task().loss(Outputs(logits), batch(target))["ce"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_labels_that_are_all_ignored_give_zero_loss_and_zero_gradient():
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = task().loss(Outputs(logits), batch(torch.full((1, 4, 4), 255)))["ce"]
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.abs().sum() == 0


@pytest.mark.parametrize("align_corners", [True, False])
def test_logits_are_upsampled_to_the_labels(align_corners):
    logits, target = torch.randn(1, 3, 3, 3), torch.randint(0, 3, (1, 9, 9))
    upsampled = F.interpolate(logits, size=(9, 9), mode="bilinear", align_corners=align_corners)
    found = task(align_corners=align_corners).loss(Outputs(logits), batch(target))["ce"]
    assert found.item() == pytest.approx(F.cross_entropy(upsampled, target).item(), rel=1e-6)


def test_the_auxiliary_head_counts_only_where_the_recipe_says_so():
    outputs = Outputs(torch.randn(1, 3, 4, 4), auxiliary=torch.randn(1, 3, 2, 2))
    target = torch.randint(0, 3, (1, 4, 4))
    assert set(task().loss(outputs, batch(target))) == {"ce"}
    weighted = task(auxiliary_weight=0.4)
    terms = weighted.loss(outputs, batch(target))
    alone = weighted.cross_entropy(outputs.auxiliary, batch(target))
    assert terms["auxiliary"].item() == pytest.approx(0.4 * alone.item())


def test_counts_agree_with_a_pixel_loop_whatever_the_batches():
    rng = np.random.default_rng(0)
    target, prediction = rng.integers(0, 3, (5, 6, 7)), rng.integers(0, 3, (5, 6, 7))
    target[rng.random(target.shape) < 0.2] = 255
    expected = np.zeros((5, 3, 3), int)
    for image in range(5):
        for true, predicted in zip(target[image].ravel(), prediction[image].ravel(), strict=True):
            if true != 255:
                expected[image, true, predicted] += 1
    for size in (1, 2, 5):
        evaluator = task().evaluator()
        for start in range(0, 5, size):
            part = slice(start, start + size)
            evaluator.update(one_hot(torch.from_numpy(prediction[part])), batch(torch.from_numpy(target[part])))
        counts = evaluator.evidence()
        dense = np.zeros((5, 3, 3), int)
        dense[counts.image, counts.target, counts.prediction] = counts.count
        assert (dense == expected).all()
        assert (counts.total() == expected.sum(0)).all()


def test_miou_is_of_the_dataset_not_the_mean_over_images():
    """Class b: one pixel, wrong, in one image; a thousand, right, in the other."""
    small, large = torch.zeros(1, 40, 40, dtype=torch.long), torch.zeros(1, 40, 40, dtype=torch.long)
    small[0, 0, 0] = 1
    large[0, :25] = 1
    evaluator = task().evaluator()
    evaluator.update(one_hot(torch.zeros_like(small)), batch(small))
    evaluator.update(one_hot(large), batch(large))
    scores = evaluator.scores()
    background = (1599 + 600) / (1600 + 600)
    assert scores["iou"]["b"] == pytest.approx(1000 / 1001)
    assert scores["miou"] == pytest.approx((background + 1000 / 1001) / 2)
    per_image = ((1599 / 1600 + 0) / 2 + 1.0) / 2
    assert abs(scores["miou"] - per_image) > 0.2
    assert scores["iou"]["c"] is None  # absent from labels and predictions


def test_an_image_of_ignored_pixels_adds_nothing_and_still_counts_as_an_image():
    evaluator = task().evaluator()
    evaluator.update(one_hot(torch.zeros(1, 4, 4, dtype=torch.long)), batch(torch.full((1, 4, 4), 255)))
    evaluator.update(one_hot(torch.ones(1, 4, 4, dtype=torch.long)), batch(torch.ones(1, 4, 4, dtype=torch.long)))
    assert evaluator.evidence().n_images == 2
    assert evaluator.scores()["miou"] == 1
