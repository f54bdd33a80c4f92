"""The main job: plan, train teachers, train groups, report."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import replace

from bench.data.base import Samples
from bench.data.cache import GIB, DecodedSamples, keep_decoded
from bench.data.loader import cached_in_memory
from bench.engines.local import Engine, find_device, require_precision
from bench.errors import BenchError, Interrupted
from bench.gallery import make_gallery
from bench.matrix import LoadedMatrix
from bench.models.build import build_spec
from bench.plan import Plan, PlannedCell, build_plan
from bench.relay import OpenReporter
from bench.settings import Settings
from bench.stop import StopRequest
from bench.store import SCHEMA, require_space, write_json

BYTES_A_PARAMETER = 4
FILES_A_CELL_BYTES = 2**20


def run_matrix(
    loaded: LoadedMatrix,
    settings: Settings,
    reporter: OpenReporter,
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
        splits = prepare_splits(plan, settings, reporter)
        require_space(plan.run.path, needed_bytes(plan))
        write_plan(plan, loaded, command, splits[plan.cells[0].cell.dataset.eval_split].names)
        with reporter:
            reporter.begin(_iterations(plan))
            try:
                engine = Engine(plan, settings, reporter, stop, splits)
                plan = _train_teachers(loaded, engine)
                replace(engine, plan=plan).train(plan.groups, plan.run)
                make_gallery(plan, splits, settings, reporter, stop=stop)
            except Interrupted:
                done = sum(plan.run.cell(planned.cell.id).state()[0] == "done" for planned in plan.cells)
                reporter.message(f"{done} of {len(plan.cells)} cells are done")
                raise
    return build_plan(loaded, replace(settings, retrain=(), accept_stale=True))


def _with_weights(loaded: LoadedMatrix, settings: Settings, reporter: OpenReporter) -> Plan:
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


def prepare_splits(plan: Plan, settings: Settings, reporter: OpenReporter) -> dict[str, Samples]:
    """Find, keep decoded and verify the splits that a plan uses.

    Returns:
        The samples by split name.

    Raises:
        BenchError: files are missing or faulty; all faults are told.
    """
    data, names = plan.data, plan.cells[0].cell.dataset.splits
    data.require(names)
    splits = {}
    for name in names:
        samples = data.split(name)
        if settings.cache_gib > 0:
            cache, limit = settings.locations.cache, int(settings.cache_gib * GIB)
            samples, message = keep_decoded(samples, data.fingerprint((name,)), cache, limit)
            if message:
                reporter.message(f"{name} split: {message}")
        splits[name] = samples
    data.check(splits)
    return {
        name: samples if isinstance(samples, DecodedSamples) else cached_in_memory(samples)
        for name, samples in splits.items()
    }


def _train_teachers(loaded: LoadedMatrix, engine: Engine) -> Plan:
    plan = engine.plan
    if plan.teacher_groups:
        with plan.teachers_run.writing():
            engine.train(plan.teacher_groups, plan.teachers_run)
    plan = build_plan(loaded, engine.settings)
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
            model = build_spec(planned.cell.student, plan.data.info.num_classes, device="meta")
            weights = sum(parameter.numel() for parameter in model.parameters()) * BYTES_A_PARAMETER
            total += weights + FILES_A_CELL_BYTES
            of_group += 2 * 3 * weights
        largest = max(largest, of_group)
    return total + largest


def _listed_state(planned: PlannedCell) -> str:
    if planned.state == "done" and planned.reason:
        return "stale"
    return "skipped" if planned.state == "skipped" else "planned"


def write_plan(plan: Plan, loaded: LoadedMatrix, command: str, images: Sequence[str]) -> None:
    """Write ``plan.json``, from which the report knows the cells that were asked for and the names of the images."""
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
        "images": list(images),
        "cells": cells,
    }
    write_json(plan.run.path / "plan.json", record)
