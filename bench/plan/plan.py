"""What a plan is made of: cells with their state, groups, the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.data.base import Data
from bench.matrix.cell import TeacherSpec
from bench.matrix.schema import Expected
from bench.models.weights.pretrained import PublishedFile
from bench.plan.planned import PlannedCell, Wanted
from bench.plan.standing import Standing
from bench.store.folders import RunFolder
from bench.tasks.base import Task

TEACHERS = "teachers"


@dataclass(frozen=True)
class Group:
    """Cells that see the same batches and the same frozen teacher, trained in lockstep.

    Attributes:
        cells: members that are still to be trained.
        teacher: the teacher that some member listens to, or None.
    """

    cells: tuple[PlannedCell, ...]
    teacher: TeacherSpec | None

    @property
    def name(self) -> str:
        """How the group is told to the user."""
        first = self.cells[0].cell
        pair = f"{self.teacher.name} -> {first.student.name}" if self.teacher else first.student.name
        return f"{first.dataset.name}, {pair}, seed {first.seed}"


@dataclass(frozen=True)
class Plan:
    """All that a matrix asks for.

    Attributes:
        name: of the matrix, and of its result folder.
        run: the result folder.
        teachers_run: the folder of teachers trained by the harness, shared by all matrices.
        data: the dataset.
        task: its task.
        cells: every cell of the matrix.
        teachers: cells that train a teacher without weights.
        weights: files given for models, by name and digest.
        groups: what is left to train, in order.
        published: files of weights that models start from and that somebody publishes.
        expected: scores that teachers must have, by the key of the teacher.
        notes: what is worth knowing of the given weights.
        n_parameters: parameters of each student and of each teacher that is trained, by the key of its cell.
        wanted: every cell of the matrix, as the matrix alone tells it.
        wanted_teachers: cells of all teachers without weights that some cell listens to, alike.
        standing: looks up how cells stand.
    """

    name: str
    run: RunFolder
    teachers_run: RunFolder
    data: Data
    task: type[Task]
    cells: tuple[PlannedCell, ...]
    teachers: tuple[PlannedCell, ...]
    weights: Mapping[str, Path]
    groups: tuple[Group, ...]
    published: tuple[PublishedFile, ...]
    expected: Mapping[str, Expected]
    notes: tuple[str, ...]
    n_parameters: Mapping[str, int]
    wanted: tuple[Wanted, ...]
    wanted_teachers: tuple[Wanted, ...]
    standing: Standing = field(repr=False, compare=False)

    @property
    def missing(self) -> list[str]:
        """What to do about each published file that is not here."""
        return [sentence for file in self.published if (sentence := file.missing())]

    @property
    def teacher_groups(self) -> tuple[Group, ...]:
        """One group for each teacher that is still to be trained."""
        return tuple(Group((teacher,), None) for teacher in self.teachers if teacher.to_train)
