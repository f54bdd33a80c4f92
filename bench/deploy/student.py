"""A trained student out of a finished cell's folder, and the same network made usable on plain RGB images."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from bench.base import options
from bench.base.errors import BenchError, describe_error, is_ctrl_c
from bench.base.files import file_digest
from bench.base.registry import load_plugins, students
from bench.data.read.depth import Span, span_of_option
from bench.matrix.cell import ModelSpec
from bench.models.base import SegmentationModel, Triple
from bench.models.weights.reading import load_into, read_weights
from bench.plan.build import build_spec
from bench.plan.code import model_code
from bench.store.folders import CONFIG, FAILURE, RESULT, STUDENT, CellFolder, Record, RunFolder
from bench.tasks.scorings import DEFAULT
from bench.tasks.segmentation.settings import Evaluation

_SHOWN_CELLS = 5
_WHERE = "Give the folder of a finished cell, such as results/quick/cells/<cell id>."


@dataclass(frozen=True)
class TrainedStudent:
    """What a finished cell trained, on the CPU and in evaluation mode.

    Attributes:
        model: the student with its weights.
        name: its registered name.
        cell_id: the cell that trained it.
        dataset: registered name of the dataset.
        class_names: K names, by output channel.
        mean: RGB mean in 0..1 that is subtracted: the model's own, else the dataset's as recorded.
        std: RGB standard deviation in 0..1 that is divided by.
        align_corners: how its logits are up-sampled.
        size: height and width it trained on: the recipe's crop, else the size its cost was measured at.
        miou: the cell's score in 0..1; None where it has none.
        evaluation: how it was scored: whole images or windows, sizes, scales, flip.
        span: the values that became 0..255 in its images of more than 8 bits a channel, where the matrix told them.
        notes: what its user should know, in sentences.
    """

    model: SegmentationModel
    name: str
    cell_id: str
    dataset: str
    class_names: tuple[str, ...]
    mean: Triple
    std: Triple
    align_corners: bool
    size: tuple[int, int]
    miou: float | None
    evaluation: Evaluation
    span: Span | None = None
    notes: tuple[str, ...] = ()


class ImageSegmenter(nn.Module):
    """A student on RGB images in 0..1: normalises, runs the model, up-samples.

    Args:
        student: the network and how it wants its images.
        inference_only: leave out auxiliary heads and further parts that only training uses.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, student: TrainedStudent, *, inference_only: bool = False) -> None:
        super().__init__()
        self.model = without_training_parts(student.model) if inference_only else student.model
        self.bgr, self.align_corners = student.model.bgr, student.align_corners
        self.register_buffer("mean", torch.tensor(student.mean, dtype=torch.float32).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(student.std, dtype=torch.float32).view(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Return N x K x H x W logits for N x 3 x H x W RGB images, float in 0..1."""
        return self.upsample(self.coarse(images), images.shape[-2:])

    def coarse(self, images: Tensor) -> Tensor:
        """Return N x K x h x w logits at the model's own stride for N x 3 x H x W RGB images, float in 0..1."""
        normalised = (images - self.mean) / self.std
        logits: Tensor = self.model(normalised.flip(1) if self.bgr else normalised).logits
        return logits

    def upsample(self, logits: Tensor, size: Sequence[int]) -> Tensor:
        """Return N x K x H x W logits, as they were up-sampled when the student was scored.

        Args:
            logits: N x K x h x w.
            size: H and W.
        """
        return F.interpolate(logits, size=tuple(size), mode="bilinear", align_corners=self.align_corners)


def without_training_parts(model: SegmentationModel) -> SegmentationModel:
    """Return a copy without the auxiliary head and the parts that only training uses."""
    lean = copy.deepcopy(model)
    names = ("auxiliary", *lean.training_only)
    parts = {id(part) for name in names if isinstance(part := getattr(lean, name, None), nn.Module)}
    for module in list(lean.modules()):
        for name, child in list(module.named_children()):
            if id(child) in parts:  # also under a second name, as where a library's own name is kept beside ours
                setattr(module, name, None)
    lean.auxiliary = None
    return lean


def load_student(cell: Path, plugins: Sequence[Path] = ()) -> TrainedStudent:
    """Load the student of a finished cell.

    Args:
        cell: folder of the cell.
        plugins: files that register its model, where it is not built in.

    Raises:
        BenchError: no cell, not finished, damaged, or a model that cannot be built any more.
    """
    record = finished_record(cell)
    if (task := record.get("task", DEFAULT)) != DEFAULT:
        raise BenchError(f"{cell} is of the task {task}; export and predict know {DEFAULT} alone")
    load_plugins(plugins)
    try:
        spec = ModelSpec.model_validate(record["cell"]["student"])
        recipe, dataset = record["cell"]["recipe"], record["protocol"]["fields"]["dataset"]
        classes, mean, std = tuple(dataset["classes"]), _triple(dataset["mean"]), _triple(dataset["std"])
        height, width = recipe["augment"]["crop"] or record["efficiency"]["input_size"]
        align_corners, cell_id = bool(recipe["align_corners"]), str(record["cell"]["id"])
        dataset_name, miou = str(dataset["name"]), record["metrics"]["miou"]
        span = span_of_option((dataset.get("options") or {}).get("image_range"), dataset_name)
        evaluation = Evaluation.model_validate(recipe.get("evaluation") or {})
    except (KeyError, TypeError, ValueError) as error:
        raise BenchError(f"{cell / RESULT} lacks what tells its model ({error!r}). Train the cell again.") from error
    model = _build(spec, len(classes), cell)
    load_into(model, read_weights(cell / STUDENT), f"{cell / STUDENT} (model '{spec.name}', {len(classes)} classes)")
    return TrainedStudent(
        model=model.eval().requires_grad_(False),
        name=spec.name,
        cell_id=cell_id,
        dataset=dataset_name,
        class_names=classes,
        mean=model.mean or mean,
        std=model.std or std,
        align_corners=align_corners,
        size=(int(height), int(width)),
        miou=miou,
        evaluation=evaluation,
        span=span,
        notes=_notes(spec, record),
    )


def _triple(values: Sequence[float]) -> Triple:
    first, second, third = (float(value) for value in values)
    return first, second, third


@contextmanager
def building(name: str, given: Mapping[str, Any]) -> Iterator[None]:
    """Tell what a model's own code raises while it is built as a problem of the model.

    Args:
        name: registered name of the model.
        given: the options that it is built with.

    Raises:
        BenchError: the block raised.
    """
    try:
        yield
    except BenchError:
        raise
    except BaseException as error:  # a builder's own code meets the user's options or a stored record here
        if is_ctrl_c(error):
            raise
        raise BenchError(
            f"model '{name}' with {given or 'no options'} cannot be built: {describe_error(error)}"
        ) from error


def finished_record(cell: Path) -> Record:
    """Return the verified record of a finished cell.

    Raises:
        BenchError: no cell, not finished, damaged.
    """
    if not cell.is_dir():
        raise BenchError(f"{cell}: {'a file, no folder' if cell.exists() else 'no such folder'}. {_WHERE}")
    if not any((cell / name).exists() for name in (RESULT, CONFIG, FAILURE)):
        raise BenchError(f"{cell} is no cell: it holds neither {RESULT} nor {CONFIG}. {_inside(cell) or _WHERE}")
    state, record = CellFolder(cell).state()
    if state == "corrupt":
        raise BenchError(f"{cell} is damaged: {record['reason']}. Run its matrix again, which trains the cell anew.")
    if state in ("failed", "diverged"):
        raise BenchError(f"{cell} has no student: its training {state} ({record.get('reason', '')}). {_WHERE}")
    if state != "done":
        raise BenchError(f"{cell} is not finished ({state}). Run its matrix again, which goes on from where it stood.")
    if STUDENT not in record["files"]:
        raise BenchError(f"{cell} kept no {STUDENT}. Train the cell again.")
    if file_digest(cell / STUDENT) != record["files"][STUDENT]:
        raise BenchError(
            f"{cell / STUDENT} does not match the digest in {RESULT}: it was changed after it was written. "
            "Copy it again, or run the matrix again, which trains the cell anew."
        )
    return record


def _inside(folder: Path) -> str:
    """Name the finished cells of a run folder or of its ``cells``, which are easily given in a cell's place."""
    run = folder.parent if folder.name == "cells" else folder
    found = [str(inner.path) for inner in RunFolder(run).cells() if (inner.path / RESULT).exists()]
    if not found:
        return ""
    more = f" and {len(found) - _SHOWN_CELLS} more" if len(found) > _SHOWN_CELLS else ""
    return f"Finished cells in it: {', '.join(found[:_SHOWN_CELLS])}{more}"


def _build(spec: ModelSpec, num_classes: int, cell: Path) -> SegmentationModel:
    """Build the student with the options it was trained with, which have to be options of today's builder."""
    if spec.name not in students:
        raise BenchError(
            f"{cell} was trained with {students.problem(spec.name)}. "
            "Where the model comes from a plug-in, name its file with --plugin FILE."
        )
    entry = students.get(spec.name)
    try:
        given: dict[str, Any] = entry.options.resolve(spec.options)
    except ValidationError as error:
        found = options.sentences(error, entry.options.schema)
        raise BenchError(
            *(
                f"{cell} was trained with options that model '{spec.name}' no longer takes: "
                f"{'.'.join(map(str, path))}: {sentence}. Use the version of the model that trained it."
                for path, sentence in found
            )
        ) from error
    with building(spec.name, spec.options):
        return cast("SegmentationModel", build_spec(spec.model_copy(update={"options": given}), num_classes))


def _notes(spec: ModelSpec, record: Record) -> tuple[str, ...]:
    trained_by = record.get("provenance", {}).get("student")
    if not trained_by or trained_by == model_code(spec):
        return ()
    return (
        f"the source of model '{spec.name}' has changed since it was trained: its weights fit, but whether it still "
        "computes what was scored is not known",
    )
