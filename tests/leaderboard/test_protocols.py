"""To which protocol a cell belongs that recorded none: one rule for tables and gate."""

from __future__ import annotations

from pathlib import Path

from bench.leaderboard import leaderboard, load
from bench.leaderboard.arms import read_arms
from bench.leaderboard.protocols import recipe_protocols
from tests.run_builder import RunBuilder


def cell(protocol: str | None, recipe: str = "{}") -> dict[str, object]:
    fields = {"recipe": recipe} if protocol else None
    return {
        "dataset_key": "d", "student_key": "s", "recipe": recipe, "protocol": protocol, "protocol_fields": fields
    }  # fmt: skip


def test_a_cell_goes_where_the_cells_of_its_recipe_went() -> None:
    placed = recipe_protocols([cell(None), cell("p"), cell(None, "other")])
    assert placed == [("p", {"recipe": "{}"}), ("p", {"recipe": "{}"}), ("", {})]


def test_two_places_are_none() -> None:
    assert [protocol for protocol, _ in recipe_protocols([cell("p"), cell("q"), cell(None)])] == ["p", "q", ""]


def test_the_table_and_the_gate_place_a_planned_cell_alike(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path)
    builder.done("none", 0.5)
    builder.plan(more=[builder.cell("kd"), builder.cell("cwd", crop=32)])
    on_boards = {row.label: board.protocol for board in leaderboard(load(builder.run)) for row in board.rows}
    assert {arm.identity.label: arm.conditions.protocol for arm in read_arms(builder.run).arms} == on_boards
    assert on_boards["kd"] == on_boards["none"] != ""
    assert on_boards["cwd"] == ""
