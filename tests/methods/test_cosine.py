"""Cosine distillation: which stages meet, and vectors of zeros."""

from __future__ import annotations

import pytest
import torch
from bench.methods.cosine import Cosine, cosine_distance
from torch import Tensor

from bench.base.options import Options
from bench.method import Batch, Outputs, OutputSpec, Pair, Step, TapSpec, Unsupported


def spec(*channels: int) -> OutputSpec:
    return OutputSpec(TapSpec(5, 4), None, tuple(TapSpec(one, 4 * 2**index) for index, one in enumerate(channels)))


def pair(student: OutputSpec, teacher: OutputSpec) -> Pair:
    return Pair(5, 255, student, teacher, (32, 32))


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_the_first_the_second_and_the_last_stage_meet_the_teachers_first_three():
    method = Cosine(pair(spec(2, 3, 4, 5), spec(6, 7, 8, 9)))
    shapes = [tuple(adapter.weight.shape[:2]) for adapter in method.adapters]
    assert shapes == [(6, 2), (7, 3), (8, 5)]
    assert all(adapter.bias is not None for adapter in method.adapters)


def test_the_mean_over_the_chosen_levels():
    options = Options.of(Cosine).resolve({"student_stages": [1, 0], "teacher_stages": [-1, 1], "weight": 3})
    method = Cosine(pair(spec(2, 3), spec(4, 5, 6)), **options)
    students = (draw(2, 2, 8, 8), draw(2, 3, 4, 4))
    teachers = (draw(2, 4, 8, 8), draw(2, 5, 4, 4, seed=1), draw(2, 6, 2, 2, seed=2))
    batch = Batch(torch.zeros(2, 3, 32, 32), torch.zeros(2, 32, 32, dtype=torch.long), 255)
    student, teacher = (Outputs(draw(2, 5, 8, 8), None, stages) for stages in (students, teachers))
    found = method(student, teacher, batch, Step(0, 1, torch.zeros(())))["cosine"]
    first = cosine_distance(method.adapters[0](students[1]), teachers[2])
    second = cosine_distance(method.adapters[1](students[0]), teachers[1])
    assert found.item() == pytest.approx(3 * (first + second).item() / 2)


def test_a_stage_that_is_not_there_is_refused_with_what_to_set():
    with pytest.raises(Unsupported, match=r"stage 2, the teacher has 2\. Set student_stages and teacher_stages"):
        Cosine(pair(spec(2, 3), spec(4, 5)))
    with pytest.raises(Unsupported, match="student_stages names stage -3, the student has 2"):
        Cosine(pair(spec(2, 3), spec(4, 5)), student_stages=(-3,), teacher_stages=(0,))
    with pytest.raises(Unsupported, match=r"has 3 and teacher_stages 1\. Give both equally many"):
        Cosine(pair(spec(2, 3), spec(4, 5)), teacher_stages=(0,))
    with pytest.raises(Unsupported, match="at least one"):
        Cosine(pair(spec(2, 3), spec(4, 5)), student_stages=(), teacher_stages=())


def test_vectors_of_zeros_have_cosine_zero_and_a_gradient():
    student = torch.zeros(1, 3, 2, 2, requires_grad=True)
    loss = cosine_distance(student, draw(1, 3, 2, 2))
    loss.backward()
    assert loss.item() == 1
    assert student.grad.isfinite().all()
    assert cosine_distance(draw(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)).item() == 1


@pytest.mark.parametrize(("factor", "expected"), [(5.0, 0.0), (-0.1, 2.0)])
def test_only_the_direction_counts(factor, expected):
    teacher = draw(2, 3, 4, 4)
    assert cosine_distance(factor * teacher, teacher).item() == pytest.approx(expected, abs=1e-6)
