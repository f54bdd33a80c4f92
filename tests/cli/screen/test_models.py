"""``bench models``: what it shows, and what it says where it cannot."""

from __future__ import annotations

import io

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from bench.base.errors import BenchError
from bench.cli.main import app
from bench.cli.screen.models import facts, print_models
from bench.models.base import SegmentationModel, students


class Broken(SegmentationModel):
    pass


def shown(*arguments: str) -> tuple[int, str]:
    ended = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["models", *arguments])
    return ended.exit_code, ended.output


def test_counts_and_taps_are_those_of_the_model():
    found = facts("tiny_fpn_8", 11, (64, 64))
    assert (found.params, found.params_training) == (21_027, 21_027)
    assert found.macs == pytest.approx(2.7e6, rel=0.02)
    code, text = shown("tiny_fpn_8", "--classes", "11", "--size", "64x64")
    assert code == 0
    assert "21,027" in text
    assert "16/4, 32/8" in text
    assert "tiny_fpn_12" not in text


def test_latency_is_measured_on_request():
    code, text = shown("tiny_fpn_8", "--size", "32x32", "--latency", "--device", "cpu")
    assert code == 0
    assert " ms" in text


@pytest.mark.parametrize("size", ["512", "0x4", "axb"])
def test_a_size_that_is_none_is_refused(size):
    ended = CliRunner().invoke(app, ["models", "--size", size])
    assert isinstance(ended.exception, BenchError)
    assert "write height and width in pixels" in str(ended.exception)


def test_a_model_that_cannot_be_built_does_not_hide_the_others():
    @students.register("net_broken")
    def net_broken(num_classes: int) -> Broken:
        """Needs something that is not there."""
        raise BenchError("needs a library: pip install it")

    @students.register("net_odd")
    def net_odd(num_classes: int) -> Broken:
        """Has no forward."""
        return Broken()

    text = io.StringIO()
    failed = print_models(["net_broken", "tiny_fpn_8", "net_odd"], 11, (64, 64), None, Console(file=text, width=250))
    assert failed == 2
    assert "needs a library: pip install it" in text.getvalue()
    assert "NotImplementedError" in text.getvalue()
    assert "21,027" in text.getvalue()
    assert torch.get_default_device().type == "cpu"
