"""What is done to a training sample."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, ConfigDict, model_validator

from bench.base.fields import PositiveInt, Size


class Augment(BaseModel):
    """What is done to a training sample, in this order.

    Attributes:
        short_side: first of all, images are resized so that their shorter side has this length; None leaves them.
        scale: range of the random factor on that size, uniform; images bilinear, masks nearest by pixel centres, so
            that the two stay aligned.
        scale_step: draw the factor from the multiples of this above the smaller one instead, as SKD and CIRKD do (0.1).
        crop: height and width of the random crop; one number is a square. What the image lacks is padded: the image
            with the dataset's mean, the mask with the ignore label.
        shift: pixels of random translation, at most, in each direction; what comes in is padding.
        flip: probability of a horizontal flip.
        jitter: strength of brightness, contrast and saturation jitter; hue gets a tenth of it, at most 0.5.
        distort: probability of each step of SSD's photometric distortion (arXiv 1512.02325), with torchvision's ranges.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    short_side: PositiveInt | None = None
    scale: tuple[Annotated[float, Gt(0)], Annotated[float, Gt(0)]] = (1.0, 1.0)
    scale_step: Annotated[float, Gt(0)] | None = None
    crop: Size | None = None
    shift: Annotated[int, Ge(0)] = 0
    flip: Annotated[float, Ge(0), Le(1)] = 0.0
    jitter: Annotated[float, Ge(0), Le(1)] = 0.0
    distort: Annotated[float, Ge(0), Le(1)] = 0.0

    @model_validator(mode="after")
    def _ordered(self) -> Augment:
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"scale: the smaller factor stands first, got {list(self.scale)}")
        if self.scale != (1.0, 1.0) and self.crop is None:
            raise ValueError("scale makes images of many sizes: give crop as well")
        if self.scale_step is not None and self.scale_step > self.scale[1] - self.scale[0]:
            raise ValueError("scale_step: larger than the range of scale")
        return self
