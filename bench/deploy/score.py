"""Weights of any origin, scored on a split with the code that scores students."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from bench.base import options
from bench.base.device import find_device, make_fabric
from bench.base.errors import BenchError, describe_error, unknown
from bench.base.files import file_digest
from bench.base.registry import Registry, datasets, discover, load_plugin, students
from bench.data.base import Data, TargetSamples
from bench.data.facts import DatasetInfo
from bench.matrix.cell import InputSpec
from bench.matrix.overrides import apply_override
from bench.matrix.recipe import recipe_for
from bench.matrix.settings import Settings
from bench.method import Outputs
from bench.models.base import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Model,
    SegmentationModel,
    build_model,
    count_parameters,
    output_spec,
)
from bench.models.weights.published import recognised
from bench.models.weights.reading import load_into, read_weights
from bench.plan.build import apply_input
from bench.store.folders import CONFIG, STORE_SCHEMA, STUDENT, Record
from bench.tasks.metric import TaskSettings
from bench.tasks.scorings import DEFAULT
from bench.tasks.segmentation.scores import ABSENT_CLASS_POLICY
from bench.tasks.segmentation.settings import Evaluation
from bench.tasks.segmentation.task import Segmentation
from bench.train.evaluate import evaluate
from bench.train.setting import Setting

SAFETENSORS = ".safetensors"


@dataclass(frozen=True)
class Request:
    """What to score.

    Attributes:
        model: registered name.
        weights: the file.
        dataset: registered name.
        split: a split of the dataset; None takes the one that papers report.
        overrides: ``model.option=value`` and ``dataset.option=value`` texts; they win over what the file tells.
        plugins: files that register further models and datasets.
        classes: output channels of the model; those beyond the dataset's classes are left out of the scores.
        size: height and width that images are resized to for the model; None leaves them as they are.
        align_corners: how logits are up-sampled to the labels; None takes what is known of the weights, else false.
        batch_size: images in one forward pass.
    """

    model: str
    weights: Path
    dataset: str
    split: str | None = None
    overrides: tuple[str, ...] = ()
    plugins: tuple[Path, ...] = ()
    classes: int | None = None
    size: tuple[int, int] | None = None
    align_corners: bool | None = None
    batch_size: int = 16


@dataclass(frozen=True)
class Known:
    """What is known of a weights file.

    Attributes:
        weights: tensors under the model's own names.
        origin: how that is known, for the reader of the table.
        options: options of the model's builder.
        num_classes: output channels, or None.
        align_corners: how its authors up-sample logits, or None.
        cell: the record of the cell that trained them, or None.
    """

    weights: Mapping[str, Tensor]
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


class ScoredModel(SegmentationModel):
    """A model on resized images, of whose logits the first K channels count.

    Args:
        model: any model.
        num_classes: K.
        size: height and width that images are resized to, bilinear with anti-aliasing; None leaves them as they are.
    """

    def __init__(self, model: Model, num_classes: int, size: tuple[int, int] | None) -> None:
        super().__init__()
        self.model, self.num_classes, self.size = model, num_classes, size
        self.mean, self.std, self.bgr = model.mean, model.std, model.bgr

    def forward(self, images: Tensor) -> Outputs:
        """Return the outputs for N x 3 x H x W images, with N x K x h x w logits."""
        if self.size is not None:
            images = F.interpolate(images, size=self.size, mode="bilinear", antialias=True)
        outputs: Outputs = self.model(images)
        return replace(outputs, logits=outputs.logits[:, : self.num_classes])


def evaluate_weights(request: Request, settings: Settings) -> Record:
    """Score weights on a split, whole images at label resolution.

    Returns:
        ``model``, ``weights``, ``dataset``, ``protocol`` and ``metrics``, as JSON holds them.

    Raises:
        BenchError: an unknown name, a file that is no checkpoint or does not fit, data that cannot be read.
    """
    discover()
    for path in request.plugins:
        if broken := load_plugin(path):
            raise BenchError(f"plug-in {broken.source} failed to load: {broken.error}")
    given = _given(request)
    _require_named("--model", request.model, students, given["model"])
    dataset_options = _require_named("--dataset", request.dataset, datasets, given["dataset"])
    device = find_device(settings.device)
    data, split = _chosen_split(request, settings, dataset_options)
    weights = read_weights(request.weights)
    known = _known(request, given["model"], weights)
    data.require((split,))
    samples = data.split(split)
    if not len(samples):
        raise BenchError(f"the {split} split of {request.dataset} is empty")
    model_options = students.get(request.model).options.resolve({**known.options, **given["model"]})
    channels = _channels(request, known, data.info)
    model = _loaded(request, model_options, channels, known.weights)
    known.prepare(model)
    recipe = _recipe(request, known)
    scored = ScoredModel(model, data.info.num_classes, request.size)
    _require_working(scored, request, samples)
    setting = Setting(data.info, Segmentation, device, functools.partial(make_fabric, device), lambda _: None)
    height, width = samples[0][1].shape[-2:]
    workers = settings.workers_for((int(height), int(width)))
    metrics = _scores(scored, samples, recipe, setting, request.batch_size, workers)
    protocol = {
        **_image_facts(model, request, samples, data.info),
        "align_corners": recipe.align_corners,
        "evaluation": recipe.evaluation.model_dump(mode="json"),
        "ignore_index": data.info.ignore_index,
        "absent_classes": ABSENT_CLASS_POLICY,
        "device": str(device),
        "torch": torch.__version__,
    }
    return {
        "schema": STORE_SCHEMA,
        "model": {
            "name": request.model,
            "options": model_options,
            "output_channels": channels,
            "params": count_parameters(model),
        },
        "weights": {"file": str(request.weights), "sha256": file_digest(request.weights), "origin": known.origin},
        "dataset": {"name": request.dataset, "options": dataset_options, "split": split, "n_images": len(samples)},
        "protocol": protocol,
        "metrics": metrics,
    }


def _chosen_split(request: Request, settings: Settings, options: dict[str, Any]) -> tuple[Data, str]:
    """Return the dataset and the split to score.

    Raises:
        BenchError: the dataset is of another task, or has no such split.
    """
    data: Data = datasets.get(request.dataset).builder(settings.locations, **options)
    if data.task != DEFAULT:
        raise BenchError(f"--dataset {request.dataset}: its task is {data.task}; evaluate knows {DEFAULT} alone")
    split = request.split or data.info.eval_split
    if split not in data.info.splits:
        raise BenchError(f"--split {split}: {unknown(f'split of {request.dataset}', split, data.info.splits)}")
    return data, split


def _recipe(request: Request, known: Known) -> Any:
    """Return a recipe that scores as the weights were scored when they were trained, where that is known."""
    corners = bool(_first(request.align_corners, known.align_corners))
    return recipe_for().model_validate({"iterations": 1, "align_corners": corners, "evaluation": known.evaluation})


def _first(given: bool | None, known: bool | None) -> bool | None:
    return known if given is None else given


def _given(request: Request) -> dict[str, dict[str, Any]]:
    """Return the options of the overrides, by ``model`` and ``dataset``."""
    given: dict[str, Any] = {"model": {}, "dataset": {}}
    for text in request.overrides:
        path = apply_override(given, text)
        if path[0] not in ("model", "dataset") or len(path) < 2:
            raise BenchError(f"--set {text}: write model.option=value or dataset.option=value")
    return given


def _require_named(flag: str, name: str, registry: Registry[Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a registered name with defaults filled in.

    Raises:
        BenchError: the name or an option is unknown, or a value is not allowed.
    """
    if name not in registry:
        raise BenchError(f"{flag} {name}: {registry.problem(name)}")
    entry = registry.get(name)
    try:
        return entry.options.resolve(given)
    except ValidationError as error:
        key = flag.removeprefix("--")
        found = options.sentences(error, entry.options.schema)
        raise BenchError(*(f"{'.'.join(map(str, (key, *path)))}: {sentence}" for path, sentence in found)) from error


