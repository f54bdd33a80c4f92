"""DKD: the sum that it takes apart, labels, warm-up and extreme scores."""

from __future__ import annotations

import pytest
import torch
from bench.methods.dkd import DKD, decoupled_kl
from torch import Tensor

from bench.method import Batch, Outputs, OutputSpec, Pair, Step, TapSpec, distribution_kl

PAIR = Pair(5, 255, OutputSpec(TapSpec(5, 4)), OutputSpec(TapSpec(5, 4)), (24, 16))


def draw(seed: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(2, 5, 6, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def labels() -> Tensor:
    return torch.randint(0, 5, (2, 6, 4), generator=torch.Generator().manual_seed(2))


def terms(method: DKD, student: Tensor, teacher: Tensor, target: Tensor, iteration: int = 50) -> dict[str, Tensor]:
    batch = Batch(torch.zeros(len(target), 3, *target.shape[1:]), target, 255)
    return method(Outputs(student), Outputs(teacher), batch, Step(iteration, 100, torch.zeros(())))


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_the_terms_make_up_the_divergence_that_they_decouple(scale):
    student, teacher, tau = draw(0, scale), draw(1, scale), 3.0
    tckd, nckd = decoupled_kl(student, teacher, labels(), tau)
    rest = 1 - (teacher / tau).softmax(1).gather(1, labels()[:, None])[:, 0]
    assert torch.allclose(tckd + rest * nckd, distribution_kl(student, teacher, tau=tau, dim=1), atol=1e-9)


def test_all_ignored_gives_zero_with_a_graph():
    student = draw(0).requires_grad_()
    found = terms(DKD(PAIR), student, draw(1), torch.full((2, 24, 16), 255))
    sum(found.values()).backward()
    assert [term.item() for term in found.values()] == [0, 0]
    assert not student.grad.any()


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_ignored_pixels_neither_count_nor_learn(reduction):
    student, teacher, target = draw(0).requires_grad_(), draw(1), labels()
    target[:, :3] = 255
    found = terms(DKD(PAIR, reduction=reduction, tau=2.0), student, teacher, target)
    tckd, _ = decoupled_kl(student[:, :, 3:], teacher[:, :, 3:], target[:, 3:], 2.0)
    expected = 4 * (tckd.mean() if reduction == "mean" else tckd.sum())
    assert found["dkd_tckd"].item() == pytest.approx(expected.item())
    sum(found.values()).backward()
    assert not student.grad[:, :, :3].any()
    assert student.grad[:, :, 3:].abs().amin((0, 1)).all()


def test_labels_are_brought_to_the_size_of_the_logits():
    fine = labels().repeat_interleave(4, 1).repeat_interleave(4, 2)
    at_logits, at_images = (terms(DKD(PAIR), draw(0), draw(1), target) for target in (labels(), fine))
    assert at_logits == at_images


def test_the_warm_up_rises_over_its_share_of_the_training():
    def total(warmup: float, iteration: int) -> float:
        return sum(terms(DKD(PAIR, warmup=warmup), draw(0), draw(1), labels(), iteration).values()).item()

    full = total(0.0, 0)
    shares = [total(0.5, iteration) / full for iteration in (0, 10, 25, 50, 99)]
    assert shares == pytest.approx([0, 0.2, 0.5, 1, 1])


def test_a_student_without_any_doubt_stays_finite():
    student = (1e4 * draw(0)).float().requires_grad_()
    found = terms(DKD(PAIR), student, (1e4 * draw(1)).float(), labels())
    sum(found.values()).backward()
    assert all(term.isfinite() for term in found.values())
    assert student.grad.isfinite().all()
