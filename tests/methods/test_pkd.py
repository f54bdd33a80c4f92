"""PKD: channels, levels and sizes."""

from __future__ import annotations

import pytest
import torch
from bench.methods.pkd import PKD, pearson_distance
from torch import Tensor

from bench.method import Batch, Outputs, OutputSpec, Pair, Step, TapSpec, Unsupported


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def spec(*channels: int) -> OutputSpec:
    stages = tuple(TapSpec(count, 4 * 2**index) for index, count in enumerate(channels))
    return OutputSpec(TapSpec(5, 4), stages[0], stages)


def test_it_is_one_minus_the_correlation_of_each_channel():
    student, teacher = draw(2, 3, 4, 5), draw(2, 3, 4, 5, seed=1)
    rows = torch.stack([one.transpose(0, 1).flatten(1) for one in (student, teacher)], dim=1)
    correlation = torch.stack([torch.corrcoef(channel)[0, 1] for channel in rows]).mean()
    expected = (1 - correlation) * 39 / 40
    assert pearson_distance(student, teacher).item() == pytest.approx(expected.item(), rel=1e-5)
    assert pearson_distance(3 * student + 7, teacher).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("resize_student", [True, False])
def test_a_map_that_differs_in_width_alone_is_resized(resize_student):
    assert pearson_distance(draw(2, 3, 4, 5), draw(2, 3, 4, 9), resize_student=resize_student).isfinite()


def test_constant_channels_and_single_values_are_finite():
    for shape in ((2, 3, 4, 4), (1, 3, 1, 1)):
        student = torch.ones(shape, requires_grad=True)
        loss = pearson_distance(student, draw(*shape).float())
        loss.backward()
        assert loss.isfinite()
        assert student.grad.isfinite().all()


@pytest.mark.parametrize(
    ("tap", "told"), [("embedding", r"8 \(student\) and 16 \(teacher\)"), ("stages", "8/8/8 .* 16/8/8")]
)
def test_unequal_channels_need_the_adapter(tap, told):
    pair = Pair(5, 255, spec(8, 8, 8), spec(16, 8, 8), (64, 64))
    with pytest.raises(Unsupported, match=told + ".* Set adapter: true"):
        PKD(pair, tap=tap)
    shapes = [tuple(parameter.shape) for parameter in PKD(pair, tap=tap, adapter=True).parameters()]
    assert shapes == [(16, 8, 1, 1), (8, 8, 1, 1), (8, 8, 1, 1)][: 3 if tap == "stages" else 1]


def test_stages_are_summed_and_matched_by_stride_where_one_model_has_more():
    pair = Pair(5, 255, spec(8, 6), spec(8, 6, 4), (16, 16))
    students, teachers = [draw(2, 8, 4, 4), draw(2, 6, 2, 2)], [draw(2, 8, 4, 4, seed=1), draw(2, 6, 2, 2, seed=1)]
    teacher = Outputs(teachers[0], None, (*teachers, draw(2, 4, 1, 1)))
    batch = Batch(torch.zeros(2, 3, 16, 16), torch.zeros(2, 16, 16, dtype=torch.long), 255)
    method = PKD(pair, tap="stages", weight=2.0)
    found = method(Outputs(students[0], None, tuple(students)), teacher, batch, Step(0, 1, torch.zeros(())))
    expected = sum(pearson_distance(*maps) for maps in zip(students, teachers, strict=True))
    assert found["pkd"].item() == pytest.approx(2 * expected.item())
