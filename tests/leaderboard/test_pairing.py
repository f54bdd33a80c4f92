"""Which cell of a seed counts, for tables and gate alike."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from bench.leaderboard import leaderboard, load
from bench.leaderboard.arms import AMBIGUOUS, read_arms
from bench.leaderboard.pairing import by_seed, oriented, pick, seed_gains
from bench.tasks.metric import Metric
from tests.depth_run import RMSE
from tests.run_builder import RunBuilder

SHARE = Metric("share", "Share")


def cell(name: str, state: str = "done", score: float | None = 0.5, **more: Any) -> dict[str, Any]:
    values = {"metrics": {"share": score}, "per_class": None, "evidence_digest": None} if state == "done" else {}
    empty = {"metrics": None, "per_class": None, "evidence_digest": None}
    return {"cell_id": name, "state": state, "seed": 0.0, "planned": False, **empty, **values, **more}


def ids(cells: Any) -> list[str]:
    return [found["cell_id"] for found in cells]


def test_the_only_cell_counts_whatever_its_state() -> None:
    for state in ("done", "failed", "planned"):
        picked = pick([cell("a", state)])
        assert picked.cell is not None
        assert (picked.cell["cell_id"], picked.left_out, picked.reason) == ("a", (), "")


def test_the_planned_one_counts_before_others() -> None:
    picked = pick([cell("a", score=0.6), cell("b", planned=True)])
    assert picked.cell is not None
    assert (picked.cell["cell_id"], ids(picked.left_out), picked.reason) == ("b", ["a"], "the plan lists b")


def test_a_planned_cell_without_result_is_not_replaced_by_one_that_the_plan_does_not_list() -> None:
    picked = pick([cell("a", score=0.6), cell("b", "diverged", planned=True)])
    assert picked.cell is not None
    assert (picked.cell["cell_id"], ids(picked.left_out), picked.reason) == ("b", ["a"], "the plan lists b")


def test_of_two_planned_cells_the_finished_one_counts() -> None:
    picked = pick([cell("a", "failed", planned=True), cell("b", planned=True)])
    assert picked.cell is not None
    assert (picked.cell["cell_id"], picked.left_out) == ("b", ())


def test_copies_are_one_and_are_told() -> None:
    picked = pick([cell("a"), cell("b")])
    assert picked.cell is not None
    assert (picked.cell["cell_id"], ids(picked.left_out), picked.reason) == ("a", ["b"], "the same result as a")


@pytest.mark.parametrize("other", [{"score": 0.6}, {"evidence_digest": "ab"}, {"per_class": {"a": 0.5}}])
def test_results_that_differ_in_any_number_or_record_are_none(other: dict[str, Any]) -> None:
    picked = pick([cell("a"), cell("b", **other)])
    assert (picked.cell, ids(picked.left_out)) == (None, ["a", "b"])
    assert "none is picked" in picked.reason


def test_of_cells_without_result_one_that_was_tried_counts() -> None:
    picked = pick([cell("a", "planned"), cell("b", "diverged")])
    assert picked.cell is not None
    assert picked.cell["cell_id"] == "b"


def test_seeds_ascend() -> None:
    assert list(by_seed([cell("a", seed=3.0), cell("b", seed=1.0), cell("c", seed=3.0)])) == [1, 3]


def test_gains_are_over_the_seeds_that_both_have_and_positive_for_better() -> None:
    assert seed_gains(SHARE, {0: 0.6, 1: 0.5}, {0: 0.5, 2: 0.1}) == {0: pytest.approx(0.1)}
    assert seed_gains(RMSE, {0: 0.6}, {0: 0.5}) == {0: pytest.approx(-0.1)}


def test_scores_are_turned_so_that_higher_is_better() -> None:
    assert oriented(SHARE, {0: 0.5, 1: None}) == {0: 0.5, 1: None}
    assert oriented(RMSE, {0: 0.5, 1: None}) == {0: -0.5, 1: None}


@pytest.mark.parametrize("case", ["copy", "unlisted", "contradiction", "planned failure"])
def test_the_table_and_the_gate_take_the_same_cells(tmp_path: Path, case: str) -> None:
    builder = RunBuilder(tmp_path / "run")
    builder.done("none", 0.5)
    first = builder.done("kd", 0.6)
    if case == "copy":
        shutil.copytree(first.path, first.path.with_name("copied-from-another-store"))
    elif case == "planned failure":
        builder.failed("kd", salt=1)
        builder.plan(leave_out=[first.cell_id])
    else:
        builder.done("kd", 0.8, salt=1)
        builder.plan(leave_out=[first.cell_id] if case == "unlisted" else [])
    (board,) = leaderboard(load(builder.run))
    row = next(row for row in board.rows if row.label == "kd")
    arm = next(arm for arm in read_arms(builder.run).arms if arm.identity.label == "kd")
    expected = {"copy": 0.6, "unlisted": 0.8, "contradiction": None, "planned failure": None}[case]
    assert row.score_mean == expected
    assert arm.known() == ({} if expected is None else {0: expected})
    gains = arm.known("gain")
    assert row.gain_mean == gains.get(0)
    if case == "contradiction":
        assert arm.trials[0].state == AMBIGUOUS
        assert "none is picked" in str(arm.trials[0].reason)
        assert "none is picked" in row.notes[0]
