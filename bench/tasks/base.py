"""What a task is: everything that depends on the kind of prediction, for those who train, score and draw."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import torch
from torch import Tensor

from bench.base.errors import BenchError, Unsupported, unknown
from bench.base.registry import Registry, import_each
from bench.data.facts import DatasetInfo
from bench.method import EVERY_TASK, Batch, Method, Specs
from bench.models.base import Model
from bench.tasks.metric import Evidence, Scoring
from bench.tasks.scorings import register_scoring

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

Sample = tuple[Tensor, Any]
"""An image, uint8 3 x H x W, and its target."""
Stacked = tuple[Tensor, Any]
"""Images, uint8 N x 3 x H x W, and their targets as one value of tensors, lists, tuples and dicts."""
Colour = tuple[int, int, int]
"""Red, green and blue, 0..255."""
Forward = Callable[[Tensor], Any]
"""Images N x 3 x H x W, normalised, to the outputs of the task."""


class Evaluator(ABC):
    """Collects what a split's scores are made from."""

    @abstractmethod
    def update(self, predictions: Any, batch: Batch) -> None:
        """Add the predictions for a batch, as :meth:`Task.predict` gives them."""

    @abstractmethod
    def evidence(self) -> Evidence:
        """Return the records of every image seen, in their order."""

    @abstractmethod
    def scores(self) -> dict[str, Any]:
        """Return every metric of the scoring by key, None where it cannot be told, and what else a result keeps."""


class Painter:
    """Draws one image, its truth and predictions for it, all pictures of one size.

    Args:
        pixels: H x W x 3 RGB.
        target: of the sample.
        info: facts of the dataset.
    """

    def __init__(self, pixels: NDArray[np.uint8], target: Any, info: DatasetInfo) -> None:
        self.pixels, self.target, self.info = pixels, target, info

    def photo(self) -> Image.Image:
        """Return the image itself."""
        from PIL import Image

        return Image.fromarray(self.pixels)

    def truth(self) -> Image.Image:
        """Return the target over the image; as a prediction is drawn, unless a task does otherwise."""
        return self.prediction(self.target)

    def prediction(self, predicted: Any) -> Image.Image:
        """Return a prediction over the image."""
        raise NotImplementedError

    def error(self, predicted: Any) -> Image.Image | None:
        """Return where a prediction is wrong; None where a task has no such picture."""
        return None


