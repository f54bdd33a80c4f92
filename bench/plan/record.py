"""``plan.json``: what was asked for, as the report reads it."""

from __future__ import annotations

from collections.abc import Sequence

from bench.base.files import write_json
from bench.matrix.matrix import LoadedMatrix
from bench.plan.plan import Plan
from bench.plan.planned import PlannedCell
from bench.store.folders import STORE_SCHEMA

BYTES_A_PARAMETER = 4
FILES_A_CELL_BYTES = 2**20


def needed_bytes(plan: Plan) -> int:
    """Return a cautious estimate of what the run will write: weights of all, two checkpoints of the largest group."""
    total, largest = 0, 0
    for group in (*plan.teacher_groups, *plan.groups):
        of_group = 0
        for planned in group.cells:
            weights = plan.n_parameters[planned.cell.key] * BYTES_A_PARAMETER
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
        "schema": STORE_SCHEMA,
        "name": plan.name,
        "command": command,
        "no_baseline": loaded.no_baseline,
        "images": list(images),
        "cells": cells,
    }
    write_json(plan.run.path / "plan.json", record)
