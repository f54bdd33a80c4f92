"""A contact sheet: samples as image, labels and overlay, with the colours of the classes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from bench.base.errors import FOREIGN, BenchError, describe_error
from bench.base.fonts import Letters
from bench.base.text import one_line
from bench.data.base import Samples
from bench.data.facts import DatasetInfo

CELL_WIDTH = 400
CELL_HEIGHT = 300
LEAST_SIDE = 12
GAP = 12
TEXT_HEIGHT = 22
LEGEND_HEIGHT = 20
SWATCH = 14
NAME_WIDTH = 240
OPACITY = 0.55
_STRIPE = 6
_HEADINGS = ("image", "labels", "overlay")
_WIDTH = len(_HEADINGS) * (CELL_WIDTH + GAP) + GAP
_INK, _FAINT, _FRAME = (20, 20, 20), (110, 110, 110), (190, 190, 190)
_LIGHT, _DARK = (225, 225, 225), (130, 130, 130)
_UNKNOWN = (255, 0, 255)


@dataclass(frozen=True)
class ContactSheet:
    """A drawn contact sheet.

    Attributes:
        image: RGB.
        shown: positions of the samples on it.
        problems: what is wrong with those that cannot be drawn.
    """

    image: Image.Image
    shown: tuple[int, ...]
    problems: tuple[str, ...] = field(default=())

    def png(self) -> bytes:
        """Return the sheet as PNG."""
        buffer = io.BytesIO()
        self.image.save(buffer, format="PNG")
        return buffer.getvalue()


def contact_sheet(samples: Samples, info: DatasetInfo, n: int, seed: int | None = None) -> ContactSheet:
    """Draw samples as image, labels and overlay, one below the other, and a legend of the classes that they show.

    Small images are magnified so that their pixels can be counted; ignored pixels are striped grey.

    Args:
        samples: one split.
        info: of its dataset.
        n: how many samples, at least 1.
        seed: draws them at random; None takes them evenly over the split.

    Raises:
        BenchError: the split is empty, or none of the chosen samples can be read.
    """
    chosen = choose(len(samples), n, seed)
    if not chosen:
        raise BenchError("the split is empty: there is nothing to draw")
    colours = _table(info)
    rows, problems = [], []
    occurring: set[int] = set()
    for index in chosen:
        name = str(samples.names[index])
        try:
            image, mask = samples[index]
            pixels, labels = image.permute(1, 2, 0).numpy(), mask.numpy()
        except FOREIGN as error:  # plug-ins may raise anything; the others are still worth seeing
            problem = str(error) if isinstance(error, BenchError) else f"{name}: {describe_error(error)}"
            problems.append(problem)
            rows.append(_failed_row(name, problem))
            continue
        occurring |= {int(value) for value in np.unique(labels)}
        rows.append(_row(name, pixels, labels, colours, info.ignore_index))
    if len(problems) == len(chosen):
        raise BenchError(*problems)
    return ContactSheet(
        _stacked([_headings(), *rows, _legend(sorted(occurring), info, colours)]), chosen, tuple(problems)
    )


def choose(total: int, n: int, seed: int | None = None) -> tuple[int, ...]:
    """Return up to ``n`` positions of ``total`` in rising order, evenly spread or drawn at random."""
    n = min(n, total)
    if seed is None:
        return tuple(np.linspace(0, total - 1, n).round().astype(int).tolist())
    return tuple(sorted(np.random.default_rng(seed).choice(total, n, replace=False).tolist()))


def _table(info: DatasetInfo) -> NDArray[np.uint8]:
    """Return the colour of every label value, 256 x 3; values without one stand out."""
    table = np.full((256, 3), _UNKNOWN, np.uint8)
    table[: len(info.palette)] = info.palette
    table[info.ignore_index] = _DARK
    return table


def _row(
    name: str, pixels: NDArray[np.uint8], labels: NDArray[np.uint8], colours: NDArray[np.uint8], ignore_index: int
) -> Image.Image:
    height, width = labels.shape
    size = _shown_size(height, width)
    shrunk = size[0] * size[1] < height * width
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BOX if shrunk else Image.Resampling.NEAREST)
    shown = np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))
    drawn = Image.fromarray(_striped(colours[shown], shown == ignore_index))
    row = Image.new("RGB", (_WIDTH, TEXT_HEIGHT + size[1] + 2 * GAP), "white")
    draw = ImageDraw.Draw(row)
    tail = f"   {width} x {height}"
    title = _fitting(name, _WIDTH - 2 * GAP - _font(15).getlength(tail), 15)
    _font(15).draw(draw, (GAP, 2), title, _INK)
    _font(15).draw(draw, (GAP + _font(15).getlength(title), 2), tail, _FAINT)
    for column, picture in enumerate((image, drawn, Image.blend(image, drawn, OPACITY))):
        left = GAP + column * (CELL_WIDTH + GAP) + (CELL_WIDTH - size[0]) // 2
        draw.rectangle((left - 1, TEXT_HEIGHT, left + size[0], TEXT_HEIGHT + 1 + size[1]), outline=_FRAME)
        row.paste(picture, (left, TEXT_HEIGHT + 1))
    return row


def _shown_size(height: int, width: int) -> tuple[int, int]:
    """Return width and height on the sheet; the shape is kept unless a side would vanish."""
    scale = min(CELL_WIDTH / width, CELL_HEIGHT / height)
    return max(LEAST_SIDE, round(width * scale)), max(LEAST_SIDE, round(height * scale))


def _striped(drawn: NDArray[np.uint8], ignored: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Draw diagonal grey stripes where a mask holds."""
    rows, columns = np.indices(ignored.shape)
    light = (rows + columns) // _STRIPE % 2 == 0
    result = drawn.copy()
    result[ignored & light] = _LIGHT
    result[ignored & ~light] = _DARK
    return result


