"""What the members of a group share, and the students that start from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor

from bench.data.facts import DatasetInfo
from bench.matrix.cell import Cell, ModelSpec
from bench.models.base import Model
from bench.models.weights.published import under_own_names
from bench.models.weights.reading import load_into, read_weights
from bench.plan.build import build_spec
from bench.tasks.base import Task


@dataclass
class Setting:
    """What the members of a group share.

    Attributes:
        info: the dataset's facts.
        task: the dataset's task.
        device: the training device.
        make_fabric: returns a new Fabric for a precision.
        initial_weights: returns the tensors that a model starts from, or None.
    """

    info: DatasetInfo
    task: type[Task]
    device: torch.device
    make_fabric: Callable[[str], Fabric]
    initial_weights: Callable[[ModelSpec], dict[str, Tensor] | None]

    @property
    def channels(self) -> int:
        """Output channels that models are built with."""
        return self.task.channels(self.info)


def build_student(cell: Cell, setting: Setting) -> Model:
    """Return a cell's student on the training device, with the weights that it starts from."""
    student = build_spec(cell.student, setting.channels)
    weights = setting.initial_weights(cell.student)
    if weights is not None:
        load_into(student, under_own_names(student, weights), f"weights of student '{cell.student.name}'")
    else:
        for source in student.pretrained:
            source.load(student)
    if cell.recipe.channels_last:
        student = student.to(memory_format=torch.channels_last)
    return student.to(setting.device).train()


def read_initial_weights(model: ModelSpec, files: Mapping[str, Path]) -> dict[str, Tensor] | None:
    """Return the weights a model starts from, tensors of any shape by name, or None.

    Args:
        model: the student.
        files: weights files by digest.
    """
    return read_weights(files[model.weights_sha256]) if model.weights_sha256 else None
