"""Results that a run would set aside because they are of other data."""

from __future__ import annotations

from bench.base.errors import BenchError
from bench.plan.plan import Plan
from bench.plan.planned import PlannedCell
from bench.plan.standing import DATASET_CHANGED
from bench.store.folders import RunFolder


def require_one_dataset(plan: Plan) -> None:
    """Refuse to push the results of another dataset aside, unless the user asked to train these cells again.

    Raises:
        BenchError: with the ways out.
    """
    problems = []
    titled = "title" in plan.cells[0].cell.dataset.options
    choose = "Give the dataset a title of its own (title:), or choose" if titled else "Choose"
    if found := _of_another(plan.cells):
        problems.append(
            f"{_held(plan.run, found)}: another matrix of this name trained them. Give this matrix a name of its own "
            f"(name:), or choose another --results folder. {_RETRAIN}"
        )
    if found := _of_another(plan.teachers):
        problems.append(
            f"{_held(plan.teachers_run, found)}: another matrix trained them. {choose} another --results folder. "
            f"{_RETRAIN}"
        )
    if problems:
        raise BenchError(*problems)


def changed_data(plan: Plan) -> list[str]:
    """Return a sentence for each folder with results that a run is going to set aside as their data changed."""
    held = (
        (plan.run, plan.cells, "give this matrix another name (name:) or --results folder"),
        (plan.teachers_run, plan.teachers, "choose another --results folder"),
    )
    return [
        f"{folder.path} holds {_counted(found)} of other content of the dataset. A run sets them aside under "
        f"superseded/ and trains anew; to keep them in place, {way_out}."
        for folder, cells, way_out in held
        if (found := [one for one in cells if _changed(one)])
    ]


_RETRAIN = "Or give --retrain '*': it sets them aside under superseded/ and trains on this dataset."


def _changed(planned: PlannedCell) -> bool:
    return planned.state == "stale" and DATASET_CHANGED in planned.reason and not planned.other_dataset


def _of_another(cells: tuple[PlannedCell, ...]) -> list[PlannedCell]:
    return [planned for planned in cells if planned.other_dataset]


def _counted(found: list[PlannedCell]) -> str:
    return "1 cell" if len(found) == 1 else f"{len(found)} cells"


def _held(folder: RunFolder, found: list[PlannedCell]) -> str:
    return f"{folder.path} holds {_counted(found)} of another dataset, whose files differ and lie elsewhere"
