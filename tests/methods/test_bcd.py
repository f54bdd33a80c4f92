"""BCD: path maxima, blocks of rows, the temperature and the decay."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from bench.methods import bcd
from bench.methods.bcd import (
    BCD,
    boundary_strength,
    context_loss,
    next_temperature,
    on_grid,
    path_maxima,
    paths,
    pooling_step,
    standardised,
)
from torch import Tensor

from bench.method import Batch, Outputs, OutputSpec, Pair, Step, TapSpec, Unsupported

SPEC = OutputSpec(TapSpec(3, 8), stages=(TapSpec(4, 4), TapSpec(6, 8)))
DEEPER = OutputSpec(TapSpec(3, 8), stages=(TapSpec(5, 2), TapSpec(5, 4), TapSpec(7, 8)))


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def outputs(spec: OutputSpec, size: tuple[int, int], seed: int = 0, batch: int = 2) -> Outputs:
    def one(tap: TapSpec, seed: int) -> Tensor:
        return draw(batch, tap.channels, *(math.ceil(side / tap.stride) for side in size), seed=seed)

    stages = tuple(one(tap, seed + index).requires_grad_() for index, tap in enumerate(spec.stages))
    return Outputs(one(spec.logits, seed), stages=stages)


def run(method: BCD, size: tuple[int, int] = (48, 64), iteration: int = 0) -> tuple[Outputs, dict[str, Tensor]]:
    student, teacher = outputs(method.pair.student, size), outputs(method.pair.teacher, size, seed=9)
    batch = Batch(torch.zeros(2, 3, *size), torch.full((2, *size), 255), 255)
    return student, method(student, teacher, batch, Step(iteration, 10, torch.zeros(())))


def pair_of(student: OutputSpec, teacher: OutputSpec = SPEC) -> Pair:
    return Pair(3, 255, student, teacher, (48, 64))


def test_paths_hold_what_is_nearer_than_one_to_the_line_to_34_offsets():
    found = paths(5)
    assert len(found) == 34
    assert [(0, 0), (0, 1), (0, 2), (0, 3)] in found
    assert [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 1), (2, 2)] in found
    assert [(0, -2), (0, -1), (0, 0), (1, -2), (1, -1), (1, 0)] in found


def test_a_wall_is_met_by_exactly_the_pairs_that_it_parts():
    wall = 6
    strength = torch.zeros(1, 6, 11)
    strength[..., wall] = 1
    maxima = path_maxima(strength, 3).view(12, 4, 7)
    offsets = [(0, 1), (0, 2), (1, -2), (1, -1), (1, 0), (1, 1), (1, 2), (2, -2), (2, -1), (2, 0), (2, 1), (2, 2)]
    for (_, dx), row in zip(offsets, maxima[:, 0], strict=True):
        parted = [float(min(x, x + dx) <= wall <= max(x, x + dx)) for x in range(2, 9)]
        assert row.tolist() == parted


@pytest.mark.parametrize(("size", "shape"), [((9, 13), (34, 25)), ((3, 4), (4, 4)), ((2, 3), (4, 1)), ((1, 9), (4, 0))])
def test_small_maps_lower_the_radius(size, shape):
    assert path_maxima(torch.zeros(2, *size), 5).shape == (2, *shape)


def test_boundaries_are_where_neighbours_differ():
    features = torch.zeros(1, 2, 2, 6)
    features[0, 0, :, :3] = 4
    features[0, 1, :, 3:] = 4
    strength = boundary_strength(standardised(features))
    torch.testing.assert_close(strength, torch.tensor([0.0, 0, 1, 1, 0, 0]).expand(1, 2, 6))


def test_blocks_of_rows_give_the_value_and_the_gradient_of_the_whole(monkeypatch):
    student, teacher = draw(2, 23, 6).double().requires_grad_(), draw(2, 23, 6, seed=1).double()
    found = []
    for elements in (2**25, 2 * 23 * 5):
        monkeypatch.setattr(bcd, "RELATION_ELEMENTS", elements)
        loss, spread = context_loss(student, teacher, torch.tensor(1.5))
        found.append((loss, spread, *torch.autograd.grad(loss, student)))
    torch.testing.assert_close(found[0], found[1])
    log_s, log_t = ((z @ z.mT / (6**0.5 * 1.5)).log_softmax(-1) for z in (student, teacher))
    expected = F.kl_div(log_s, log_t, reduction="sum", log_target=True) / (2 * 23 * math.log(23))
    torch.testing.assert_close(found[0][:2], (expected, log_t.exp().max() - log_t.exp().min()))


@pytest.mark.parametrize(("size", "tokens", "step"), [((10, 12), 120, 1), ((10, 12), 119, 2), ((65, 64), 99, 7)])
def test_pooling_takes_the_smallest_step_that_fits(size, tokens, step):
    assert pooling_step(size, tokens) == step


def test_the_temperature_rises_only_where_the_range_is_above_the_limit_and_up_to_the_cap():
    tau = torch.tensor([1.0, 1.0, 99.0])
    torch.testing.assert_close(next_temperature(tau, torch.tensor([0.6, 0.5, 1.0])), torch.tensor([1.05, 1.0, 100.0]))


def test_the_temperature_is_state_of_training_that_is_used_from_the_next_step_on():
    method = BCD(pair_of(SPEC), tau_limit=0.0)
    _, first = run(method)
    assert method.state_dict()["temperature"].item() == pytest.approx(1.05)
    _, second = run(method)
    assert first["bcd_context"].item() != second["bcd_context"].item()
    assert first["bcd_boundary"].item() == second["bcd_boundary"].item()
    before = method.temperature.item()
    run(method.eval())
    assert method.temperature.item() == before
    fresh = BCD(pair_of(SPEC), tau_limit=0.0)
    fresh.load_state_dict(method.state_dict())
    assert fresh.temperature.item() == before


def test_both_terms_decay_with_the_training_unless_switched_off():
    for switch, rest in ((True, 0.3), (False, 1.0)):
        method = BCD(pair_of(SPEC), decay=switch, tau_factor=1.0)
        start, late = run(method)[1], run(method, iteration=7)[1]
        assert {name: late[name].item() / start[name].item() for name in start} == pytest.approx(
            {"bcd_boundary": rest, "bcd_context": rest}, rel=1e-5
        )


def test_gradients_reach_stages_and_adapters_and_a_term_of_weight_zero_is_absent():
    method = BCD(pair_of(SPEC), boundary_weight=0.0)
    student, terms = run(method)
    assert set(terms) == {"bcd_context"}
    terms["bcd_context"].backward()
    assert all(leaf.grad.abs().sum() > 0 for leaf in (*student.stages, *(a.weight for a in method.adapters)))


def test_stages_are_pooled_where_both_sides_shrink_and_interpolated_otherwise():
    maps = draw(1, 2, 8, 6)
    torch.testing.assert_close(on_grid(maps, (4, 3)), F.avg_pool2d(maps, 2))
    expected = F.interpolate(maps, size=(4, 9), mode="bilinear", align_corners=False)
    torch.testing.assert_close(on_grid(maps, (4, 9)), expected)


def test_teacher_stages_without_a_partner_are_left_out_and_told():
    method = BCD(pair_of(SPEC, DEEPER))
    assert [(a.in_channels, a.out_channels) for a in method.adapters] == [(4, 5), (6, 7)]
    assert any("left out: stride 2 (5 channels)" in remark for remark in method.remarks)
    assert all(torch.isfinite(term) for term in run(method)[1].values())
    with pytest.raises(Unsupported, match="bcd"):
        BCD(pair_of(OutputSpec(TapSpec(3, 8))))


@pytest.mark.parametrize("size", [(8, 8), (8, 64), (16, 24), (31, 9)])
def test_grids_without_pairs_are_finite_and_attached(size):
    student, terms = run(BCD(pair_of(SPEC)), size)
    sum(terms.values()).backward()
    assert all(torch.isfinite(term) for term in terms.values())
    assert all(torch.isfinite(stage.grad).all() for stage in student.stages)
