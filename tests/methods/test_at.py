"""Attention transfer: what the weight's conversion promises."""

from __future__ import annotations

import pytest
import torch
from bench.methods.at import AT, attention_distance
from torch import Tensor

from bench.method import OutputSpec, Pair, TapSpec


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def enlarged(maps: Tensor, factor: int) -> Tensor:
    return maps.repeat_interleave(factor, 2).repeat_interleave(factor, 3)


def test_neither_resolution_nor_batch_size_scales_it():
    student, teacher = draw(2, 4, 5, 7, seed=0), draw(2, 6, 5, 7, seed=1)
    expected = attention_distance(student, teacher).item()
    assert expected > 0.1
    assert attention_distance(enlarged(student, 3), enlarged(teacher, 3)).item() == pytest.approx(expected)
    assert attention_distance(student.repeat(3, 1, 1, 1), teacher.repeat(3, 1, 1, 1)).item() == pytest.approx(expected)


def test_the_default_weight_is_cirkds_on_its_own_maps():
    spec = OutputSpec(TapSpec(5, 8), TapSpec(4, 8))
    student, teacher = draw(1, 4, 64, 128, seed=0), draw(1, 4, 64, 128, seed=1)
    maps = [one.square().mean(1).flatten(1) for one in (student, teacher)]
    unit = [one / one.norm(dim=1, keepdim=True) for one in maps]
    official = 1e4 * (unit[0] - unit[1]).square().mean()
    ours = AT(Pair(5, 255, spec, spec, (512, 1024))).weight * attention_distance(student, teacher)
    assert ours.item() == pytest.approx(official.item())
