"""DeepLabV3+ on EfficientNet-Lite: counts, taps, and what docs/models.md tells of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import timm
import torch
from torch.utils.flop_counter import FlopCounterMode
from typer.testing import CliRunner

from bench.base.registry import discover, students, teachers
from bench.cli.main import app
from bench.models.base import build_model, count_parameters, output_spec

discover()
NAMES = {"deeplabv3plus_lite0": (0, 128, 24, 3_955_531), "deeplabv3plus_lite2": (2, 256, 48, 7_928_995)}
"""Size of the encoder, widths of the pyramid and of the reduced stage 1, parameters at 19 classes."""


def conv(before: int, after: int, side: int = 1, groups: int = 1) -> int:
    """Return the parameters of a convolution without bias and its batch norm."""
    return before // groups * after * side**2 + 2 * after


def separable(before: int, after: int) -> int:
    return conv(before, before, 3, groups=before) + conv(before, after)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_timms_encoder_and_the_head(name: str) -> None:
    size, width, low, count = NAMES[name]
    encoder = timm.create_model(f"tf_efficientnet_lite{size}", features_only=True)
    _, fine, *_, coarse = encoder.feature_info.channels()
    pyramid = 2 * conv(coarse, width) + 3 * separable(coarse, width) + conv(5 * width, width, 3)
    head = pyramid + conv(fine, low) + separable(width + low, width) + separable(width, width) + 19 * (width + 1)
    model = build_model(name, 19, {}, device="meta")
    assert count_parameters(model) == sum(one.numel() for one in model.parameters()) == count
    assert count == sum(one.numel() for one in encoder.parameters()) + head


@pytest.mark.parametrize(("name", "channels"), [("lite0", [24, 40, 112, 320]), ("lite2", [24, 48, 120, 352])])
def test_taps_are_the_stages_and_what_the_classifier_reads(name: str, channels: list[int]) -> None:
    name = f"deeplabv3plus_{name}"
    spec = output_spec(build_model(name, 19, {}, device="meta"), (512, 512))
    assert [(stage.channels, stage.stride) for stage in spec.stages] == list(zip(channels, [4, 8, 16, 16], strict=True))
    assert spec.embedding is not None
    assert (spec.embedding.channels, spec.embedding.stride) == (NAMES[name][1], 4)
    assert (spec.logits.channels, spec.logits.stride) == (19, 4)


def test_odd_sizes_work_and_every_parameter_learns() -> None:
    model = build_model("deeplabv3plus_lite0", 5, {"pretrained": False}).train()
    outputs = model(torch.randn(2, 3, 65, 97))
    assert outputs.logits.shape == (2, 5, 17, 25)
    outputs.logits.square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_they_are_listed() -> None:
    assert "deeplabv3plus_lite0" in [entry.name for entry in students]
    assert "deeplabv3plus_lite2" in [entry.name for entry in teachers]
    shown = CliRunner().invoke(app, ["models", *NAMES], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    for name, (*_, count) in NAMES.items():
        assert re.search(rf"{name}\b.*{count:,}", shown.output)


@pytest.mark.parametrize("name", NAMES)
def test_the_document_has_the_counts(name: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    (line,) = re.findall(rf"^\| `{name}` \|.*$", text, re.MULTILINE)
    model = build_model(name, 19, {}, device="meta").train()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.empty(2, 3, 512, 512, device="meta"))
    counted = f"| {NAMES[name][3]:,} | {counter.get_total_flops() / 4e9:.2f} |"
    assert counted in line