def _failed_row(name: str, problem: str) -> Image.Image:
    row = Image.new("RGB", (_WIDTH, 2 * TEXT_HEIGHT + GAP), "white")
    draw = ImageDraw.Draw(row)
    _font(15).draw(draw, (GAP, 2), _fitting(name, _WIDTH - 2 * GAP, 15), _INK)
    _font(13).draw(draw, (GAP, 2 + TEXT_HEIGHT), _fitting(problem, _WIDTH - 2 * GAP, 13), (170, 0, 0))
    return row


def _headings() -> Image.Image:
    row = Image.new("RGB", (_WIDTH, TEXT_HEIGHT + GAP), "white")
    draw = ImageDraw.Draw(row)
    for column, heading in enumerate(_HEADINGS):
        centre = GAP + column * (CELL_WIDTH + GAP) + CELL_WIDTH // 2
        _font(13).draw(draw, (centre, GAP), heading, _FAINT, "ma")
    return row


def _legend(values: Sequence[int], info: DatasetInfo, colours: NDArray[np.uint8]) -> Image.Image:
    """Draw a square of its colour and the name of every label value, column by column."""
    names = [_value_name(value, info) for value in values]
    font = _font(13)
    wide = max(int(font.getlength(name)) for name in names) + SWATCH + 3 * GAP
    n_columns = min(len(names), (_WIDTH - GAP) // wide)
    n_rows = -(-len(names) // n_columns)
    legend = Image.new("RGB", (_WIDTH, n_rows * LEGEND_HEIGHT + 2 * GAP), "white")
    draw = ImageDraw.Draw(legend)
    for position, (value, name) in enumerate(zip(values, names, strict=True)):
        left, top = GAP + position // n_rows * wide, GAP + position % n_rows * LEGEND_HEIGHT
        flat = np.broadcast_to(colours[value], (SWATCH, SWATCH, 3))
        square = _striped(flat, np.full((SWATCH, SWATCH), value == info.ignore_index))
        draw.rectangle((left - 1, top - 1, left + SWATCH, top + SWATCH), outline=_FRAME)
        legend.paste(Image.fromarray(square), (left, top))
        font.draw(draw, (left + SWATCH + 6, top + SWATCH // 2), name, _INK, "lm")
    return legend


def _value_name(value: int, info: DatasetInfo) -> str:
    if value == info.ignore_index:
        return f"{value} ignored"
    name = info.class_names[value] if value < info.num_classes else "no class"
    return _fitting(f"{value} {name}", NAME_WIDTH, 13)


def _stacked(parts: Sequence[Image.Image]) -> Image.Image:
    sheet = Image.new("RGB", (_WIDTH, sum(part.height for part in parts)), "white")
    top = 0
    for part in parts:
        sheet.paste(part, (0, top))
        top += part.height
    return sheet


def _fitting(text: str, room: float, size: int) -> str:
    """Return the text in one line, its middle left out where it is longer than ``room`` pixels."""
    line = one_line(text)
    shown, kept = line, len(line)
    while kept > 1 and _font(size).getlength(shown) > room:
        kept -= 1
        shown = f"{line[: kept - kept // 3]}…{line[len(line) - kept // 3 :]}"
    return shown


@cache
def _font(size: int) -> Letters:
    return Letters(size)
