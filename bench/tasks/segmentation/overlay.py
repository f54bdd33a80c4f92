"""A class mask as a picture: palette PNG, and an overlay on its image with a legend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from bench.base.fonts import Letters
from bench.base.text import one_line

Colour = tuple[int, int, int]
Entry = tuple[int, str, str]
"""A line of a legend: class index, class name, and what is said of it, such as its share of the pixels."""

_SMALLEST_SIDE = 640
"""Pictures with a longer side below this are enlarged by a whole factor, so that the legend fits beneath."""
_PAPER, _INK, _PALE_INK, _FRAME = (255, 255, 255), (30, 30, 30), (110, 110, 110), (120, 120, 120)
_PALETTE_ENTRIES = 256


def distinct_palette(count: int) -> tuple[Colour, ...]:
    """Return colours that differ from each other, for up to 256 classes.

    The bits of the class index, three at a time, become the highest, next, ... bits of red, green and blue, as in the
    colour map of the PASCAL VOC development kit; class 0 is black.
    """
    colours = []
    for index in range(count):
        channels = [0, 0, 0]
        for place in range(8):
            for channel in range(3):
                channels[channel] |= ((index >> (3 * place + channel)) & 1) << (7 - place)
        colours.append((channels[0], channels[1], channels[2]))
    return tuple(colours)


def palette_image(mask: NDArray[np.uint8], palette: Sequence[Colour]) -> Image.Image:
    """Return a mask as an 8-bit palette image: its pixels are the class indices, shown in the palette's colours.

    Args:
        mask: H x W class indices.
        palette: a colour for each class.
    """
    image = Image.fromarray(mask)
    flat = [channel for colour in palette for channel in colour]
    # all 256 entries: with fewer, PNG packs several pixels into a byte, which not every reader takes for indices
    image.putpalette(flat + [0] * (3 * _PALETTE_ENTRIES - len(flat)))
    return image


def draw_overlay(
    pixels: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    palette: Sequence[Colour],
    legend: Sequence[Entry],
    alpha: float,
) -> Image.Image:
    """Return an image with its mask drawn over it, outlines of the regions, and a legend beneath.

    Args:
        pixels: H x W x 3 RGB.
        mask: H x W class indices.
        palette: a colour for each class.
        legend: its lines, in order.
        alpha: opacity of the mask, 0..1.
    """
    factor = max(1, _SMALLEST_SIDE // max(mask.shape))
    pixels, mask = (array.repeat(factor, axis=0).repeat(factor, axis=1) for array in (pixels, mask))
    colours = np.asarray(palette, dtype=np.float32)[mask]
    opacity = np.where(_outlines(mask), np.float32(min(1.0, 2 * alpha)), np.float32(alpha))[..., None]
    blended = Image.fromarray((pixels * (1 - opacity) + colours * opacity).round().astype(np.uint8))
    width = max(blended.width, _SMALLEST_SIDE // 2)
    strip = _Legend(width).draw(legend, palette)
    sheet = Image.new("RGB", (width, blended.height + strip.height), _PAPER)
    sheet.paste(blended, ((width - blended.width) // 2, 0))
    sheet.paste(strip, (0, blended.height))
    return sheet


def _outlines(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which pixels have a neighbour of another class above, below, left or right."""
    edges = np.zeros(mask.shape, dtype=bool)
    down, right = mask[1:] != mask[:-1], mask[:, 1:] != mask[:, :-1]
    edges[1:] |= down
    edges[:-1] |= down
    edges[:, 1:] |= right
    edges[:, :-1] |= right
    return edges


class _Legend:
    """Lines in as many columns of one width as fit.

    Args:
        width: of the picture in pixels; the size of the text goes with it.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.size = max(13, round(width / 52))
        self.font = Letters(self.size)
        self.space = width - 2 * self.size

    def draw(self, entries: Sequence[Entry], palette: Sequence[Colour]) -> Image.Image:
        """Return the picture; a name too long for it ends in an ellipsis."""
        size, row, box = self.size, round(1.7 * self.size), round(0.95 * self.size)
        indent, gap = box + size // 2, round(0.7 * size)
        lines = []
        for index, text, told in entries:
            name = self._shortened(one_line(text), self.space - indent - gap - self.font.getlength(told))
            lines.append((palette[index], name, indent + self.font.getlength(name) + gap, told))
        widest = max((begin + self.font.getlength(told) for _, _, begin, told in lines), default=0)
        columns = max(1, min(len(lines), int((self.space + 2 * size) // (widest + 2 * size))))
        rows = -(-len(lines) // columns)
        image = Image.new("RGB", (self.width, rows * row + size), _PAPER)
        pen = ImageDraw.Draw(image)
        for place, (colour, name, begin, told) in enumerate(lines):
            column, line = divmod(place, rows)  # down the columns, as lists are read
            left = size + round(column * (self.space + 2 * size) / columns)
            middle = size // 2 + line * row + row // 2
            pen.rectangle((left, middle - box // 2, left + box, middle - box // 2 + box), fill=colour, outline=_FRAME)
            self.font.draw(pen, (left + indent, middle), name, _INK, "lm")
            self.font.draw(pen, (left + begin, middle), told, _PALE_INK, "lm")
        return image

    def _shortened(self, text: str, width: float) -> str:
        if self.font.getlength(text) <= width:
            return text
        kept = len(text)
        while kept > 1 and self.font.getlength(f"{text[:kept].rstrip()}…") > width:
            kept -= 1
        return f"{text[:kept].rstrip()}…"
