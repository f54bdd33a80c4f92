"""Pictures of one image: itself, class masks over it, and where a prediction is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.data.facts import DatasetInfo
from bench.tasks.base import Painter
from bench.tasks.segmentation.overlay import Colour, distinct_palette

LONGEST_SIDE = 640
SMALLEST_SIDE = 320
"""Smaller images are enlarged by the largest whole factor that keeps within this, so that their pixels can be seen."""
OPACITY = 0.55
WRONG: Colour = (255, 64, 32)
IGNORED: Colour = (120, 120, 120)
_HATCH = ((205, 205, 205), (120, 120, 120))
_STRIPE = 5
_GREYS = 32
_FADED_FROM = 168
"""Right pixels of an error map show the image in greys from this to white, which no other mark has."""
_IS_IGNORED, _IS_WRONG, _IS_RIGHT = range(3)


class MaskPainter(Painter):
    """An image with its labels, shown at one size.

    Args:
        pixels: H x W x 3 RGB.
        target: H x W class indices and the ignore index.
        info: classes and their colours.
    """

    def __init__(self, pixels: NDArray[np.uint8], target: Any, info: DatasetInfo) -> None:
        super().__init__(pixels, target, info)
        labels = np.asarray(target)
        self.labels, self.ignored = labels, labels == info.ignore_index
        self.size = shown_size(*labels.shape)
        shrunk = self.size[0] < labels.shape[1]
        method = Image.Resampling.LANCZOS if shrunk else Image.Resampling.NEAREST
        self._photo = Image.fromarray(pixels).resize(self.size, method)
        self._colours = colour_table(info)

    def photo(self) -> Image.Image:
        """Return the image itself."""
        return self._photo

    def truth(self) -> Image.Image:
        """Return the labels over the image; ignored pixels are hatched grey."""
        drawn = np.asarray(self.prediction(self.labels)).copy()
        rows, columns = np.indices(drawn.shape[:2])
        light = (rows + columns) // _STRIPE % 2 == 0
        ignored = self._shown(self.ignored.astype(np.uint8)) != 0
        drawn[ignored & light], drawn[ignored & ~light] = _HATCH
        return Image.fromarray(drawn)

    def prediction(self, predicted: NDArray[np.uint8]) -> Image.Image:
        """Return an H x W mask of classes over the image."""
        return Image.blend(self._photo, Image.fromarray(self._colours[self._shown(predicted)]), OPACITY)

    def error(self, predicted: NDArray[np.uint8]) -> Image.Image:
        """Return a palette image: wrong pixels in :data:`WRONG`, ignored ones in :data:`IGNORED`, right ones faded."""
        states = np.where(self.labels == predicted, _IS_RIGHT, _IS_WRONG).astype(np.uint8)
        states[self.ignored] = _IS_IGNORED
        shown = self._shown(states)
        greys = np.asarray(self._photo.convert("L")) // (256 // _GREYS)
        image = Image.fromarray(np.where(shown == _IS_RIGHT, _IS_RIGHT + greys, shown).astype(np.uint8))
        faded = np.linspace(_FADED_FROM, 255, _GREYS).round().astype(int).tolist()
        colours = [*IGNORED, *WRONG, *(value for grey in faded for value in (grey, grey, grey))]
        image.putpalette(colours + [0] * (768 - len(colours)))
        return image

    def _shown(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.asarray(Image.fromarray(values).resize(self.size, Image.Resampling.NEAREST))


def shown_size(height: int, width: int) -> tuple[int, int]:
    """Return width and height of the pictures of an image; labels are never blurred to reach it."""
    longest = max(height, width)
    if longest <= LONGEST_SIDE:
        factor = max(1, SMALLEST_SIDE // longest)
        return width * factor, height * factor
    scale = LONGEST_SIDE / longest
    return max(1, round(width * scale)), max(1, round(height * scale))


def colour_table(info: DatasetInfo) -> NDArray[np.uint8]:
    """Return the 256 x 3 colours of every label value: the dataset's own where it has one for each class."""
    own = info.palette if len(info.palette) == info.num_classes else distinct_palette(info.num_classes)
    table = np.empty((256, 3), np.uint8)
    table[:] = IGNORED
    table[: len(own)] = own
    return table


def mask_legend(
    painters: Sequence[MaskPainter], shown: Sequence[NDArray[np.uint8]], info: DatasetInfo
) -> list[tuple[str, Colour]]:
    """Return names and colours of the classes that labels or predictions show, and of the marks.

    Args:
        painters: of the images.
        shown: H x W masks of predicted classes.
        info: classes and their colours.
    """
    masks = [*(painter.labels for painter in painters), *shown]
    classes = {int(value) for mask in masks for value in np.unique(mask) if value < info.num_classes}
    colours = colour_table(info).tolist()
    entries = [(info.class_names[index], (*colours[index],)) for index in sorted(classes)]
    marks = [("wrong (error maps)", WRONG)]
    if any(painter.ignored.any() for painter in painters):
        marks.append(("ignored", IGNORED))
    return [*entries, *marks]
