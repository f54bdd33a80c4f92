from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.leaderboard.statistics import holm

P_VALUES = st.lists(st.floats(0, 1), max_size=12)


def test_holm_worked_by_hand() -> None:
    # ascending: .005 * 4 = .02, .01 * 3 = .03, .03 * 2 = .06, .04 * 1 = .04 -> raised to .06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_stops_at_one_and_leaves_out_what_was_not_tested() -> None:
    assert holm([None, 0.4, 0.5, None]) == [None, pytest.approx(0.8), pytest.approx(0.8), None]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []
    assert holm([None]) == [None]


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_what_is_no_p_value_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="p-values"):
        holm([0.5, p])


@given(P_VALUES)
def test_order_does_not_matter(p_values: list[float]) -> None:
    order = np.random.default_rng(len(p_values)).permutation(len(p_values))
    there = holm([p_values[i] for i in order])
    assert there == [holm(p_values)[i] for i in order]


@given(P_VALUES, st.floats(0.001, 0.5))
def test_it_rejects_what_the_sequential_procedure_rejects(p_values: list[float], alpha: float) -> None:
    rejected = set()
    left = sorted(range(len(p_values)), key=lambda i: p_values[i])
    while left and p_values[left[0]] * len(left) <= alpha:
        rejected.add(left.pop(0))
    assert {i for i, p in enumerate(holm(p_values)) if p is not None and p <= alpha} == rejected
    assert all(p is not None and p >= raw for p, raw in zip(holm(p_values), p_values, strict=True))
