"""From a matrix to its cells."""

from __future__ import annotations

import fnmatch
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.base.errors import BenchError
from bench.matrix.baseline import BASELINE
from bench.matrix.cell import Cell, DatasetSpec, MethodSpec, TeacherSpec
from bench.matrix.matrix import MOST_CELLS, LoadedMatrix, MethodChoice
from bench.matrix.schema import ModelEntry, PairEntry
from bench.method.registry import methods
from bench.plan.models import Models

Row = tuple[PairEntry, int, MethodChoice]


def expand(loaded: LoadedMatrix, dataset: DatasetSpec, models: Models) -> list[Cell]:
    """Return every cell of a matrix, each once.

    Args:
        loaded: the matrix.
        dataset: its dataset.
        models: describes its models.

    Raises:
        BenchError: a filter fits nothing, or the filters leave nothing.
    """
    matrix = loaded.matrix
    if (n_rows := len(matrix.pairs) * len(matrix.seeds) * len(loaded.choices)) > MOST_CELLS:
        raise BenchError(
            f"{loaded.path}: pairs, seeds, methods ({len(matrix.pairs)} x {len(matrix.seeds)} x "
            f"{len(loaded.choices)}) stand for {n_rows:,} cells, more than {MOST_CELLS:,}, which nobody can train"
        )
    rows = list(itertools.product(matrix.pairs, matrix.seeds, loaded.choices))
    _require_matching_filters(loaded, rows)
    found: dict[str, Cell] = {}
    for row in rows:
        if _wanted(loaded, row):
            cell = _cell(loaded, dataset, models, row)
            found.setdefault(cell.key, cell)
    if not found:
        raise BenchError(
            f"{loaded.path}: no cell is left after include and exclude: "
            f"include={matrix.include}, exclude={matrix.exclude}. Loosen one of them."
        )
    return list(found.values())


def teacher_cell(loaded: LoadedMatrix, dataset: DatasetSpec, models: Models, entry: ModelEntry) -> Cell:
    """Return the cell that trains a teacher without weights."""
    matrix = loaded.matrix
    return Cell(
        dataset=dataset,
        teacher=None,
        student=models.describe(entry.model_copy(update={"weights": None})),
        method=MethodSpec(name=BASELINE, params={}, label=BASELINE),
        seed=matrix.teacher_seed,
        recipe=matrix.recipe_of_teachers(),
    )


def teacher_spec(loaded: LoadedMatrix, dataset: DatasetSpec, models: Models, entry: ModelEntry) -> TeacherSpec:
    """Return a teacher with the key of what its weights are."""
    spec = models.describe(entry)
    trained_by = None if spec.weights_sha256 else teacher_cell(loaded, dataset, models, entry).key
    return TeacherSpec(**spec.model_dump(), trained_by=trained_by)


def _cell(loaded: LoadedMatrix, dataset: DatasetSpec, models: Models, row: Row) -> Cell:
    entry, seed, choice = row
    listens = choice.name not in methods or getattr(methods.get(choice.name).builder, "needs_teacher", True)
    return Cell(
        dataset=dataset,
        teacher=teacher_spec(loaded, dataset, models, entry.teacher) if listens else None,
        student=models.describe(entry.student),
        method=MethodSpec(name=choice.name, params=choice.params, label=choice.label),
        seed=seed,
        recipe=loaded.matrix.recipe,
    )


def _require_matching_filters(loaded: LoadedMatrix, rows: Sequence[Row]) -> None:
    """Refuse a filter that no cell fits: it is a mistyped one."""
    problems = [
        f"{loaded.path}: {key}[{index}]: {rule} fits no cell of the matrix. Correct it, or take it out."
        for key, rules in (("include", loaded.matrix.include), ("exclude", loaded.matrix.exclude))
        for index, rule in enumerate(rules)
        if not any(_fits(rule, row) for row in rows)
    ]
    if problems:
        raise BenchError(*problems)


def _wanted(loaded: LoadedMatrix, row: Row) -> bool:
    included = not loaded.matrix.include or any(_fits(rule, row) for rule in loaded.matrix.include)
    return included and not any(_fits(rule, row) for rule in loaded.matrix.exclude)


def _fits(rule: Mapping[str, Any], row: Row) -> bool:
    """Tell whether a row fits one filter: any of an axis' patterns, on every axis that the filter names."""
    entry, seed, choice = row
    axes = {
        "teacher": (entry.teacher.name,),
        "student": (entry.student.name,),
        "method": (choice.name, choice.label),
        "seed": (str(seed),),
    }
    return all(
        any(fnmatch.fnmatchcase(value, pattern) for value in axes[axis] for pattern in _patterns(wanted))
        for axis, wanted in rule.items()
    )


def _patterns(wanted: Any) -> Iterator[str]:
    yield from (str(item) for item in (wanted if isinstance(wanted, list) else [wanted]))
