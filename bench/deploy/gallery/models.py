"""Trained models of a run on a few images, by the code that scored them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision import tv_tensors

from bench.base.device import find_device, make_fabric
from bench.base.errors import BenchError
from bench.data.base import TargetSamples
from bench.deploy.student import finished_record
from bench.matrix.cell import Cell, ModelSpec, TeacherSpec
from bench.matrix.recipe import Recipe
from bench.matrix.settings import Settings
from bench.models.base import Model
from bench.models.weights.published import under_own_names
from bench.models.weights.reading import load_into, read_weights
from bench.plan.build import build_spec
from bench.plan.groups import Plan
from bench.store.folders import STUDENT
from bench.tasks.metric import Evidence
from bench.train.evaluate import evaluate
from bench.train.setting import Setting, read_initial_weights


class FewSamples(TargetSamples[Any]):
    """Some samples of a split, kept in memory.

    Args:
        samples: the split.
        indices: positions in it, in the order wanted here.

    Raises:
        BenchError: one of them cannot be read.
    """

    def __init__(self, samples: TargetSamples[Any], indices: Sequence[int]) -> None:
        self.names = [str(samples.names[index]) for index in indices]
        self._pairs = [samples[index] for index in indices]

    @property
    def is_decoded(self) -> bool:
        """They are in memory."""
        return True

    def __getitem__(self, index: int) -> tuple[tv_tensors.Image, Any]:
        """Return the sample at ``index``."""
        return self._pairs[index]

    def arrays(self, index: int) -> tuple[NDArray[np.uint8], Any]:
        """Return the image, H x W x 3 RGB, and its target."""
        image, target = self._pairs[index]
        return image.permute(1, 2, 0).numpy(), target


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a model makes of some images.

    Attributes:
        shown: predictions for each image, as the task draws them.
        evidence: what their scores are made from.
    """

    shown: list[Any]
    evidence: Evidence


def make_setting(plan: Plan, settings: Settings) -> Setting:
    """Return the dataset and the device as a training of the plan would see them.

    Raises:
        BenchError: no such device.
    """
    device = find_device(settings.device)
    return Setting(
        plan.data.info,
        plan.task,
        device,
        functools.partial(make_fabric, device),
        lambda spec: read_initial_weights(spec, plan.weights),
    )


def predict_few(model: Model, samples: FewSamples, recipe: Recipe, setting: Setting) -> Predicted:
    """Run a model over samples as an evaluation of its recipe does.

    Args:
        model: on the CPU; it is moved to the setting's device.
        samples: a few.
        recipe: of the cell.
        setting: dataset and device.
    """
    if recipe.channels_last:
        model = model.to(memory_format=torch.channels_last)
    model = model.to(setting.device)
    task = setting.task(setting.info, recipe)
    shown: list[Any] = []
    evidence, _ = evaluate(
        model, samples, task, setting, recipe.eval_batch_size, 0, seen=lambda found: shown.extend(task.shown(found))
    )
    return Predicted(shown, evidence)


def load_trained(plan: Plan, cell: Cell) -> Model:
    """Load the student of a finished cell of the plan.

    Raises:
        BenchError: it is not finished, or damaged.
    """
    return _loaded(plan, cell.student, plan.run.cell(cell.id).path)


def load_teacher(plan: Plan, spec: TeacherSpec) -> Model:
    """Load a teacher of the plan: from its weights file, or the cell that trained it.

    Raises:
        BenchError: the file or the finished cell is not there, or damaged.
    """
    if spec.weights_sha256:
        path = plan.weights.get(spec.weights_sha256)
        if path is None:
            raise BenchError(f"the weights of teacher '{spec.name}' are not here")
        model = build_spec(spec, plan.task.channels(plan.data.info))
        load_into(model, under_own_names(model, read_weights(path)), f"{path} (teacher '{spec.name}')")
        return model
    for folder in plan.teachers_run.cells():
        if folder.cell_id.endswith(f".{spec.key[:12]}"):
            return _loaded(plan, spec, folder.path)
    raise BenchError(f"teacher '{spec.name}' is not in {plan.teachers_run.path}, where a run trains it")


def _loaded(plan: Plan, spec: ModelSpec, folder: Path) -> Model:
    """Return the model that a finished cell's folder holds."""
    finished_record(folder)
    model = build_spec(spec, plan.task.channels(plan.data.info))
    load_into(model, read_weights(folder / STUDENT), f"{folder / STUDENT} (model '{spec.name}')")
    return model.eval().requires_grad_(False)
