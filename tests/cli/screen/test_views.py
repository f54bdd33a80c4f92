"""What each model sees of a batch: its own normalisation and order of channels, made once."""

from __future__ import annotations

import functools

import pytest
import torch

from bench.base.device import make_fabric
from bench.data.sets.camvid import CamVid
from bench.models.base import SegmentationModel, Triple
from bench.tasks.segmentation.task import Segmentation
from bench.train.batches import Views
from bench.train.setting import Setting

MEAN, STD = (0.1, 0.2, 0.3), (0.5, 0.25, 0.125)


def model(mean: Triple | None = None, std: Triple | None = None, bgr: bool = False) -> SegmentationModel:
    made = SegmentationModel()
    made.mean, made.std, made.bgr = mean, std, bgr
    return made


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def views(images: torch.Tensor) -> Views:
    device = torch.device("cpu")
    return Views(
        images, Setting(CamVid.info, Segmentation, device, functools.partial(make_fabric, device), lambda _: None), True
    )


def test_mean_and_std_are_rgb_also_where_blue_comes_first(images: torch.Tensor, views: Views) -> None:
    rgb, bgr = views.of(model(MEAN, STD)), views.of(model(MEAN, STD, bgr=True))
    for channel in range(3):
        wanted = (images[:, channel] - MEAN[channel]) / STD[channel]
        torch.testing.assert_close(rgb[:, channel], wanted)
        torch.testing.assert_close(bgr[:, 2 - channel], wanted)


def test_the_datasets_figures_stand_in_for_those_that_a_model_does_not_have(images: torch.Tensor, views: Views) -> None:
    own = views.of(model(mean=MEAN))
    torch.testing.assert_close(own[:, 0], (images[:, 0] - MEAN[0]) / CamVid.info.std[0])
    flipped = views.of(model(bgr=True))
    torch.testing.assert_close(flipped, views.of(model()).flip(1))


def test_a_view_is_made_once_for_each_normalisation_and_order(images: torch.Tensor, views: Views) -> None:
    before = images.clone()
    made = [views.of(model(MEAN, STD, bgr)) for bgr in (False, True, False, True)]
    assert made[0] is made[2]
    assert made[1] is made[3]
    assert len(views.made()) == 2
    assert torch.equal(images, before)
    assert all(view.is_contiguous(memory_format=torch.channels_last) for view in views.made())
