"""BPKD: the edge masks of given labels, and what its two terms see."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from bench.methods import bpkd
from bench.methods.bpkd import BPKD, body_loss, edge_loss, edge_masks
from torch import Tensor

from bench.method import Batch, Outputs, OutputSpec, Pair, Step, TapSpec, Unsupported

SPEC = OutputSpec(TapSpec(3, 4))
PAIR = Pair(3, 255, SPEC, SPEC, (16, 16))


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def dilation_minus_erosion(target: Tensor, num_classes: int, size: tuple[int, int], kernel: int) -> Tensor:
    """The definition: padding of neither operation makes a border."""
    one_hot = torch.stack([(target == index).double() for index in range(num_classes)], dim=1)
    dilated = F.max_pool2d(one_hot, kernel, 1, kernel // 2)
    eroded = -F.max_pool2d(-one_hot, kernel, 1, kernel // 2)
    return F.adaptive_avg_pool2d(dilated - eroded, size)


def test_the_mask_of_two_halves_is_the_window_around_their_boundary():
    target = torch.zeros(1, 4, 8, dtype=torch.long)
    target[..., 4:] = 1
    masks = edge_masks(target, 3, (4, 8), kernel=3, ignore_index=255)
    row = torch.tensor([0.0, 0, 0, 1, 1, 0, 0, 0])
    assert torch.equal(masks[0, :2], row.expand(2, 4, 8))
    assert not masks[0, 2].any()
    assert torch.equal(edge_masks(target, 3, (1, 2), kernel=3, ignore_index=255)[0, 0], torch.tensor([[0.25, 0.25]]))


def test_transitions_to_ignored_pixels_are_edges_unless_switched_off():
    target = torch.zeros(1, 1, 9, dtype=torch.long)
    target[..., 3:6] = 255
    target[..., 7:] = 1
    with_them = edge_masks(target, 2, (1, 9), kernel=3, ignore_index=255)[0, :, 0]
    without = edge_masks(target, 2, (1, 9), kernel=3, ignore_index=255, ignore_edges=False)[0, :, 0]
    assert with_them.tolist() == [[0, 0, 1, 1, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0, 1, 1, 0]]
    assert without.tolist() == [[0, 0, 0, 0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 0, 1, 1, 0]]


@pytest.mark.parametrize("kernel", [1, 3, 5, 7, 11])
@pytest.mark.parametrize("ignore_index", [255, 0, -1])
def test_masks_are_dilation_minus_erosion_in_blocks_too(kernel, ignore_index, monkeypatch):
    generator = torch.Generator().manual_seed(kernel)
    target = torch.randint(0, 5, (2, 4, 5), generator=generator).repeat_interleave(4, 1).repeat_interleave(3, 2)
    target[torch.rand(target.shape, generator=generator) < 0.03] = ignore_index
    classes = torch.where(target == ignore_index, -1, target)
    expected = dilation_minus_erosion(classes, 5, (5, 4), kernel)
    facts = {"kernel": kernel, "ignore_index": ignore_index, "dtype": torch.float64}
    assert torch.equal(edge_masks(target, 5, (5, 4), **facts), expected)
    monkeypatch.setattr(bpkd, "BLOCK_ELEMENTS", 2 * target.numel())
    assert torch.equal(edge_masks(target, 5, (5, 4), **facts), expected)


def test_the_edge_term_is_the_sum_over_classes_of_their_own_means():
    student, teacher, masks = draw(2, 3, 4, 5), draw(2, 3, 4, 5, seed=1), draw(2, 3, 4, 5, seed=2).clamp(0, 1)
    masks[1, 2] = 0
    log_s, log_t = ((logits * masks / 2).log_softmax(1) for logits in (student, teacher))
    divergence = (log_t.exp() * (log_t - log_s)).sum(1, keepdim=True)
    count = (masks > 0).sum((2, 3))
    expected = 4 * 3 * ((divergence * masks).sum((2, 3)) / count.clamp(min=1)).sum(1).mean()
    torch.testing.assert_close(edge_loss(student, teacher, masks, tau=2, alpha=3), expected)


def test_only_edges_move_the_edge_term_and_only_bodies_the_body_term():
    masks = torch.zeros(1, 3, 4, 4, dtype=torch.float64)
    masks[..., :2] = 1
    for loss, silent in ((edge_loss, slice(2, 4)), (body_loss, slice(0, 2))):
        student = draw(1, 3, 4, 4).requires_grad_()
        loss(student, draw(1, 3, 4, 4, seed=1), masks).backward()
        moved = student.grad.abs().amax((0, 1, 2)) > 0
        assert not moved[silent].any()
        assert moved.sum() == 2


@pytest.mark.parametrize("value", [0, 255])
def test_an_image_without_edges_has_an_attached_edge_term_of_zero(value):
    student, teacher = draw(2, 3, 4, 4).requires_grad_(), draw(2, 3, 2, 3, seed=1)
    batch = Batch(torch.zeros(2, 3, 16, 16), torch.full((2, 16, 16), value), 255)
    terms = BPKD(PAIR)(Outputs(student), Outputs(teacher), batch, Step(0, 1, torch.zeros(())))
    assert terms["bpkd_edge"].item() == 0
    terms["bpkd_edge"].backward()
    assert student.grad is not None
    assert not student.grad.any()
    assert terms["bpkd_body"].item() > 0


def test_an_even_window_is_refused():
    with pytest.raises(Unsupported, match="odd"):
        BPKD(PAIR, edge_kernel=4)
