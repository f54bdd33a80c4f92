"""What a model is: a module that returns :class:`~bench.method.Outputs`, and how to build one by name."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.base.registry import students, teachers
from bench.method import Outputs, OutputSpec, TapSpec
from bench.models.weights.pretrained import Pretrained

__all__ = ["Pretrained", "SegmentationModel", "build_model", "count_parameters", "output_spec", "students", "teachers"]

Triple = tuple[float, float, float]

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
"""What torchvision's published weights expect, RGB in 0..1, whatever they were trained on since."""


class SegmentationModel(nn.Module):
    """Base class of students and teachers.

    ``forward`` takes images, N x 3 x H x W float, normalised, and returns :class:`Outputs`: logits before up-sampling,
    the embedding that the classifier reads, and the encoder stages from fine to coarse.

    Attributes:
        auxiliary: a head that exists for training only; it is never counted as an inference parameter.
        training_only: names of further submodules that inference does not use, such as a report's adapters.
        mean: RGB mean in 0..1 that the model expects to be subtracted; None takes the dataset's.
        std: RGB standard deviation in 0..1 to divide by; None takes the dataset's.
        bgr: whether it expects blue first; mean and std are given as RGB all the same.
        pretrained: published weights that it starts from; none unless it was built with ``pretrained: true``.
    """

    auxiliary: nn.Module | None
    training_only: tuple[str, ...] = ()
    mean: Triple | None = None
    std: Triple | None = None
    bgr: bool = False

    def __init__(self) -> None:
        super().__init__()
        self.auxiliary = None
        self.pretrained: tuple[Pretrained, ...] = ()

    def forward(self, images: Tensor) -> Outputs:
        """Return the outputs for a batch of images."""
        raise NotImplementedError


def build_model(name: str, num_classes: int, options: dict[str, Any], device: str = "cpu") -> SegmentationModel:
    """Build a model by its registered name.

    Args:
        name: registered student or teacher.
        num_classes: number of classes K.
        options: keyword-only options of its builder.
        device: where the parameters are made; ``meta`` makes none.

    Raises:
        BenchError: unknown name.
    """
    with torch.device(device):
        model = students.get(name).builder(num_classes, **options)
    if not isinstance(model, SegmentationModel):
        raise BenchError(f"model '{name}' must be a bench.models.base.SegmentationModel, got {type(model).__name__}")
    return model


def count_parameters(model: nn.Module) -> int:
    """Return the number of parameters used at inference: all but those of an auxiliary head and training-only parts."""
    names = ("auxiliary", *getattr(model, "training_only", ()))
    extra = [part for name in names if isinstance(part := getattr(model, name, None), nn.Module)]
    skipped = {id(parameter) for part in extra for parameter in part.parameters()}
    return sum(parameter.numel() for parameter in model.parameters() if id(parameter) not in skipped)


def output_spec(model: SegmentationModel, size: tuple[int, int]) -> OutputSpec:
    """Return channels and strides of a model's outputs at an input size, without computing anything.

    Args:
        model: on any device; a copy on the meta device is run.
        size: input height and width.
    """
    probe = copy.deepcopy(model).to("meta").eval()
    with torch.no_grad():
        outputs = probe(torch.empty(1, 3, *size, device="meta"))

    def spec(tensor: Tensor) -> TapSpec:
        return TapSpec(tensor.shape[1], size[0] / tensor.shape[2])

    embedding = None if outputs.embedding is None else spec(outputs.embedding)
    return OutputSpec(spec(outputs.logits), embedding, tuple(spec(stage) for stage in outputs.stages))
