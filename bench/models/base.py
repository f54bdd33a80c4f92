"""What a model is: a module that returns :class:`~bench.method.Outputs`, and how to build one by name."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from bench.base.errors import BenchError
from bench.base.registry import students, teachers
from bench.method import Outputs, Specs, TaskOutputs
from bench.models.weights.pretrained import Pretrained

__all__ = [
    "Model",
    "Pretrained",
    "SegmentationModel",
    "build_model",
    "count_parameters",
    "lone_value",
    "output_spec",
    "students",
    "teachers",
]

Triple = tuple[float, float, float]

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
"""What torchvision's published weights expect, RGB in 0..1, whatever they were trained on since."""


_LONE_VALUE = "Expected more than 1 value per channel when training"
"""How torch's batch norm says that it has one value for a mean and a variance."""


class Model(nn.Module):
    """Base class of students and teachers of any task.

    ``forward`` takes images, N x 3 x H x W float, normalised, and returns the outputs of its task.

    Attributes:
        task: name of the task that it is for.
        auxiliary: a head that exists for training only; it is never counted as an inference parameter.
        training_only: names of further submodules that inference does not use, such as a report's adapters.
        mean: RGB mean in 0..1 that the model expects to be subtracted; None takes the dataset's.
        std: RGB standard deviation in 0..1 to divide by; None takes the dataset's.
        bgr: whether it expects blue first; mean and std are given as RGB all the same.
        pretrained: published weights that it starts from; none unless it was built with ``pretrained: true``.
    """

    task: ClassVar[str]
    auxiliary: nn.Module | None
    training_only: tuple[str, ...] = ()
    mean: Triple | None = None
    std: Triple | None = None
    bgr: bool = False

    def __init__(self) -> None:
        super().__init__()
        self.auxiliary = None
        self.pretrained: tuple[Pretrained, ...] = ()

    def forward(self, images: Tensor) -> TaskOutputs:
        """Return the outputs for N x 3 x H x W images."""
        raise NotImplementedError


class SegmentationModel(Model):
    """Base class of students and teachers that give class scores of every pixel.

    ``forward`` takes images, N x 3 x H x W float, normalised, and returns :class:`Outputs`: logits before up-sampling,
    the embedding that the classifier reads, and the encoder stages from fine to coarse.
    """

    task = "segmentation"

    def forward(self, images: Tensor) -> Outputs:
        """Return the outputs for N x 3 x H x W images."""
        raise NotImplementedError


def build_model(name: str, num_classes: int, options: dict[str, Any], device: str = "cpu") -> Model:
    """Build a model by its registered name.

    Args:
        name: registered student or teacher.
        num_classes: number of classes K, or of output channels of a task without classes.
        options: keyword-only options of its builder.
        device: where the parameters are made; ``meta`` makes none.

    Raises:
        BenchError: unknown name.
    """
    with torch.device(device):
        model = students.get(name).builder(num_classes, **options)
    if not isinstance(model, Model):
        raise BenchError(f"model '{name}' must be a bench.models.base.Model, got {type(model).__name__}")
    return model


def count_parameters(model: nn.Module) -> int:
    """Return the number of parameters used at inference: all but those of an auxiliary head and training-only parts."""
    names = ("auxiliary", *getattr(model, "training_only", ()))
    extra = [part for name in names if isinstance(part := getattr(model, name, None), nn.Module)]
    skipped = {id(parameter) for part in extra for parameter in part.parameters()}
    return sum(parameter.numel() for parameter in model.parameters() if id(parameter) not in skipped)


def output_spec(model: Model, size: tuple[int, int]) -> Specs:
    """Return channels and strides of a model's outputs at an input size, without computing anything.

    Args:
        model: on any device; a copy of it is run on no image, or on the meta device where it cannot be.
        size: input height and width.
    """
    with torch.no_grad():
        try:
            outputs = _run_copy(model, 0, size, "cpu")
        except Exception:  # noqa: BLE001 - a reshape to -1 has no answer for no image; other faults show on meta again
            outputs = _run_copy(model, 1, size, "meta")  # imports torch's compiler, which takes as long as torch
    return outputs.spec(size)


def lone_value(model: Model, size: tuple[int, int]) -> str:
    """Return what torch says where a batch norm cannot learn from one image, as it sees one value a channel.

    Behind pooling to one pixel a batch of one image leaves a single value, which has no variance; two images are
    always enough.

    Args:
        model: on any device; a copy of it is run, in training: on no image, and where that leaves a doubt, on one of
            the meta device, or of the CPU where it cannot be.
        size: input height and width.

    Returns:
        torch's sentence; empty where there is no such norm, or where the model fails on something else, which its
        training tells.
    """
    with torch.no_grad():
        with contextlib.suppress(Exception), _Norms() as norms:
            _run_copy(model, 0, size, "cpu", training=True)
            if not norms.pooled:
                return ""
        for device in ("meta", "cpu"):
            try:
                _run_copy(model, 1, size, device, training=True)
            except ValueError as error:
                if _LONE_VALUE in str(error):
                    return str(error)
            except Exception:  # noqa: BLE001 - code that looks at values has none to look at on meta
                continue
            else:
                break
    return ""


class _Norms(TorchFunctionMode):
    """Notes whether a normalisation sees one pixel an image.

    Attributes:
        pooled: whether one did.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pooled = False

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Look at what a function is given, and call it."""
        if func in (F.batch_norm, F.group_norm, F.instance_norm):
            self.pooled |= math.prod(args[0].shape[2:]) == 1
        return func(*args, **(kwargs or {}))


def _run_copy(
    model: Model, batch_size: int, size: tuple[int, int], device: str, *, training: bool = False
) -> TaskOutputs:
    """Return the outputs of a copy without its weights for a batch of unset images."""
    probe = copy.deepcopy(model).train(training)
    tensors = {
        name: (torch.empty if tensor.is_floating_point() else torch.zeros)(
            tensor.shape, dtype=tensor.dtype, device=device
        )
        for name, tensor in (*probe.named_parameters(), *probe.named_buffers())
    }
    images = torch.empty(batch_size, 3, *size, device=device)
    outputs: TaskOutputs = functional_call(probe, tensors, (images,))
    return outputs
