"""Weights of any origin, scored on a split with the code that scores students."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
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
from bench.base.registry import Registry, datasets, load_plugins, students
from bench.data.base import Data, TargetSamples
from bench.data.facts import DatasetInfo
from bench.deploy.weights import KnownWeights, build_loaded, identify, output_channels
from bench.matrix.overrides import apply_override
from bench.matrix.recipe import recipe_for
from bench.matrix.settings import Settings
from bench.method import Outputs
from bench.models.base import Model, SegmentationModel, count_parameters, output_spec
from bench.models.weights.reading import read_told
from bench.store.folders import STORE_SCHEMA, Record
from bench.tasks.metric import TaskSettings
from bench.tasks.scorings import DEFAULT
from bench.tasks.segmentation.scores import ABSENT_CLASS_POLICY
from bench.tasks.segmentation.task import Segmentation
from bench.train.evaluate import evaluate
from bench.train.setting import Setting


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
        """Return the model's outputs for N x 3 x H x W images, their logits N x K x h x w."""
        if self.size is not None:
            images = F.interpolate(images, size=self.size, mode="bilinear", antialias=True)
        outputs: Outputs = self.model(images)
        return replace(outputs, logits=outputs.logits[:, : self.num_classes])


@dataclass(frozen=True)
class _Split:
    """The split of a dataset that is scored.

    Attributes:
        dataset: registered name.
        options: all options of the dataset.
        data: the dataset.
        name: of the split.
    """

    dataset: str
    options: dict[str, Any]
    data: Data
    name: str

    def samples(self) -> TargetSamples[Any]:
        """Return the samples.

        Raises:
            BenchError: they are not here, or there are none.
        """
        self.data.require((self.name,))
        samples = self.data.split(self.name)
        if not len(samples):
            raise BenchError(f"the {self.name} split of {self.dataset} is empty")
        return samples


def evaluate_weights(request: Request, settings: Settings) -> Record:
    """Score weights on a split, whole images at label resolution.

    Returns:
        ``model``, ``weights``, ``dataset``, ``protocol`` and ``metrics``, as JSON holds them.

    Raises:
        BenchError: an unknown name, a file that is no checkpoint or does not fit, data that cannot be read.
    """
    load_plugins(request.plugins)
    given = _given(request)
    _resolved("--model", request.model, students, given["model"])
    device = find_device(settings.device)
    split = _find_split(request, given["dataset"], settings)
    read = read_told(request.weights)
    known = identify(request.weights, request.model, given["model"], read.tensors, read.notes)
    samples, info = split.samples(), split.data.info
    model_options = students.get(request.model).options.resolve({**known.options, **given["model"]})
    channels = output_channels(request.weights, known, request.classes, request.dataset, info)
    model = build_loaded(request.weights, request.model, model_options, channels, known.tensors)
    known.prepare(model)
    recipe = _recipe(request, known)
    scored = ScoredModel(model, info.num_classes, request.size)
    _require_working(scored, request, samples)
    setting = Setting(info, Segmentation, device, functools.partial(make_fabric, device), lambda _: None)
    workers = settings.workers_for(_label_size(samples))
    metrics = _metrics(scored, samples, recipe, setting, request.batch_size, workers)
    if metrics[Segmentation.scoring.primary.key] is None:
        raise BenchError(
            f"the {split.name} split of {request.dataset} has no labelled pixel: there is nothing to score"
        )
    return {
        "schema": STORE_SCHEMA,
        "model": {
            "name": request.model,
            "options": model_options,
            "output_channels": channels,
            "params": count_parameters(model),
        },
        "weights": {"file": str(request.weights), "sha256": file_digest(request.weights), "origin": known.origin},
        "dataset": {"name": request.dataset, "options": split.options, "split": split.name, "n_images": len(samples)},
        "protocol": _protocol(model, request, samples, setting, recipe),
        "metrics": metrics,
    }


def _given(request: Request) -> dict[str, dict[str, Any]]:
    """Return the options of the overrides, by ``model`` and ``dataset``."""
    given: dict[str, Any] = {"model": {}, "dataset": {}}
    for text in request.overrides:
        path = apply_override(given, text)
        if path[0] not in ("model", "dataset") or len(path) < 2:
            raise BenchError(f"--set {text}: write model.option=value or dataset.option=value")
    return given


def _resolved(flag: str, name: str, registry: Registry[Any], given: dict[str, Any]) -> dict[str, Any]:
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


def _find_split(request: Request, given: dict[str, Any], settings: Settings) -> _Split:
    """Build the dataset and find the split in it.

    Raises:
        BenchError: the name, an option or the split is unknown, or the dataset is of another task.
    """
    dataset_options = _resolved("--dataset", request.dataset, datasets, given)
    data: Data = datasets.get(request.dataset).builder(settings.locations, **dataset_options)
    if data.task != DEFAULT:
        raise BenchError(f"--dataset {request.dataset}: its task is {data.task}; evaluate knows {DEFAULT} alone")
    name = request.split or data.info.eval_split
    if name not in data.info.splits:
        raise BenchError(f"--split {name}: {unknown(f'split of {request.dataset}', name, data.info.splits)}")
    return _Split(request.dataset, dataset_options, data, name)


def _recipe(request: Request, known: KnownWeights) -> Any:
    """Return the recipe that the evaluation reads; what was asked for wins over what is known of the weights."""
    align_corners = known.align_corners if request.align_corners is None else request.align_corners
    told = {"iterations": 1, "align_corners": bool(align_corners), "evaluation": known.evaluation}
    return recipe_for().model_validate(told)


def _label_size(samples: TargetSamples[Any]) -> tuple[int, int]:
    """Return height and width of the first sample's labels."""
    height, width = samples[0][1].shape[-2:]
    return int(height), int(width)


def _require_working(model: ScoredModel, request: Request, samples: TargetSamples[Any]) -> None:
    label_size = _label_size(samples)
    try:
        output_spec(model, label_size)
    except Exception as error:
        size = "x".join(map(str, request.size or label_size))
        raise BenchError(
            f"model '{request.model}' does not work on images of {size}: {describe_error(error)}. Give another --size."
        ) from error


def _metrics(
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


def _protocol(model: Model, request: Request, samples: TargetSamples[Any], setting: Setting, recipe: Any) -> Record:
    """Return what the scores depend on besides model and data, as JSON holds it."""
    return {
        **_image_facts(model, request, samples, setting.info),
        "align_corners": recipe.align_corners,
        "evaluation": recipe.evaluation.model_dump(mode="json"),
        "ignore_index": setting.info.ignore_index,
        "absent_classes": ABSENT_CLASS_POLICY,
        "device": str(setting.device),
        "torch": torch.__version__,
    }


def _image_facts(model: Model, request: Request, samples: TargetSamples[Any], info: DatasetInfo) -> Record:
    """Return how images reach the model; sizes are height and width, those of the first image for the labels."""
    label_size = _label_size(samples)
    return {
        "label_size": list(label_size),
        "input_size": list(request.size or label_size),
        "mean": list(model.mean or info.mean),
        "std": list(model.std or info.std),
        "normalization_of": "the dataset" if model.mean is None else "the weights",
        "channels": "BGR" if model.bgr else "RGB",
    }
