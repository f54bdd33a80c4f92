"""Training augmentation: torchvision transforms v2 on an image and its mask together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as transforms

from bench.data.facts import DatasetInfo
from bench.data.feed.augment import Augment


class RandomScale(v2.Transform):
    """Resize by a random factor of the sample's own size.

    Args:
        low: smallest factor.
        high: largest factor.
        step: draw from ``low, low + step, ...`` up to ``high`` instead of the whole range.
    """

    def __init__(self, low: float, high: float, step: float | None = None) -> None:
        super().__init__()
        self.low, self.high, self.step = low, high, step

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw one factor for the image and its mask."""
        height, width = transforms.get_size(flat_inputs[0])
        if self.step is None:
            factor = float(torch.empty(()).uniform_(self.low, self.high))
        else:
            count = int((self.high - self.low) / self.step + 1e-6) + 1
            factor = self.low + self.step * int(torch.randint(count, ()))
        return {"size": [max(1, round(height * factor)), max(1, round(width * factor))]}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Resize; masks keep their labels."""
        return resize(inpt, params["size"])


def resize(inpt: Any, size: list[int]) -> Any:
    """Resize an image bilinearly with anti-aliasing, a mask to the nearest label by pixel centres."""
    nearest = isinstance(inpt, tv_tensors.Mask)
    mode = InterpolationMode.NEAREST_EXACT if nearest else InterpolationMode.BILINEAR
    return transforms.resize(inpt, size, interpolation=mode, antialias=True)


def short_side_size(height: int, width: int, short_side: int) -> list[int]:
    """Return the size with the same aspect whose shorter side has a given length."""
    factor = short_side / min(height, width)
    return [max(1, round(height * factor)), max(1, round(width * factor))]


class ShortSide(v2.Transform):
    """Resize so that the shorter side has a given length.

    Args:
        length: in pixels.
    """

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Resize; masks keep their labels."""
        height, width = transforms.get_size(inpt)
        return resize(inpt, short_side_size(height, width, self.length))


def build_train_transform(augment: Augment, info: DatasetInfo, fills: Mapping[type, Any]) -> v2.Compose:
    """Return the augmentation of a recipe for one dataset; targets of tv_tensors move with the image.

    Args:
        augment: what to do.
        info: gives the mean that images are padded with.
        fills: what targets are padded with, by the type of tensor; 0 for types left out.
    """
    fill: dict[Any, Any] = {"others": 0, tv_tensors.Image: [round(255 * value) for value in info.mean], **fills}
    steps: list[v2.Transform] = []
    if augment.short_side is not None:
        steps.append(ShortSide(augment.short_side))
    if augment.scale != (1.0, 1.0):
        steps.append(RandomScale(*augment.scale, augment.scale_step))
    if augment.shift:
        steps.append(RandomShift(augment.shift, fill))
    if augment.crop is not None:
        steps.append(v2.RandomCrop(list(augment.crop), pad_if_needed=True, fill=fill))
    if augment.flip:
        steps.append(v2.RandomHorizontalFlip(augment.flip))
    if augment.jitter:
        strength = augment.jitter
        steps.append(v2.ColorJitter(strength, strength, strength, min(0.5, strength / 10)))
    if augment.distort:
        steps.append(v2.RandomPhotometricDistort(p=augment.distort))
    return v2.Compose(steps or [v2.Identity()])


class RandomShift(v2.Transform):
    """Translate by a random whole number of pixels in each direction, filling what comes in.

    Args:
        pixels: largest shift.
        fill: value for each kind of input.
    """

    def __init__(self, pixels: int, fill: dict[Any, Any]) -> None:
        super().__init__()
        self.pixels, self.fill = pixels, fill

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw one shift for the image and its mask."""
        top, left = torch.randint(0, 2 * self.pixels + 1, (2,)).tolist()
        height, width = transforms.get_size(flat_inputs[0])
        return {"top": top, "left": left, "height": height, "width": width}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Pad all sides, then crop back to the size."""
        padded = transforms.pad(inpt, [self.pixels] * 4, fill=self.fill.get(type(inpt), 0))
        return transforms.crop(padded, **params)
