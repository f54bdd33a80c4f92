"""A loaded batch on the training device, and its images as each model wants them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from bench.method import Batch
from bench.models.base import Model, Triple
from bench.tasks.base import Task
from bench.train.setting import Setting


class Views:
    """A batch's images, once for each normalisation and order of channels that some model wants.

    Args:
        images: N x 3 x H x W in 0..1.
        setting: gives the dataset's own mean and standard deviation.
        channels_last: memory format of the result.
    """

    def __init__(self, images: Tensor, setting: Setting, channels_last: bool) -> None:
        self._images = images
        self._info = setting.info
        self._format = torch.channels_last if channels_last else torch.contiguous_format
        self._made: dict[tuple[Triple, Triple, bool], Tensor] = {}

    def made(self) -> list[Tensor]:
        """Return every view made so far, each N x 3 x H x W."""
        return list(self._made.values())

    def of(self, model: Model) -> Tensor:
        """Return the N x 3 x H x W images as a model wants them."""
        key = model.mean or self._info.mean, model.std or self._info.std, model.bgr
        if key not in self._made:
            shift, scale = (_channels(values, self._images.device) for values in key[:2])
            view = (self._images - shift) / scale
            view = view.flip(1) if model.bgr else view
            self._made[key] = view.contiguous(memory_format=self._format)
        return self._made[key]


@lru_cache(maxsize=64)
def _channels(values: tuple[float, ...], device: torch.device) -> Tensor:
    """One value a channel, kept on the device: copying it there for every batch would stall it."""
    return torch.tensor(values, dtype=torch.float32, device=device).view(1, -1, 1, 1)


def to_batch(images: Tensor, target: Any, task: Task, device: torch.device) -> Batch:
    """Return a loaded batch on the training device.

    Args:
        images: N x 3 x H x W uint8; in the batch float32 in 0..1.
        target: as the task collates it.
        task: makes the batch of both.
        device: where to.
    """
    moved = images.to(device, non_blocking=True).float() / 255
    return task.batch(moved, _moved(target, device))


def _moved(value: Any, device: torch.device) -> Any:
    """Return a target on a device, in memory of its own: the loaded one stays as it is whatever is done to this."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True, copy=True)
    if isinstance(value, dict):
        return {key: _moved(item, device) for key, item in value.items()}
    return type(value)(_moved(item, device) for item in value) if isinstance(value, list | tuple) else value
