"""Trained models of a run on a few images, by the code that scored them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision import tv_tensors

from bench.base.device import find_device, make_fabric
from bench.base.errors import BenchError
from bench.data.base import Samples
from bench.data.facts import DatasetInfo
from bench.deploy.student import load_student
from bench.matrix.cell import Cell, TeacherSpec
from bench.matrix.recipe import Recipe
from bench.matrix.settings import Settings
from bench.models.base import SegmentationModel
from bench.models.weights.published import under_own_names
from bench.models.weights.reading import load_into, read_weights
from bench.plan.build import apply_input, build_spec
from bench.plan.groups import Plan
from bench.tasks.segmentation.counts import Counts
from bench.tasks.segmentation.inference import Forward
from bench.tasks.segmentation.task import Segmentation
from bench.train.evaluate import evaluate
from bench.train.trainee import Setting, read_initial_weights


class FewSamples(Samples):
    """Some samples of a split, kept in memory.

    Args:
        samples: the split.
        indices: positions in it, in the order wanted here.

    Raises:
        BenchError: one of them cannot be read.
    """

    def __init__(self, samples: Samples, indices: Sequence[int]) -> None:
        self.names = [str(samples.names[index]) for index in indices]
        self._pairs = [samples[index] for index in indices]

    @property
    def is_decoded(self) -> bool:
        """They are in memory."""
        return True

    def __getitem__(self, index: int) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
        """Return the pair at ``index``."""
        return self._pairs[index]

    def arrays(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return the image, H x W x 3 RGB, and the labels, H x W."""
        image, mask = self._pairs[index]
        return image.permute(1, 2, 0).numpy(), mask.numpy()


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a model makes of some images.

    Attributes:
        masks: predicted classes of each, H x W at the size of its labels.
        counts: the confusion counts of each.
    """

    masks: tuple[NDArray[np.uint8], ...]
    counts: Counts


class _Recording(Segmentation):
    """The task, keeping every prediction that it scores."""

    def __init__(self, info: DatasetInfo, recipe: Recipe) -> None:
        super().__init__(info, recipe)
        self.masks: list[NDArray[np.uint8]] = []

    def predict(self, forward: Forward, images: Tensor, size: torch.Size) -> Tensor:
        scores = super().predict(forward, images, size)
        self.masks += list(scores.argmax(dim=1).to(torch.uint8).cpu().numpy())
        return scores


def make_setting(plan: Plan, settings: Settings) -> Setting:
    """Return the dataset and the device as a training of the plan would see them.

    Raises:
        BenchError: no such device.
    """
    device = find_device(settings.device)
    return Setting(
        plan.data.info,
        device,
        functools.partial(make_fabric, device),
        lambda spec: read_initial_weights(spec, plan.weights),
    )


def predict_few(model: SegmentationModel, samples: FewSamples, recipe: Recipe, setting: Setting) -> Predicted:
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
    task = _Recording(setting.info, recipe)
    counts, _ = evaluate(model, samples, task, setting, recipe.eval_batch_size, 0)
    return Predicted(tuple(task.masks), counts)


def load_trained(plan: Plan, cell: Cell) -> SegmentationModel:
    """Load the student of a finished cell of the plan.

    Raises:
        BenchError: it is not finished, or damaged.
    """
    model = load_student(plan.run.cell(cell.id).path).model
    if cell.student.input is not None:
        apply_input(model, cell.student.input)
    return model


def load_teacher(plan: Plan, spec: TeacherSpec) -> SegmentationModel:
    """Load a teacher of the plan: from its weights file, or the cell that trained it.

    Raises:
        BenchError: the file or the finished cell is not there, or damaged.
    """
    if spec.weights_sha256:
        path = plan.weights.get(spec.weights_sha256)
        if path is None:
            raise BenchError(f"the weights of teacher '{spec.name}' are not here")
        model = build_spec(spec, plan.data.info.num_classes)
        load_into(model, under_own_names(model, read_weights(path)), f"{path} (teacher '{spec.name}')")
        return model
    for folder in plan.teachers_run.cells():
        if folder.cell_id.endswith(f".{spec.key[:12]}"):
            model = load_student(folder.path).model
            if spec.input is not None:
                apply_input(model, spec.input)
            return model
    raise BenchError(f"teacher '{spec.name}' is not in {plan.teachers_run.path}, where a run trains it")