def _known(request: Request, given: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Known:
    """Find out what weights are: the project's own by the record beside them, others' by their names and shapes."""
    if (cell := _own_record(request.weights)) is not None:
        student = cell["student"]
        if student["name"] != request.model:
            raise BenchError(f"{request.weights} holds weights of '{student['name']}': use --model {student['name']}")
        origin = f"trained by bench ({CONFIG} beside it)"
        return Known(weights, origin, student["options"], None, cell["recipe"]["align_corners"], cell)
    model = _built(request.model, 2, students.get(request.model).options.resolve(given), "meta")
    try:
        found = recognised(model, weights)
    except BenchError as error:
        raise BenchError(*(f"{request.weights}: {problem}" for problem in error.problems)) from error
    if found is None:
        return Known(weights, "not known: options and the dataset's normalisation as given")
    if request.weights.suffix == SAFETENSORS:  # what the project itself writes: it has the published names as well
        return Known(found.weights, "shapes alone: the file is not in its authors' format", found.options)
    told = {**found.options, **found.preparation}
    return Known(
        found.weights, f"a checkpoint in the form of {found.layout}", told, found.num_classes, found.align_corners
    )


def _built(name: str, channels: int, model_options: dict[str, Any], device: str = "cpu") -> Model:
    try:
        return build_model(name, channels, model_options, device)
    except BenchError:
        raise
    except Exception as error:  # a builder's own code meets the user's options here
        raise BenchError(
            f"model '{name}' with {model_options or 'no options'} cannot be built: {describe_error(error)}"
        ) from error


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


def _channels(request: Request, known: Known, info: DatasetInfo) -> int:
    """Return the model's output channels; one more than the dataset's classes is taken as void."""
    classes = info.num_classes
    channels = request.classes or known.num_classes or classes
    if channels < classes:
        raise BenchError(
            f"{request.weights} gives {channels} classes, dataset '{request.dataset}' has {classes}: "
            f"{', '.join(info.class_names[:20])}"
        )
    if channels > classes + 1 and request.classes is None:
        raise BenchError(
            f"{request.weights} gives {channels} classes, dataset '{request.dataset}' has {classes}. Where the first "
            f"{classes} of them are the dataset's, in its order, score those with --classes {channels}."
        )
    return channels


def _loaded(request: Request, model_options: dict[str, Any], channels: int, weights: Mapping[str, Tensor]) -> Model:
    model = _built(request.model, channels, model_options)
    load_into(model, weights, f"{request.weights} (model '{request.model}', {channels} classes)")
    if bad := [name for name, value in model.state_dict().items() if not bool(torch.isfinite(value).all())]:
        raise BenchError(f"{request.weights} holds numbers that are not finite: {', '.join(bad[:5])}")
    return model


def _require_working(model: ScoredModel, request: Request, samples: TargetSamples[Any]) -> None:
    height, width = samples[0][1].shape[-2:]
    try:
        output_spec(model, (int(height), int(width)))
    except Exception as error:
        size = "x".join(map(str, request.size or (height, width)))
        raise BenchError(
            f"model '{request.model}' does not work on images of {size}: {describe_error(error)}. Give another --size."
        ) from error


def _scores(
    model: ScoredModel,
    samples: TargetSamples[Any],
    recipe: TaskSettings,
    setting: Setting,
    batch_size: int,
    workers: int,
) -> dict[str, Any]:
    model = model.to(memory_format=torch.channels_last).to(setting.device)
    try:
        return evaluate(model, samples, Segmentation(setting.info, recipe), setting, batch_size, workers)[1]
    except torch.OutOfMemoryError as error:
        raise BenchError(f"out of memory: {str(error).splitlines()[0]} Use a smaller --batch-size.") from error


def _image_facts(model: Model, request: Request, samples: TargetSamples[Any], info: DatasetInfo) -> Record:
    """Return how images reach the model; sizes are height and width, those of the first image for the labels."""
    height, width = samples[0][1].shape[-2:]
    return {
        "label_size": [int(height), int(width)],
        "input_size": list(request.size or (int(height), int(width))),
        "mean": list(model.mean or info.mean),
        "std": list(model.std or info.std),
        "normalization_of": "the dataset" if model.mean is None else "the weights",
        "channels": "BGR" if model.bgr else "RGB",
    }
