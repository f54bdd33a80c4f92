"""MGD: the mask, the alignment and the weight."""

from __future__ import annotations

import pytest
import torch
from bench.methods.mgd import MGD

from bench.method import Batch, Outputs, OutputSpec, Pair, Step, TapSpec, Unsupported

BATCH = Batch(torch.zeros(2, 3, 8, 8), torch.zeros(2, 8, 8, dtype=torch.long), 255)


def pair(student: TapSpec, teacher: TapSpec) -> Pair:
    return Pair(5, 255, *(OutputSpec(TapSpec(5, 4), one, (one,)) for one in (student, teacher)), (8, 8))


def loss(method: MGD, student: torch.Tensor, teacher: torch.Tensor) -> float:
    outputs = [Outputs(one, one, (one,)) for one in (student, teacher)]
    return method(*outputs, BATCH, Step(0, 1, torch.zeros(())))["mgd"].item()


def masked(method: MGD, student: torch.Tensor) -> torch.Tensor:
    """Return what the generation block is shown."""
    seen = []
    method.generation.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    loss(method, student, student)
    return seen[0]


@pytest.mark.parametrize("ratio", [0.75, 0.3])
def test_the_ratio_is_the_share_of_positions_dropped_in_all_channels(ratio):
    torch.manual_seed(0)
    spec = TapSpec(3, 1)
    kept = masked(MGD(pair(spec, spec), mask_ratio=ratio), torch.ones(4, 3, 64, 64)) != 0
    assert (kept == kept[:, :1]).all()
    assert kept[:, 0].float().mean((1, 2)).tolist() == pytest.approx([1 - ratio] * 4, abs=0.03)
    assert not torch.equal(kept[0], kept[1])


def test_channels_are_dropped_whole_where_wanted():
    torch.manual_seed(0)
    spec = TapSpec(64, 1)
    kept = masked(MGD(pair(spec, spec), mask_ratio=0.5, mask_channels=True), torch.ones(8, 64, 4, 4)) != 0
    assert (kept == kept[..., :1, :1]).all()
    assert kept.float().mean().item() == pytest.approx(0.5, abs=0.1)


def test_a_mask_is_drawn_at_every_step_from_torchs_own_stream():
    spec = TapSpec(3, 1)
    method = MGD(pair(spec, spec))
    torch.manual_seed(0)
    first, second = (method.draw(torch.ones(1, 3, 4, 4)) for _ in range(2))
    torch.manual_seed(0)
    assert not torch.equal(first, second)
    assert torch.equal(first, method.draw(torch.ones(1, 3, 4, 4)))


def test_with_everything_dropped_the_student_is_not_seen():
    torch.manual_seed(0)
    spec = TapSpec(3, 1)
    method, teacher = MGD(pair(spec, spec), mask_ratio=1.0), torch.randn(2, 3, 8, 8)
    assert loss(method, torch.randn(2, 3, 8, 8), teacher) == loss(method, torch.randn(2, 3, 8, 8), teacher)


def test_only_unequal_channels_are_aligned():
    equal, unequal = MGD(pair(TapSpec(6, 2), TapSpec(6, 2))), MGD(pair(TapSpec(4, 2), TapSpec(6, 2)))
    assert not list(equal.align.parameters())
    assert [tuple(one.shape) for one in unequal.align.parameters()] == [(6, 4, 1, 1), (6,)]


@pytest.mark.parametrize("tap", ["stages", "embedding"])
def test_maps_of_different_size_are_refused(tap):
    with pytest.raises(Unsupported, match=r"8 \(student\) and 4 \(teacher\)"):
        MGD(pair(TapSpec(6, 8), TapSpec(6, 4)), tap=tap)


def test_the_default_weight_is_the_official_one_on_its_own_maps():
    torch.manual_seed(0)
    spec = TapSpec(2, 8)
    method = MGD(pair(spec, spec), mask_ratio=0.0)
    student, teacher = torch.randn(1, 2, 64, 64), torch.randn(1, 2, 64, 64)
    official = 2e-5 * (method.generation(student) - teacher).square().sum()
    assert loss(method, student, teacher) == pytest.approx(official.item(), rel=1e-5)