class Task(ABC):
    """Everything of a training that depends on the kind of prediction.

    A task is registered with ``@register_task``; a dataset names its task, and a model the one that it is for. What a
    recipe says of the task alone are the fields of ``scoring.settings``.

    Args:
        info: facts of the dataset.
        recipe: a recipe, which holds the task's settings.

    Attributes:
        scoring: name, metrics and evidence: the half of the task that tables are made with.
        painter: draws the pictures of a gallery; None where there are none.
        taps: names of the outputs that its models may give to a method.
    """

    scoring: ClassVar[Scoring]
    painter: ClassVar[type[Painter] | None] = None
    taps: ClassVar[frozenset[str]] = frozenset({"stages"})
    recipe: Any

    def __init__(self, info: DatasetInfo, recipe: Any) -> None:
        self.info = info
        self.recipe = recipe

    @classmethod
    def channels(cls, info: DatasetInfo) -> int:
        """Return how many output channels models are built with: the number of classes."""
        return info.num_classes

    @classmethod
    def require_fit(cls, model: Model, told: str, spec: Specs, dataset: str, info: DatasetInfo) -> None:
        """Refuse a model of another task; a task also refuses outputs that are not those of a dataset.

        Args:
            model: the model, on any device.
            told: role and name of the model, for messages.
            spec: shapes of its outputs.
            dataset: name of the dataset.
            info: its facts.

        Raises:
            Unsupported: the model is of another task.
            BenchError: its outputs are not those of the dataset; both sides are told.
        """
        if model.task != cls.scoring.name:
            raise Unsupported(f"{told} is a model for {model.task}, the dataset's task is {cls.scoring.name}")

    @classmethod
    def require_taps(cls, method: Method, name: str) -> None:
        """Refuse a method that taps an output which models of this task have not got.

        Raises:
            Unsupported: with the reason, which a plan shows.
        """
        if lacking := [tap for tap in method.taps if tap not in cls.taps]:
            raise Unsupported(
                f"{name} reads {', '.join(lacking)}, which models for {cls.scoring.name} do not give; "
                f"they give {', '.join(sorted(cls.taps))}"
            )

    @classmethod
    def protocol(cls) -> dict[str, Any]:
        """Return how a split is evaluated, as far as no recipe can change it; part of the protocol's hash."""
        return {}

    @staticmethod
    def collate(samples: Sequence[Sample]) -> list[Stacked]:
        """Stack samples in order; several batches where they do not fit into one.

        Here neighbours of equal size are stacked, and so are their targets, a tensor each.

        Args:
            samples: images, uint8 3 x H x W, with their targets.
        """
        runs = itertools.groupby(samples, key=lambda sample: tuple(sample[0].shape[-2:]))
        return [_stacked(list(run)) for _, run in runs]

    @staticmethod
    def fills(info: DatasetInfo) -> dict[type, Any]:
        """Return what padding of an augmentation is filled with, by the type of tensor; 0 for types left out."""
        return {}

    @abstractmethod
    def batch(self, images: Tensor, target: Any) -> Batch:
        """Return a loaded batch that lies on the training device as methods see it.

        Args:
            images: N x 3 x H x W float32 in 0..1.
            target: from :meth:`collate`, in memory of its own.
        """

    @abstractmethod
    def loss(self, outputs: Any, batch: Batch) -> dict[str, Tensor]:
        """Return the task's own loss terms, scalars by name."""

    @abstractmethod
    def predict(self, forward: Forward, images: Tensor, batch: Batch) -> Any:
        """Return predictions for a batch, as the recipe's evaluation takes them.

        Args:
            forward: the model.
            images: N x 3 x H x W, normalised for it.
            batch: the batch that they are from.
        """

    @abstractmethod
    def evaluator(self) -> Evaluator:
        """Return a fresh evaluator."""

    def shown(self, predictions: Any) -> list[Any]:
        """Return the predictions for a batch one by one, on the host, as the painter takes them."""
        return list(predictions.cpu().numpy())

    @classmethod
    def legend(cls, painters: Sequence[Any], shown: Sequence[Any], info: DatasetInfo) -> list[tuple[str, Colour]]:
        """Return names and colours of what pictures show.

        Args:
            painters: of the images.
            shown: every prediction for one of them that is drawn.
            info: facts of the dataset.
        """
        return []


def _stacked(samples: Sequence[Sample]) -> Stacked:
    images, targets = ([tensor.as_subclass(Tensor) for tensor in side] for side in zip(*samples, strict=True))
    return torch.stack(images), torch.stack(targets)


def require_task(tasks: Sequence[str], method: str, task: str) -> None:
    """Refuse a method that is for other tasks.

    Raises:
        Unsupported: with the reason.
    """
    if tuple(tasks) != EVERY_TASK and task not in tasks:
        raise Unsupported(f"{method} is for {' and '.join(tasks) or 'no common task'}, the dataset's task is {task}")


T = TypeVar("T", bound=type[Task])
tasks: Registry[Any] = Registry("task")


def register_task(task: T) -> T:
    """Register a task under the name of its scoring.

    Raises:
        BenchError: the name is taken.
    """
    tasks.register(task.scoring.name)(task)
    register_scoring(task.scoring)
    return task


def find_task(name: str) -> type[Task]:
    """Return the task of a name.

    Raises:
        BenchError: nothing has that name.
    """
    import_each("bench.tasks", "task")
    if name not in tasks:
        raise BenchError(unknown("task", name, tasks.names()))
    found: type[Task] = tasks.get(name).builder
    return found
