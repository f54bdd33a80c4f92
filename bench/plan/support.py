"""Whether a cell can be trained at all: its models, its method, its pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from bench.base.errors import BenchError, Unsupported, describe_error, is_ctrl_c
from bench.base.registry import Entry
from bench.data.base import Data
from bench.matrix.cell import Cell, ModelSpec
from bench.matrix.matrix import LoadedMatrix
from bench.method import Method, OutputSpec, Pair, Specs
from bench.method.registry import methods
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

    def require_trainable(self, cells: Sequence[Cell]) -> None:
        """Refuse batches of one image for models whose batch norm needs more, which training would find out.

        Args:
            cells: those that are to be trained, teachers among them.

        Raises:
            BenchError: all such models, with what to do.
        """
        recipe = "recipe" if self.loaded.matrix.recipe.batch_size == 1 else "teacher_recipe"
        problems: dict[str, None] = {}
        for cell in (cell for cell in cells if cell.recipe.batch_size == 1):
            if told := self.models.lone_value(cell.student, cell.recipe.augment.crop or self.size):
                problems[
                    f"{self.loaded.path}: {recipe}.batch_size: '{cell.student.name}' cannot be trained on batches of "
                    f"one image, as a batch norm of it sees one value a channel ({told}). Set {recipe}.batch_size to 2 "
                    "or more, or choose another model."
                ] = None
        if problems:
            raise BenchError(*problems)

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
    params: Mapping[str, Any] = cell.method.params
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
