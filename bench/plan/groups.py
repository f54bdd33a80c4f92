"""Cells and groups: what a matrix will train, what is done already, and what must come first."""

from __future__ import annotations

from bench.base.errors import BenchError
from bench.matrix.cell import TeacherSpec
from bench.matrix.matrix import LoadedMatrix
from bench.matrix.settings import Settings
from bench.plan.plan import Group, Plan, PlannedCell
from bench.plan.planner import Planner

__all__ = ["Group", "Plan", "PlannedCell", "build_plan"]


def build_plan(loaded: LoadedMatrix, settings: Settings) -> Plan:
    """Expand a matrix and look up what is done.

    Raises:
        BenchError: no cell is left, every cell is skipped, or a model's class count differs from the dataset's.
    """
    planner = Planner(loaded, settings)
    cells = [planner.planned(cell, planner.run) for cell in planner.cells()]
    if all(planned.state == "skipped" for planned in cells):
        raise BenchError(*dict.fromkeys(f"{planned.cell.method.label} skipped: {planned.reason}" for planned in cells))
    return Plan(
        loaded.matrix.name,
        planner.run,
        planner.teachers_run,
        planner.data,
        tuple(cells),
        tuple(_teachers(planner, cells)),
        planner.weights,
        tuple(_grouped(cells)),
        tuple(planner.published.values()),
        planner.expected,
        tuple(planner.notes),
    )


def _teachers(planner: Planner, cells: list[PlannedCell]) -> list[PlannedCell]:
    """Teachers without weights files; one that nobody waits for is left out unless it is there or asked for."""
    heard = {planned.cell.teacher.key for planned in cells if planned.cell.teacher and planned.state != "skipped"}
    awaited = {planned.cell.teacher.key for planned in cells if planned.cell.teacher and planned.to_train}
    found = {}
    for entry in planner.matrix.pairs:
        cell = planner.teacher_cell(entry.teacher)
        if entry.teacher.weights is None and cell.key in heard:
            teacher = planner.planned(cell, planner.teachers_run)
            if cell.key in awaited or not teacher.to_train or planner.asked_again(cell):
                found[cell.key] = teacher
    return list(found.values())


def _grouped(cells: list[PlannedCell]) -> list[Group]:
    """Cells of one seed and one recipe share batches; those without a teacher join the first group of their seed."""
    members: dict[tuple[str, int], list[PlannedCell]] = {}
    spec: dict[tuple[str, int], TeacherSpec | None] = {}
    open_cells = [planned for planned in cells if planned.to_train]
    for planned in sorted(open_cells, key=lambda planned: planned.cell.teacher is None):
        seed, teacher = planned.cell.seed, planned.cell.teacher
        key = (teacher.key, seed) if teacher else next((key for key in members if key[1] == seed), ("", seed))
        members.setdefault(key, []).append(planned)
        spec.setdefault(key, teacher)
    order = {planned.cell.key: position for position, planned in enumerate(cells)}
    groups = []
    for key, group in members.items():
        group.sort(key=lambda planned: order[planned.cell.key])
        groups.append(Group(tuple(group), spec[key]))
    return sorted(groups, key=lambda group: order[group.cells[0].cell.key])
