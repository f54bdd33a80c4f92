"""Cells and groups: what a matrix will train, what is done already, and what must come first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.base.errors import BenchError
from bench.matrix.cell import DatasetSpec, TeacherSpec
from bench.matrix.matrix import LoadedMatrix
from bench.matrix.schema import Expected
from bench.matrix.settings import Settings
from bench.plan.cells import expand, teacher_cell, teacher_spec
from bench.plan.dataset import build_dataset
from bench.plan.models import Models
from bench.plan.plan import TEACHERS, Group, Plan
from bench.plan.planned import PlannedCell, Wanted
from bench.plan.standing import Standing
from bench.plan.support import Support
from bench.store.folders import RunFolder
from bench.tasks.base import find_task

__all__ = ["Group", "Plan", "PlannedCell", "build_plan", "refreshed"]


def build_plan(loaded: LoadedMatrix, settings: Settings) -> Plan:
    """Expand a matrix and look up what is done. A run builds its plan once and then refreshes the states.

    Raises:
        BenchError: no cell is left, every cell is skipped, or a model's outputs are not the dataset's.
    """
    data, dataset = build_dataset(loaded.matrix.dataset, settings.locations, loaded.path.parent)
    task = find_task(data.task)
    models = Models(task, data.info, loaded.path.parent, settings.locations.cache)
    support = Support(loaded, data, dataset.eval_split, task, models)
    wanted = [support.judge(cell) for cell in expand(loaded, dataset, models)]
    if all(one.refused is not None for one in wanted):
        raise BenchError(*dict.fromkeys(f"{one.cell.method.label} skipped: {one.refused}" for one in wanted))
    teachers = _wanted_teachers(loaded, dataset, models, support, wanted)
    wanted, notes = support.trainable(wanted, teachers)
    trainable = [one.cell for one in (*wanted, *teachers) if one.refused is None]
    run, teachers_run = RunFolder(settings.results / loaded.matrix.name), RunFolder(settings.results / TEACHERS)
    plan = Plan(
        name=loaded.matrix.name,
        run=run,
        teachers_run=teachers_run,
        data=data,
        task=task,
        cells=(),
        teachers=(),
        weights=models.weights,
        groups=(),
        published=tuple(models.published.values()),
        expected=_expected(loaded, dataset, models),
        notes=(*models.notes, *notes),
        n_parameters={cell.key: models.probe(cell.student, support.size).n_parameters for cell in trainable},
        wanted=tuple(wanted),
        wanted_teachers=tuple(teachers),
        standing=Standing(run, teachers_run, data, dataset, settings),
    )
    return refreshed(plan)


def refreshed(plan: Plan, settings: Settings | None = None) -> Plan:
    """Return a plan with the states that its cells have now; nothing else of it is made again.

    Args:
        plan: the plan.
        settings: what counts as stale from now on; as before where not given.
    """
    standing = plan.standing.now(settings)
    cells = [standing.of(one) for one in plan.wanted]
    teachers = _teachers(plan.wanted_teachers, cells, standing)
    return replace(plan, cells=tuple(cells), teachers=tuple(teachers), groups=tuple(_grouped(cells)), standing=standing)


def _wanted_teachers(
    loaded: LoadedMatrix, dataset: DatasetSpec, models: Models, support: Support, wanted: Sequence[Wanted]
) -> list[Wanted]:
    """Return the cells of teachers without weights that some cell listens to, each once."""
    heard = {one.cell.teacher.key for one in wanted if one.cell.teacher and one.refused is None}
    entries = [entry.teacher for entry in loaded.matrix.pairs if entry.teacher.weights is None]
    cells = {(cell := teacher_cell(loaded, dataset, models, entry)).key: cell for entry in entries}
    return [support.judge(cell) for key, cell in cells.items() if key in heard]


def _expected(loaded: LoadedMatrix, dataset: DatasetSpec, models: Models) -> dict[str, Expected]:
    entries = [entry.teacher for entry in loaded.matrix.pairs]
    return {teacher_spec(loaded, dataset, models, one).key: one.expected for one in entries if one.expected is not None}


def _teachers(wanted: Sequence[Wanted], cells: Sequence[PlannedCell], standing: Standing) -> list[PlannedCell]:
    """Return the teachers as they stand; one that nobody waits for is left out unless it is there or asked for."""
    awaited = {planned.cell.teacher.key for planned in cells if planned.cell.teacher and planned.to_train}
    found = [standing.of(one, teacher=True) for one in wanted]
    return [
        planned
        for planned in found
        if planned.cell.key in awaited or not planned.to_train or standing.asked_again(planned.cell)
    ]


def _grouped(cells: Sequence[PlannedCell]) -> list[Group]:
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
