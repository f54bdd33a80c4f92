"""The main job: plan, train teachers, train groups, report."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import replace

from bench.engines.local import Engine, find_device, require_precision
from bench.errors import BenchError, Interrupted
from bench.matrix import LoadedMatrix
from bench.models.base import build_model
from bench.plan import Plan, PlannedCell, build_plan
from bench.progress import LiveReporter, PlainReporter
from bench.settings import Settings
from bench.stop import StopRequest
from bench.store import SCHEMA, require_space, write_json

BYTES_A_PARAMETER = 4
FILES_A_CELL_BYTES = 2**20


def run_matrix(
    loaded: LoadedMatrix,
    settings: Settings,
    reporter: PlainReporter | LiveReporter,
    stop: StopRequest,
    command: str = "",
) -> Plan:
    """Train every cell of a matrix that is not done.

    Args:
        loaded: the matrix.
        settings: folders, device, behaviour.
        reporter: told what happens.
        stop: asked between steps.
        command: the command line, kept in the run folder.

    Returns:
        The plan as it stands afterwards, every cell with its final state.

    Raises:
        BenchError: the request cannot be carried out.
        Interrupted: a stop was requested; the same command goes on from there.
    """
    require_precision(loaded.matrix.recipe.precision, find_device(settings.device))
    plan = _with_weights(loaded, settings, reporter)
    _require_matches(plan, settings.retrain)
    for note in plan.notes:
        reporter.message(f"note: {note}")
    with plan.run.writing():
        reporter.message(f"dataset {loaded.matrix.dataset.name}: preparing and checking")
        _prepare_data(plan)
        require_space(plan.run.path, needed_bytes(plan))
        write_plan(plan, loaded, command)
        with reporter:
            reporter.begin(_iterations(plan))
            try:
                plan = _train_teachers(loaded, plan, settings, reporter, stop)
                Engine(plan, settings, reporter, stop).train(plan.groups, plan.run)
            except Interrupted:
                done = sum(plan.run.cell(planned.cell.id).state()[0] == "done" for planned in plan.cells)
                reporter.message(f"{done} of {len(plan.cells)} cells are done")
                raise
    return build_plan(loaded, replace(settings, retrain=(), accept_stale=True))


def _with_weights(loaded: LoadedMatrix, settings: Settings, reporter: PlainReporter | LiveReporter) -> Plan:
    """Return the plan once every published file that it needs is here.

    Raises:
        BenchError: some cannot be had; all are named.
    """
    plan = build_plan(loaded, settings)
    if not plan.missing or not any(planned.to_train for planned in (*plan.cells, *plan.teachers)):
        return plan
    problems: list[str] = []
    for file in plan.published:
        if file.missing():
            reporter.message(f"fetching {file.url}")
            try:
                file.fetch()
            except BenchError as error:
                problems += error.problems
    if problems:
        raise BenchError(*problems)
    return build_plan(loaded, settings)


def _prepare_data(plan: Plan) -> None:
    cell = plan.cells[0].cell
    plan.data.require(cell.dataset.splits)
    plan.data.check(cell.dataset.splits)


def _train_teachers(
    loaded: LoadedMatrix, plan: Plan, settings: Settings, reporter: PlainReporter | LiveReporter, stop: StopRequest
) -> Plan:
    if plan.teacher_groups:
        with plan.teachers_run.writing():
            engine = Engine(plan, settings, reporter, stop)
            engine.train(plan.teacher_groups, plan.teachers_run)
    plan = build_plan(loaded, settings)
    unusable = [planned for planned in plan.teachers if planned.state in ("failed", "diverged", "corrupt")]
    if unusable:
        raise BenchError(
            *(f"teacher {item.cell.student.name} {item.state}: {item.reason or 'see its folder'}" for item in unusable)
        )
    return plan


def _require_matches(plan: Plan, patterns: Sequence[str]) -> None:
    ids = [planned.cell.id for planned in (*plan.cells, *plan.teachers)]
    problems = [f"--retrain {text}: no cell has such an id" for text in patterns if not fnmatch.filter(ids, text)]
    if problems:
        raise BenchError(*problems)


def _iterations(plan: Plan) -> int:
    groups = (*plan.teacher_groups, *plan.groups)
    return sum(group.cells[0].cell.recipe.iterations for group in groups)


def needed_bytes(plan: Plan) -> int:
    """Return a cautious estimate of what the run will write: weights of all, two checkpoints of the largest group."""
    total, largest = 0, 0
    for group in (*plan.teacher_groups, *plan.groups):
        of_group = 0
        for planned in group.cells:
            spec = planned.cell.student
            model = build_model(spec.name, plan.data.info.num_classes, spec.options, device="meta")
            weights = sum(parameter.numel() for parameter in model.parameters()) * BYTES_A_PARAMETER
            total += weights + FILES_A_CELL_BYTES
            of_group += 2 * 3 * weights
        largest = max(largest, of_group)
    return total + largest


def _listed_state(planned: PlannedCell) -> str:
    if planned.state == "done" and planned.reason:
        return "stale"
    return "skipped" if planned.state == "skipped" else "planned"


def write_plan(plan: Plan, loaded: LoadedMatrix, command: str) -> None:
    """Write ``plan.json``, from which the report knows the cells that were asked for."""
    cells = [
        {
            "id": planned.cell.id,
            "cell": planned.cell.record(),
            "state": _listed_state(planned),
            "reason": planned.reason or None,
        }
        for planned in plan.cells
    ]
    record = {
        "schema": SCHEMA,
        "name": plan.name,
        "command": command,
        "no_baseline": loaded.no_baseline,
        "cells": cells,
    }
    write_json(plan.run.path / "plan.json", record)
