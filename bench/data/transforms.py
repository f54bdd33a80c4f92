"""Training augmentation: torchvision transforms v2 on an image and its mask together."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, ConfigDict, field_validator, model_validator
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as transforms

from bench.data.base import DatasetInfo

PositiveInt = Annotated[int, Gt(0)]


class Augment(BaseModel):
    """What is done to a training sample, in this order.

    Attributes:
        scale: range of the random factor on the image's own size, uniform; images bilinear, masks
            nearest by pixel centres, so that the two stay aligned.
        crop: height and width of the random crop; one number is a square. What the image lacks is padded: the image
            with the dataset's mean, the mask with the ignore label.
        shift: pixels of random translation, at most, in each direction; what comes in is padding.
        flip: probability of a horizontal flip.
        jitter: strength of brightness, contrast and saturation jitter; hue gets a tenth of it, at most 0.5.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scale: tuple[Annotated[float, Gt(0)], Annotated[float, Gt(0)]] = (1.0, 1.0)
    crop: tuple[PositiveInt, PositiveInt] | None = None
    shift: Annotated[int, Ge(0)] = 0
    flip: Annotated[float, Ge(0), Le(1)] = 0.0
    jitter: Annotated[float, Ge(0), Le(1)] = 0.0

    @field_validator("crop", mode="before")
    @classmethod
    def _square(cls, value: Any) -> Any:
        return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _ordered(self) -> Augment:
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"scale: the smaller factor stands first, got {list(self.scale)}")
        if self.scale != (1.0, 1.0) and self.crop is None:
            raise ValueError("scale makes images of many sizes: give crop as well")
        return self


class RandomScale(v2.Transform):
    """Resize by a random factor of the sample's own size.

    Args:
        low: smallest factor.
        high: largest factor.
    """

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw one factor for the image and its mask."""
        height, width = transforms.get_size(flat_inputs[0])
        factor = float(torch.empty(()).uniform_(self.low, self.high))
        return {"size": [max(1, round(height * factor)), max(1, round(width * factor))]}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Resize; masks keep their labels."""
        nearest = isinstance(inpt, tv_tensors.Mask)
        mode = InterpolationMode.NEAREST_EXACT if nearest else InterpolationMode.BILINEAR
        return transforms.resize(inpt, params["size"], interpolation=mode, antialias=True)


def build_train_transform(augment: Augment, info: DatasetInfo) -> v2.Compose:
    """Return the augmentation of a recipe for one dataset.

    Args:
        augment: what to do.
        info: gives the mean that images are padded with and the label that masks are padded with.
    """
    fill: dict[Any, Any] = {
        tv_tensors.Image: [round(255 * value) for value in info.mean],
        tv_tensors.Mask: info.ignore_index,
    }
    steps: list[v2.Transform] = []
    if augment.scale != (1.0, 1.0):
        steps.append(RandomScale(*augment.scale))
    if augment.shift:
        steps.append(RandomShift(augment.shift, fill))
    if augment.crop is not None:
        steps.append(v2.RandomCrop(list(augment.crop), pad_if_needed=True, fill=fill))
    if augment.flip:
        steps.append(v2.RandomHorizontalFlip(augment.flip))
    if augment.jitter:
        strength = augment.jitter
        steps.append(v2.ColorJitter(strength, strength, strength, min(0.5, strength / 10)))
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
        padded = transforms.pad(inpt, [self.pixels] * 4, fill=self.fill[type(inpt)])
        return transforms.crop(padded, **params)
