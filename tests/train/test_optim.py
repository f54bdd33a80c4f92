from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bench.matrix.recipe import Optimizer, Recipe, Schedule
from bench.train.optim import build_optimizer, build_schedule, rate_factor

LENGTHS = st.integers(1, 400)
SHARES = st.floats(0, 1)
NAMES = st.sampled_from(["poly", "one_cycle", "constant"])


def factors(iterations: int, **schedule: Any) -> list[float]:
    return [rate_factor(Schedule(**schedule), iteration, iterations) for iteration in range(iterations)]


def test_poly_without_warmup() -> None:
    assert factors(4, name="poly", power=2.0) == [1.0, 0.5625, 0.25, 0.0625]


def test_poly_under_a_linear_warmup() -> None:
    found = factors(10, name="poly", power=1.0, warmup=0.4)
    assert found == pytest.approx([0.25, 0.5 * 0.9, 0.75 * 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])


def test_constant_after_its_warmup() -> None:
    assert factors(8, name="constant", warmup=0.5) == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]


def test_one_cycle_of_eleven_iterations() -> None:
    low, last = 1 / 25, 1 / 25e4
    found = factors(11, name="one_cycle", warmup=0.0)
    expected = [last + (1 - last) * (1 + math.cos(math.pi * index / 10)) / 2 for index in range(11)]
    assert found == pytest.approx(expected)
    rising = factors(10, name="one_cycle", warmup=0.4)[:5]
    assert rising[0] == pytest.approx(low)
    assert rising[2] == pytest.approx((low + 1) / 2)
    assert rising[4] == 1.0


@given(LENGTHS, SHARES)
def test_one_cycle_rises_once_then_falls_to_its_end(iterations: int, warmup: float) -> None:
    found = factors(iterations, name="one_cycle", warmup=warmup)
    peak = found.index(max(found))
    assert found[: peak + 1] == sorted(found[: peak + 1])
    assert found[peak:] == sorted(found[peak:], reverse=True)
    if warmup * iterations > 0 and iterations > 1:
        assert found[0] == pytest.approx(1 / 25)
    if warmup == 0:
        assert found[0] == 1
    if iterations - 1 - warmup * iterations >= 1:
        assert found[-1] == pytest.approx(1 / 25e4)


@given(NAMES, LENGTHS, SHARES, st.floats(0.1, 5))
def test_rates_are_above_zero_and_never_above_the_peak(name: Any, iterations: int, warmup: float, power: float) -> None:
    found = factors(iterations, name=name, warmup=warmup, power=power)
    assert all(0 < factor <= 1 for factor in found)


@pytest.mark.parametrize("name", ["poly", "one_cycle", "constant"])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("iterations", [1, 2])
def test_the_shortest_runs_train(name: Any, warmup: float, iterations: int) -> None:
    found = factors(iterations, name=name, warmup=warmup)
    assert max(found) >= 1 / 25
    # the schedule is stepped once more after the last iteration
    assert 0 <= rate_factor(Schedule(name=name, warmup=warmup), iterations, iterations) <= 1


@pytest.mark.parametrize("name", ["poly", "one_cycle", "constant"])
def test_the_optimizer_gets_the_rates_of_the_schedule(name: Any) -> None:
    recipe = Recipe(iterations=7, optimizer=Optimizer(lr=0.5), schedule=Schedule(name=name, warmup=0.3))
    optimizer = build_optimizer(nn.Linear(2, 2).parameters(), recipe)
    schedule = build_schedule(optimizer, recipe)
    rates = []
    for _ in range(7):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([0.5 * factor for factor in factors(7, name=name, warmup=0.3)])


def test_optimizers_take_the_recipes_settings_and_leave_frozen_parameters_out() -> None:
    module = nn.Linear(2, 2)
    module.bias.requires_grad_(False)
    given = Optimizer(name="sgd", lr=0.1, momentum=0.7, weight_decay=0.01)
    sgd = build_optimizer(module.parameters(), Recipe(iterations=1, optimizer=given))
    assert isinstance(sgd, torch.optim.SGD)
    (group,) = sgd.param_groups
    assert group["params"] == [module.weight]
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.1, 0.7, 0.01)
    adamw = build_optimizer(module.parameters(), Recipe(iterations=1, optimizer=Optimizer(weight_decay=0.02)))
    assert isinstance(adamw, torch.optim.AdamW)
    assert adamw.param_groups[0]["weight_decay"] == 0.02
