"""The main job: plan, train teachers, train groups, report."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.base.device import find_device, require_precision
from bench.base.errors import BenchError, Interrupted
from bench.base.files import require_own, require_space
from bench.base.progress import Lines
from bench.base.temporary import sweep
from bench.data.base import TargetSamples
from bench.matrix.matrix import LoadedMatrix
from bench.matrix.settings import Settings
from bench.plan.aside import changed_data, require_one_dataset
from bench.plan.groups import Plan, build_plan, refreshed
from bench.plan.record import needed_bytes, write_plan
from bench.train.engine import Engine
from bench.train.events import Begun, OpenReporter, Said
from bench.train.splits import prepare_splits
from bench.train.stop import StopRequest

FETCHING_EVERY_S = 10.0
"""Least seconds between two lines of a download."""


def run_matrix(
    loaded: LoadedMatrix,
    settings: Settings,
    reporter: OpenReporter,
    stop: StopRequest,
    command: str = "",
    draw: Callable[[Plan, Mapping[str, TargetSamples[Any]]], object] | None = None,
) -> Plan:
    """Train every cell of a matrix that is not done.

    Args:
        loaded: the matrix.
        settings: folders, device, behaviour.
        reporter: told what happens.
        stop: asked between steps.
        command: the command line, kept in the run folder.
        draw: called with the plan and its splits once all is trained, while the run folder is held.

    Returns:
        The plan as it stands afterwards, every cell with its final state.

    Raises:
        BenchError: the request cannot be carried out.
        Interrupted: a stop was requested; the same command goes on from there.
    """
    require_precision(loaded.matrix.recipe.precision, find_device(settings.device))
    plan = _with_weights(loaded, settings, reporter)
    _require_matches(plan, settings.retrain)
    require_one_dataset(plan)
    for note in (*plan.notes, *changed_data(plan)):
        reporter.tell(Said(f"note: {note}"))
    require_own(plan.run.path, plan.teachers_run.path)
    with plan.run.writing():
        sweep(plan.run.path, deep=True, folders=True)
        sweep(settings.locations.cache, deep=True)
        reporter.tell(Said(f"dataset {loaded.matrix.dataset.name}: preparing and checking"))
        splits = prepare_splits(plan, settings, reporter)
        require_space(plan.run.path, needed_bytes(plan), "--results")
        write_plan(plan, loaded, command, splits[plan.cells[0].cell.dataset.eval_split].names)
        with reporter:
            reporter.tell(Begun(_iterations(plan)))
            try:
                engine = Engine(plan, settings, reporter, stop, splits)
                engine.require_teachers(trained=False)
                engine = replace(engine, plan=_train_teachers(engine))
                engine.require_teachers(trained=True)
                plan = engine.plan
                engine.train(plan.groups, plan.run)
                if draw is not None:
                    draw(plan, splits)
            except Interrupted:
                done = sum(plan.run.cell(planned.cell.id).state()[0] == "done" for planned in plan.cells)
                reporter.tell(Said(f"{done} of {len(plan.cells)} cells are done"))
                raise
    return refreshed(plan, replace(settings, retrain=(), accept_stale=True))


def _with_weights(loaded: LoadedMatrix, settings: Settings, reporter: OpenReporter) -> Plan:
    """Return the plan once every published file that it needs is here.

    Raises:
        BenchError: some cannot be had; all are named.
    """
    plan = build_plan(loaded, settings)
    if not plan.missing or not any(planned.to_train for planned in (*plan.cells, *plan.teachers)):
        return plan
    problems: list[str] = []
    lines = Lines(lambda text: reporter.tell(Said(text)), FETCHING_EVERY_S)
    for file in plan.published:
        if file.missing():
            if file.can_be_fetched:
                reporter.tell(Said(f"fetching {file.url}"))
            try:
                file.fetch(lines)
            except BenchError as error:
                problems += error.problems
    if problems:
        raise BenchError(*problems)
    return build_plan(loaded, settings)


def _train_teachers(engine: Engine) -> Plan:
    """Train the teachers that have no weights; who listens to one that fails is told so in its turn."""
    if engine.plan.teacher_groups:
        with engine.plan.teachers_run.writing(_awaiting(engine)):
            sweep(engine.plan.teachers_run.path, deep=True, folders=True)
            plan = refreshed(engine.plan)  # another process may have trained some while this one waited
            engine.train(plan.teacher_groups, plan.teachers_run)
    return refreshed(engine.plan)


def _awaiting(engine: Engine) -> Callable[[], None]:
    """Return what is done while another process trains teachers: telling so once, and stopping when asked."""
    told: list[str] = []

    def wait() -> None:
        if engine.stop.requested:
            raise Interrupted(engine.stop.signal_number)
        if not told:
            told.append(f"waiting for another process that trains teachers in {engine.plan.teachers_run.path}")
            engine.reporter.tell(Said(told[0]))

    return wait


def _require_matches(plan: Plan, patterns: Sequence[str]) -> None:
    ids = [planned.cell.id for planned in (*plan.cells, *plan.teachers)]
    problems = [f"--retrain {text}: no cell has such an id" for text in patterns if not fnmatch.filter(ids, text)]
    if problems:
        raise BenchError(*problems)


def _iterations(plan: Plan) -> int:
    groups = (*plan.teacher_groups, *plan.groups)
    return sum(group.cells[0].cell.recipe.iterations for group in groups)
