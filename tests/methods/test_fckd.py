"""FCKD: what is kept of the teacher, and sizes."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from bench.methods.fckd import FCKD, attention, condensation_matrix, condensed_kl
from torch import Tensor

from bench.method import Batch, Outputs, OutputSpec, Pair, Step, TapSpec, Unsupported

PAIR = Pair(4, 255, OutputSpec(TapSpec(4, 8)), OutputSpec(TapSpec(4, 4)), (36, 28))


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_pixels_that_the_teacher_is_sure_of_are_kept():
    logits = torch.zeros(2, 3, 1, 4)
    logits[0, 1, 0, :2] = 9
    logits[1, 2, 0, 3] = 9
    assert condensation_matrix(logits, "hard").flatten(1).tolist() == [[1, 1, 0, 0], [0, 0, 0, 1]]
    soft = condensation_matrix(logits, "soft").flatten(1)
    assert soft[0, :2].min() > 0.95
    assert soft[0, 2:].abs().max() < 1e-6


def test_attention_has_mean_one_and_a_bounded_ratio():
    weights = attention(torch.tensor([[0.0, 500.0, 1000.0]], dtype=torch.float64), 0.5)
    assert weights.mean().item() == pytest.approx(1)
    assert (weights[0, 2] / weights[0, 0]).item() == pytest.approx(torch.tensor(2.0).exp().item())


def test_a_student_of_another_size_is_resized_to_the_teachers():
    student, teacher = draw(2, 4, 5, 4).requires_grad_(), draw(2, 4, 9, 7, seed=1)
    batch = Batch(torch.zeros(2, 3, 36, 28), torch.zeros(2, 36, 28, dtype=torch.long), 255)
    terms = FCKD(PAIR)(Outputs(student), Outputs(teacher), batch, Step(0, 1, torch.zeros(())))
    resized = F.interpolate(student, size=(9, 7), mode="bilinear", align_corners=False)
    spatial, channel = condensed_kl(resized, teacher)
    torch.testing.assert_close(terms, {"fckd_spatial": spatial, "fckd_channel": 3 * channel})
    sum(terms.values()).backward()
    assert student.grad is not None


def test_pixels_that_are_not_kept_have_no_gradient():
    student, teacher = draw(1, 4, 6, 6).requires_grad_(), draw(1, 4, 6, 6, seed=1) * 3
    sum(condensed_kl(student, teacher)).backward()
    assert torch.equal(student.grad.abs().sum(1, keepdim=True) > 0, condensation_matrix(teacher, "hard") > 0)


def test_a_single_logit_is_refused():
    single = OutputSpec(TapSpec(1, 8))
    with pytest.raises(Unsupported, match="single logit"):
        FCKD(dataclasses.replace(PAIR, student=single, teacher=single))
