"""Every model of the papers on the meta device: parameters exactly, MACs within 1 %, taps as the cards have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.base.errors import BenchError
from bench.base.registry import discover, students
from bench.models.base import SegmentationModel, build_model, count_parameters, output_spec

discover()
CARDS: dict[str, dict[str, Any]] = {
    card["name"]: card for card in json.loads((Path(__file__).parent / "cards.json").read_text())
}
OURS: dict[str, tuple[str, dict[str, Any]]] = {
    "compact_student": ("compact_mobilenetv3", {}),
    "efficientnet_b1_psp_guess": ("efficientnet_b1_psp", {}),
    "espnet_skd": ("espnet", {}),
    "espnet_official": ("espnet", {"skip": "conv"}),
    "pspnet_r38_guess": ("pspnet_r38", {}),
}
"""Cards whose model has another name here, or needs options."""
SIZE = (512, 512)


def ours(card: str) -> tuple[str, dict[str, Any]]:
    name, options = OURS.get(card, (card, {}))
    known = students.get(name).builder.__kwdefaults__ or {}
    return name, options | ({"pretrained": False} if "pretrained" in known else {})


def made(card: str, num_classes: int) -> SegmentationModel:
    name, options = ours(card)
    try:
        return build_model(name, num_classes, options, device="meta")
    except BenchError as error:
        if "pip install" in str(error):
            pytest.skip(str(error))
        raise


def classes(card: str) -> list[int]:
    return [int(count) for count in CARDS[card]["params_total"]]


@pytest.mark.parametrize(("card", "count"), [(card, count) for card in CARDS for count in classes(card)])
def test_parameters_are_exactly_the_cards(card: str, count: int) -> None:
    model = made(card, count)
    total = sum(parameter.numel() for parameter in model.parameters())
    assert total == CARDS[card]["params_total"][str(count)]
    if not model.training_only:
        assert count_parameters(model) == CARDS[card]["params_no_aux"][str(count)]


@pytest.mark.parametrize("card", CARDS)
def test_macs_are_within_one_percent_of_the_cards(card: str) -> None:
    # auxiliary heads are in the cards' counts, and run in training alone
    model = made(card, CARDS[card]["macs_classes"]).train()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.empty(2, 3, *SIZE, device="meta"))
    assert counter.get_total_flops() / 4 == pytest.approx(CARDS[card]["macs"]["x".join(map(str, SIZE))], rel=0.01)


@pytest.mark.parametrize("card", CARDS)
def test_taps_are_the_cards(card: str) -> None:
    spec = output_spec(made(card, classes(card)[0]), SIZE)
    assert [stage.channels for stage in spec.stages] == CARDS[card]["stage_channels"]
    assert [round(stage.stride) for stage in spec.stages] == CARDS[card]["stage_strides"]
    assert spec.embedding is not None
    assert spec.embedding.channels == CARDS[card]["embedding_channels"]
    if not card.endswith("_tv"):  # theirs are up-sampled inside the model, ours outside of it
        assert round(spec.logits.stride) == CARDS[card]["logits_stride"]
