"""Whether a cell can be trained at all: its models, its method, its pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

from bench.base.errors import BenchError, Unsupported, describe_error, is_ctrl_c
from bench.base.registry import Entry
from bench.data.base import Data
from bench.matrix.cell import Cell, ModelSpec
from bench.matrix.matrix import LoadedMatrix
from bench.method import Method, OutputSpec, Pair, Specs
from bench.method.registry import methods
from bench.method.strength import split_strength
from bench.plan.models import Models
from bench.plan.planned import Wanted
from bench.tasks.base import Task, require_task

NOT_HERE = (256, 256)
"""Height and width that models are tried at where there are no images to ask."""


@dataclass
class Support:
    """Tries the cells of a matrix without training them.

    Attributes:
        loaded: the matrix.
        data: its dataset.
        eval_split: the split that is scored.
        task: of the dataset.
        models: describes and builds its models.
    """

    loaded: LoadedMatrix
    data: Data
    eval_split: str
    task: type[Task]
    models: Models

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width of the images that models train on; where they are not here to be asked, 256 x 256."""
        if crop := self.loaded.matrix.recipe.augment.crop:
            return crop[0], crop[1]
        try:
            self.data.require((self.eval_split,))
            return image_size(self.data.split(self.eval_split))
        except BenchError:
            return NOT_HERE

    def judge(self, cell: Cell) -> Wanted:
        """Return a cell with the reason why it is skipped, where it is.

        Raises:
            BenchError: a model cannot be built, or its outputs are not the dataset's.
        """
        if cell.method.name in self.loaded.unavailable:
            return Wanted(cell, self.loaded.unavailable[cell.method.name])
        try:
            return Wanted(cell, None, self._remarks(cell))
        except Unsupported as verdict:
            return Wanted(cell, str(verdict))

    def untrainable(self, cell: Cell) -> str:
        """Return why a cell cannot be trained on batches of one image, and what to do; empty where it can.

        A batch norm needs more than one value a channel, which training would find out.
        """
        if cell.recipe.batch_size > 1:
            return ""
        told = self.models.lone_value(cell.student, cell.recipe.augment.crop or self.size)
        recipe = "recipe" if self.loaded.matrix.recipe.batch_size == 1 else "teacher_recipe"
        return told and (
            f"{self.loaded.path}: {recipe}.batch_size: '{cell.student.name}' cannot be trained on batches of one "
            f"image, as a batch norm of it sees one value a channel ({told}). Set {recipe}.batch_size to 2 or more, "
            "or choose another model."
        )

    def trainable(self, wanted: Sequence[Wanted], teachers: Sequence[Wanted]) -> tuple[list[Wanted], list[str]]:
        """Return the cells, those that cannot be trained skipped with the reason, and notes on such teachers.

        Args:
            wanted: the cells of the matrix.
            teachers: the cells that train its teachers.

        Raises:
            BenchError: no cell is left that could end well; all such models, with what to do.
        """
        lost = {one.cell.key: told for one in teachers if (told := self.untrainable(one.cell))}
        told_of = {one.cell.key: self.untrainable(one.cell) for one in wanted if one.refused is None}
        hopeless = [
            told_of[one.cell.key] or (lost.get(one.cell.teacher.key, "") if one.cell.teacher else "")
            for one in wanted
            if one.refused is None
        ]
        if all(hopeless):
            raise BenchError(*dict.fromkeys((*filter(None, told_of.values()), *lost.values())))
        kept = [replace(one, refused=told_of.get(one.cell.key) or one.refused) for one in wanted]
        return kept, [f"{told} Cells that listen to it will fail." for told in lost.values()]

    def _remarks(self, cell: Cell) -> tuple[str, ...]:
        """Return what the method says of the pair.

        Raises:
            Unsupported: the method refuses the pair or the task, or a model is of another task.
            BenchError: a model's outputs are not the dataset's.
        """
        entry, name = methods.get(cell.method.name), cell.method.name
        require_task(getattr(entry.builder, "tasks", Method.tasks), name, self.task.scoring.name)
        student = self._fitting("student", cell, cell.student)
        teacher = self._fitting("teacher", cell, cell.teacher) if cell.teacher else student
        method = build_method(entry, pair_of(self.data, student, teacher, self.size), cell)
        self.task.require_taps(method, name)
        return tuple(method.remarks)

    def _fitting(self, role: str, cell: Cell, model: ModelSpec) -> Specs:
        probe = self.models.probe(model, self.size)
        told = f"{role} '{model.name}'"
        self.task.require_fit(probe.model, told, probe.spec, cell.dataset.name, self.data.info)
        return probe.spec


def pair_of(data: Data, student: Specs, teacher: Specs, size: tuple[int, int]) -> Pair:
    """Return what a method may know of its pair.

    Args:
        data: gives the classes.
        student: shapes of the student's outputs.
        teacher: shapes of the teacher's.
        size: height and width of the images.
    """
    info = data.info
    # a method for one dense map is told of nothing else, and one for every task asks for stages alone
    mine, theirs = cast("OutputSpec", student), cast("OutputSpec", teacher)
    return Pair(info.num_classes, info.ignore_index, mine, theirs, size)


def build_method(entry: Entry[Any], pair: Pair, cell: Cell) -> Method:
    """Try a method on a pair.

    Raises:
        Unsupported: it refuses the pair, or its own code fails; the other methods are not to suffer for that.
    """
    _, params = split_strength(entry.options, cell.method.params)
    try:
        method = entry.builder(pair, **params)
    except Unsupported:
        raise
    except BaseException as error:
        if is_ctrl_c(error):
            raise
        raise Unsupported(f"'{entry.name}' ({entry.origin}) cannot be built: {describe_error(error)}") from error
    if not isinstance(method, Method):
        raise Unsupported(f"'{entry.name}' ({entry.origin}) is no bench.method.Method")
    return method


def image_size(samples: Any) -> tuple[int, int]:
    """Return height and width of a split's first image."""
    height, width = samples[0][0].shape[-2:]
    return int(height), int(width)
