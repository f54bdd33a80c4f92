"""Response distillation: its share of the task loss, sizes and void pixels."""

from __future__ import annotations

import pytest
import torch
from bench.methods.response import Response

from bench.method import Batch, Outputs, OutputSpec, Pair, Step, TapSpec

PAIR = Pair(5, 255, OutputSpec(TapSpec(5, 8)), OutputSpec(TapSpec(5, 4)), (32, 24))


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_what_it_takes_it_leaves_to_the_task(alpha):
    assert Response(PAIR, alpha=alpha).task_weight == 1 - alpha
    assert Response(PAIR).task_weight == pytest.approx(0.1)


def test_maps_of_different_size_meet_at_the_labels_and_void_pixels_count():
    generator = torch.Generator().manual_seed(0)
    student = Outputs(torch.randn(2, 5, 4, 3, generator=generator, requires_grad=True))
    teacher = Outputs(torch.randn(2, 5, 8, 6, generator=generator))
    found = []
    for label in (0, 255):
        batch = Batch(torch.zeros(2, 3, 32, 24), torch.full((2, 32, 24), label), 255)
        found.append(Response(PAIR)(student, teacher, batch, Step(0, 1, torch.zeros(())))["response"])
    assert found[0] == found[1] > 0
    found[0].backward()
    assert student.logits.grad.any()
