"""What a weights file is, and the model that it makes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.base.errors import BenchError
from bench.base.registry import students
from bench.data.facts import DatasetInfo
from bench.deploy.student import building
from bench.matrix.cell import InputSpec
from bench.models.base import IMAGENET_MEAN, IMAGENET_STD, Model, build_model
from bench.models.weights.opening import is_safetensors
from bench.models.weights.published import renamed
from bench.models.weights.reading import load_into
from bench.plan.build import apply_input
from bench.store.folders import CONFIG, STUDENT, Record
from bench.tasks.segmentation.settings import Evaluation


@dataclass(frozen=True)
class KnownWeights:
    """What is known of a weights file.

    Attributes:
        tensors: of any shape, under the model's own names.
        origin: how that is known, for the reader of the table.
        options: options of the model's builder.
        num_classes: output channels, or None.
        align_corners: how its authors up-sample logits, or None.
        cell: the record of the cell that trained them, or None.
    """

    tensors: Mapping[str, Tensor]
    origin: str
    options: Mapping[str, Any] = field(default_factory=dict)
    num_classes: int | None = None
    align_corners: bool | None = None
    cell: Record | None = None

    @property
    def evaluation(self) -> Evaluation:
        """How the weights were scored when they were trained; whole images where nothing tells."""
        return Evaluation.model_validate(((self.cell or {}).get("recipe") or {}).get("evaluation") or {})

    def prepare(self, model: Model) -> None:
        """Let a model prepare images as it did when it was trained."""
        if self.cell is None:
            return
        if (self.cell.get("dataset") or {}).get("normalization") == "imagenet":
            model.mean, model.std = model.mean or IMAGENET_MEAN, model.std or IMAGENET_STD
        if given := self.cell["student"].get("input"):
            apply_input(model, InputSpec.model_validate(given))


def identify(
    file: Path, name: str, given: Mapping[str, Any], tensors: Mapping[str, Tensor], notes: Sequence[str] = ()
) -> KnownWeights:
    """Find out what weights are: the project's own by the record beside them, others' by their names and shapes.

    Args:
        file: where they were read.
        name: registered name of the model that is to load them.
        given: options of its builder that are asked for.
        tensors: what was read, of any shape by name.
        notes: what was taken off or chosen when the file was read.

    Raises:
        BenchError: they are of another model.
    """
    if (cell := _own_record(file)) is not None:
        student = cell["student"]
        if student["name"] != name:
            raise BenchError(f"{file} holds weights of '{student['name']}': use --model {student['name']}")
        origin = f"trained by bench ({CONFIG} beside it)"
        return KnownWeights(tensors, origin, student["options"], None, cell["recipe"]["align_corners"], cell)
    model = _built(name, 2, students.get(name).options.resolve(given), "meta")
    try:
        own = renamed(model, tensors)
    except BenchError as error:
        raise BenchError(*(f"{file}: {problem}" for problem in error.problems)) from error
    found, done = own.published, "".join(f"; {note}" for note in (*notes, *own.notes))
    if found is None:
        return KnownWeights(own.weights, f"not known: options and the dataset's normalisation as given{done}")
    if is_safetensors(file):  # what the project itself writes: it has the published names as well
        origin = f"shapes alone: the file is not in its authors' format{done}"
        return KnownWeights(found.weights, origin, found.options)
    origin, told = f"a checkpoint in the form of {found.layout}{done}", {**found.options, **found.preparation}
    return KnownWeights(found.weights, origin, told, found.num_classes, found.align_corners)


def _own_record(weights: Path) -> Record | None:
    """Return the cell that trained a student's weights, where they lie in its folder."""
    if weights.name != STUDENT:
        return None
    try:
        cell = json.loads((weights.parent / CONFIG).read_text(encoding="utf-8"))["cell"]
        complete = "options" in cell["student"] and "align_corners" in cell["recipe"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dict(cell) if complete else None


def output_channels(file: Path, known: KnownWeights, asked: int | None, dataset: str, info: DatasetInfo) -> int:
    """Return the model's output channels; one more than the dataset's classes is taken as void.

    Args:
        file: the weights, for messages.
        known: what they are.
        asked: channels that the user gives; None for what is known of the weights.
        dataset: registered name, for messages.
        info: of the dataset.

    Raises:
        BenchError: fewer channels than classes, or many more that nobody asked for.
    """
    classes = info.num_classes
    channels = asked or known.num_classes or classes
    if channels < classes:
        raise BenchError(
            f"{file} gives {channels} classes, dataset '{dataset}' has {classes}: {', '.join(info.class_names[:20])}"
        )
    if channels > classes + 1 and asked is None:
        raise BenchError(
            f"{file} gives {channels} classes, dataset '{dataset}' has {classes}. Where the first {classes} of them "
            f"are the dataset's, in its order, score those with --classes {channels}."
        )
    return channels


def build_loaded(file: Path, name: str, options: dict[str, Any], channels: int, tensors: Mapping[str, Tensor]) -> Model:
    """Build a model and load weights into it.

    Args:
        file: the weights, for messages.
        name: registered name of the model.
        options: all options of its builder.
        channels: of its output.
        tensors: of any shape, under the model's own names.

    Raises:
        BenchError: it cannot be built, or the weights do not fit or are not finite.
    """
    model = _built(name, channels, options)
    load_into(model, tensors, f"{file} (model '{name}', {channels} classes)")
    if bad := [name for name, value in model.state_dict().items() if not bool(torch.isfinite(value).all())]:
        raise BenchError(f"{file} holds numbers that are not finite: {', '.join(bad[:5])}")
    return model


def _built(name: str, channels: int, options: dict[str, Any], device: str = "cpu") -> Model:
    with building(name, options):
        return build_model(name, channels, options, device)
