"""DSD: which maps it compares, and what the weights' conversion promises."""

from __future__ import annotations

import pytest
import torch
from bench.methods.dsd import DSD, category_similarity, category_similarity_distance, pixel_similarity_distance
from torch import Tensor

from bench.method import Batch, Outputs, OutputSpec, Pair, Step, TapSpec, Unsupported


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def spec(*strides: float) -> OutputSpec:
    return OutputSpec(TapSpec(5, 4), TapSpec(6, 4), tuple(TapSpec(8, stride) for stride in strides))


def pair(student: OutputSpec, teacher: OutputSpec) -> Pair:
    return Pair(5, 255, student, teacher, (32, 32))


def enlarged(maps: Tensor, factor: int) -> Tensor:
    return maps.repeat_interleave(factor, 2).repeat_interleave(factor, 3)


def test_neither_resolution_nor_batch_size_scales_the_terms():
    student, teacher = ([draw(2, count, 3, 4, seed=seed + count) for count in (4, 5)] for seed in (0, 10))

    def terms(*sides: list[Tensor]) -> list[float]:
        category = category_similarity_distance(sides[0][-1], sides[1][-1], 4.0)
        return [pixel_similarity_distance(*sides).item(), category.item()]

    expected = terms(*([enlarged(one, 2) for one in side] for side in (student, teacher)))
    assert min(expected) > 1e-4
    assert terms(*([enlarged(one, 6) for one in side] for side in (student, teacher))) == pytest.approx(expected)
    repeated = [[enlarged(one, 2).repeat(3, 1, 1, 1) for one in side] for side in (student, teacher)]
    assert terms(*repeated) == pytest.approx(expected)


def test_classes_spread_evenly_have_similarity_one_at_any_size():
    for size in ((8, 8), (7, 5), (1, 1)):
        assert torch.allclose(category_similarity(torch.zeros(2, 3, *size), 4.0), torch.ones(2, 3, 3))


def test_stages_join_from_the_end():
    method = DSD(pair(spec(2, 4, 4), spec(4, 4)), stages=2)
    students = [draw(1, 8, 8, 8), draw(1, 8, 4, 4), draw(1, 8, 4, 4, seed=1), draw(1, 6, 4, 4), draw(1, 5, 4, 4)]
    teachers = [draw(*one.shape, seed=9) for one in students[1:]]
    student = Outputs(students[4], students[3], tuple(students[:3]))
    teacher = Outputs(teachers[3], teachers[2], tuple(teachers[:2]))
    batch = Batch(torch.zeros(1, 3, 16, 16), torch.zeros(1, 16, 16, dtype=torch.long), 255)
    found = method(student, teacher, batch, Step(0, 1, torch.zeros(())))
    expected = method.pixel_weight * pixel_similarity_distance(students[1:], teachers)
    assert found["dsd_pixel"].item() == pytest.approx(expected.item())
    assert "stages" in method.taps
    assert "stages" not in DSD(pair(spec(), spec())).taps


def test_maps_of_several_sizes_and_missing_stages_are_refused():
    with pytest.raises(Unsupported, match=r"4/4 \(student\) and 8/8 \(teacher\)"):
        DSD(pair(spec(), OutputSpec(TapSpec(5, 8), TapSpec(6, 8))))
    with pytest.raises(Unsupported, match=r"stages, embedding and logits are 8/4/4 \(student\) and 4/4/4 \(teacher\)"):
        DSD(pair(spec(8), spec(4)), stages=1)
    with pytest.raises(Unsupported, match="stage -2, of which the student has 1"):
        DSD(pair(spec(4), spec(4)), stages=2)


def test_the_default_weights_are_cirkds_on_its_own_maps():
    method = DSD(pair(spec(), spec()))
    student, teacher = ([draw(1, count, 64, 128, seed=seed + count) for count in (6, 5)] for seed in (0, 10))

    def gram(logits: Tensor) -> Tensor:
        places = (torch.nn.functional.avg_pool2d(logits, 2).flatten(2) / 4).softmax(2)
        return places @ places.mT

    official = 10 * (gram(student[-1]) - gram(teacher[-1])).square().mean()
    ours = method.category_weight * category_similarity_distance(student[-1], teacher[-1], 4.0)
    assert ours.item() == pytest.approx(official.item())
    assert method.pixel_weight * 64 * 128 == pytest.approx(1000)
