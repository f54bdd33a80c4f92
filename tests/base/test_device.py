"""Devices and precisions that are refused before anything trains."""

from __future__ import annotations

import pytest
import torch

from bench.base.device import find_device, make_fabric, require_precision
from bench.base.errors import BenchError

CPU = torch.device("cpu")


def test_auto_takes_cuda_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("auto") == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert find_device("auto") == torch.device("cuda:0")


@pytest.mark.parametrize("name", ["cuda:2", "cpu:1", "nonsense", "xpu", "meta", ""])
def test_a_device_that_is_not_there_is_refused(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert find_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(BenchError, match="--device"):
        find_device(name)


def test_float16_needs_cuda():
    require_precision("16-mixed", torch.device("cuda:0"))
    require_precision("bf16-mixed", CPU)
    with pytest.raises(BenchError, match="16-mixed needs CUDA"):
        require_precision("16-mixed", CPU)


def test_every_cell_has_a_precision_plugin_of_its_own():
    first, second = make_fabric(CPU, "bf16-mixed"), make_fabric(CPU, "bf16-mixed")
    assert first.strategy.precision is not second.strategy.precision
