"""What a weights file is taken for, without a dataset to score it on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.base.errors import BenchError
from bench.data.sets.camvid import CamVid
from bench.deploy.weights import KnownWeights, build_loaded, identify, output_channels
from bench.models.base import build_model

FILE = Path("net.pth")


@pytest.fixture
def tensors() -> Mapping[str, Tensor]:
    return build_model("tiny_fpn_8", 11, {}).state_dict()


@pytest.mark.parametrize(
    ("known", "asked", "channels"), [(None, None, 11), (12, None, 12), (None, 19, 19), (12, 11, 11)]
)
def test_what_is_asked_for_wins_over_what_is_known(known: int | None, asked: int | None, channels: int) -> None:
    weights = KnownWeights({}, "not known", num_classes=known)
    assert output_channels(FILE, weights, asked, "camvid", CamVid.info) == channels


@pytest.mark.parametrize(
    ("known", "told"), [(10, "gives 10 classes, dataset 'camvid' has 11: sky"), (13, "--classes 13")]
)
def test_other_numbers_of_classes_are_refused(known: int, told: str) -> None:
    with pytest.raises(BenchError) as refused:
        output_channels(FILE, KnownWeights({}, "not known", num_classes=known), None, "camvid", CamVid.info)
    assert told in str(refused.value)


def test_weights_in_no_known_form_are_taken_as_they_are(tensors: Mapping[str, Tensor]) -> None:
    known = identify(FILE, "tiny_fpn_8", {}, tensors)
    assert known.tensors is tensors
    assert known.origin.startswith("not known")
    assert (known.options, known.num_classes, known.align_corners) == ({}, None, None)


def test_a_model_is_built_with_its_weights(tensors: Mapping[str, Tensor]) -> None:
    built = build_loaded(FILE, "tiny_fpn_8", {}, 11, tensors).state_dict()
    assert all(torch.equal(built[name], tensors[name]) for name in tensors)


def test_weights_that_are_not_finite_are_refused_by_name(tensors: Mapping[str, Tensor]) -> None:
    name = next(iter(tensors))
    with pytest.raises(BenchError, match=f"not finite: {name}$"):
        build_loaded(FILE, "tiny_fpn_8", {}, 11, {**tensors, name: torch.full_like(tensors[name], torch.nan)})
