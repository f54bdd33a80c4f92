"""FitNet: the adapter, maps of zeros and the square root."""

from __future__ import annotations

import pytest
import torch
from bench.methods.fitnet import FitNet, hint_loss

from bench.method import OutputSpec, Pair, TapSpec, Unsupported


def pair(student: int, teacher: int) -> Pair:
    specs = [OutputSpec(TapSpec(5, 4), TapSpec(channels, 4)) for channels in (student, teacher)]
    return Pair(5, 255, *specs, (32, 32))


@pytest.mark.parametrize(("student", "teacher"), [(8, 8), (8, 12)])
def test_the_adapter_is_linear_and_always_there(student, teacher):
    (parameter,) = FitNet(pair(student, teacher)).parameters()
    assert parameter.shape == (teacher, student, 1, 1)


def test_without_the_adapter_channels_have_to_be_equal():
    assert not list(FitNet(pair(8, 8), adapter=False).parameters())
    with pytest.raises(Unsupported, match=r"8 \(student\) and 12 \(teacher\). Set adapter: true"):
        FitNet(pair(8, 12), adapter=False)


def test_normalised_maps_of_zeros_stay_zero_and_have_a_gradient():
    student, teacher = torch.zeros(2, 3, 4, 4, requires_grad=True), torch.ones(2, 3, 4, 4)
    loss = hint_loss(student, teacher, normalize=True, reduction="image")
    loss.backward()
    assert loss.item() == pytest.approx(1)
    assert student.grad.abs().max() < 1


def test_the_root_has_gradient_zero_where_the_maps_agree():
    student = torch.ones(2, 3, 4, 4, requires_grad=True)
    hint_loss(student, student.detach(), normalize=False, reduction="root").backward()
    assert not student.grad.any()
