"""The pictures of a board on one figure for a paper."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from bench.base.fonts import FAMILY, Letters, every_letter
from bench.base.text import one_line
from bench.tasks.segmentation.overlay import Colour

MOST_COLUMNS = 8
DPI = 220
WIDTH = round(7.2 * DPI)
"""Pixels; the text width of a two-column page."""
_LARGEST_PANEL = 400
_TALLEST = 1.1
"""Height of a panel as a share of its width; taller images are made narrower."""
_MARGIN, _GAP, _LINE = 14, 10, 1.35
_SPARE = 0.98
_TITLE, _TEXT, _SMALL = 8.0, 7.0, 6.0
"""Sizes of text in points."""
_FRAME, _INK, _PALE = (150, 150, 150), "#1e1e1e", "#5a5a5a"


@dataclass(frozen=True)
class SheetRow:
    """One image of a sheet.

    Attributes:
        caption: what image it is and why it is here.
        panels: a picture for each column.
        errors: its error map, for columns that have one.
        scores: what stands under each column.
    """

    caption: str
    panels: tuple[Image.Image, ...]
    errors: tuple[Image.Image | None, ...]
    scores: tuple[str, ...]


@dataclass(frozen=True)
class Sheet:
    """What a figure shows.

    Attributes:
        title: stands above all.
        headings: a name for each column.
        rows: one an image.
        legend: colours and their names.
        notes: sentences beneath.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[SheetRow, ...]
    legend: tuple[tuple[str, Colour], ...]
    notes: tuple[str, ...]


def sheet_png(sheet: Sheet) -> bytes:
    """Return a sheet as PNG; the same sheet gives the same bytes."""
    placed = _Layout(sheet)
    canvas = placed.raster()
    pen = ImageDraw.Draw(canvas)
    for item in placed.texts:
        anchor = "ma" if item.align == "center" else "la"
        _font(item.points).draw(pen, (item.left, item.top), item.text, item.colour, anchor)
    buffer = io.BytesIO()
    canvas.save(buffer, format="PNG", dpi=(DPI, DPI))
    return buffer.getvalue()


def sheet_pdf(sheet: Sheet) -> bytes:
    """Return a sheet as PDF: all pictures as one raster, all text as text; the same sheet gives the same bytes."""
    placed = _Layout(sheet)
    height = placed.height
    figure = Figure(figsize=(WIDTH / DPI, height / DPI), dpi=DPI)
    axes: Axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.imshow(np.asarray(placed.raster()), extent=(0, WIDTH, height, 0), interpolation="none", aspect="auto")
    for item in placed.texts:
        axes.text(
            item.left, item.top, item.text, fontsize=item.points, ha=item.align, va="top",
            color=item.colour, family=FAMILY, parse_math=False,
        )  # fmt: skip
    buffer = io.BytesIO()
    with mpl.rc_context({"pdf.fonttype": 42}), every_letter(figure), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a class may be named in any script
        figure.savefig(buffer, format="pdf", dpi=DPI, metadata={"CreationDate": None})
    return buffer.getvalue()


@dataclass(frozen=True)
class _Text:
    left: float
    top: float
    text: str
    points: float = _TEXT
    align: str = "left"
    colour: str = _INK


class _Layout:
    """Puts everything in its place, from top to bottom, in pixels.

    Args:
        sheet: what to show.
    """

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        count = len(sheet.headings)
        self.panel = min(_LARGEST_PANEL, (WIDTH - 2 * _MARGIN - (count - 1) * _GAP) // count)
        self.top = float(_MARGIN)
        self.texts: list[_Text] = []
        self.pictures: list[tuple[int, int, Image.Image]] = []
        self.boxes: list[tuple[int, int, int, Colour]] = []
        self._place()

    def _place(self) -> None:
        self._write(one_line(self.sheet.title), _TITLE)
        self.top += _GAP
        self._headings()
        for row in self.sheet.rows:
            self._row(row)
        self._legend()
        for note in self.sheet.notes:
            self._write(note, _SMALL, _PALE)

    @property
    def height(self) -> int:
        """Height of the whole in pixels."""
        return round(self.top) + _MARGIN

    def raster(self) -> Image.Image:
        """Return all that is not text."""
        canvas = Image.new("RGB", (WIDTH, self.height), "white")
        pen = ImageDraw.Draw(canvas)
        for left, top, picture in self.pictures:
            pen.rectangle((left - 1, top - 1, left + picture.width, top + picture.height), outline=_FRAME)
            canvas.paste(picture, (left, top))
        for left, top, side, colour in self.boxes:
            pen.rectangle((left, top, left + side, top + side), fill=colour, outline=_FRAME)
        return canvas

    def _write(self, text: str, points: float, colour: str = _INK) -> None:
        """Add a paragraph over the whole width."""
        for line in _wrapped(text, WIDTH - 2 * _MARGIN, points):
            self.texts.append(_Text(_MARGIN, self.top, line, points, colour=colour))
            self.top += _height(points)

    def _left(self, column: int) -> int:
        return _MARGIN + column * (self.panel + _GAP)

    def _headings(self) -> None:
        lines = [_wrapped(heading, self.panel, _TEXT, most=3) for heading in self.sheet.headings]
        most = max(len(parts) for parts in lines)
        for column, parts in enumerate(lines):
            for place, part in enumerate(parts, most - len(parts)):
                middle = self._left(column) + self.panel / 2
                self.texts.append(_Text(middle, self.top + place * _height(_TEXT), part, align="center"))
        self.top += most * _height(_TEXT) + _GAP

    def _row(self, row: SheetRow) -> None:
        self._write(row.caption, _SMALL, _PALE)
        self.top += _GAP / 2
        self._pictures(row.panels)
        if any(row.errors):
            self._pictures(row.errors)
        for column, score in enumerate(row.scores):
            middle = self._left(column) + self.panel / 2
            self.texts.append(_Text(middle, self.top - _GAP / 2, score, _SMALL, "center"))
        self.top += _height(_SMALL) + _GAP

    def _pictures(self, pictures: Sequence[Image.Image | None]) -> None:
        shown = [picture and self._fitted(picture) for picture in pictures]
        height = max(picture.height for picture in shown if picture)
        top = round(self.top)
        for column, picture in enumerate(shown):
            if picture:
                self.pictures.append((self._left(column) + (self.panel - picture.width) // 2, top, picture))
        self.top = top + height + _GAP

    def _fitted(self, picture: Image.Image) -> Image.Image:
        scale = min(self.panel / picture.width, self.panel * _TALLEST / picture.height)
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        method = Image.Resampling.BOX if picture.mode == "P" or scale >= 1 else Image.Resampling.LANCZOS
        return picture.convert("RGB").resize(size, method)

    def _legend(self) -> None:
        """Set the legend in as many columns as its longest name leaves, down the columns."""
        box = round(_height(_TEXT) * 0.62)
        names = [
            _shortened(one_line(name), (WIDTH - 2 * _MARGIN) / 2 - 2 * box, _TEXT) for name, _ in self.sheet.legend
        ]
        if not names:
            return
        wide = max(_font(_TEXT).getlength(name) for name in names) + 3 * box
        columns = max(1, min(len(names), int((WIDTH - 2 * _MARGIN) // wide)))
        rows = -(-len(names) // columns)
        self.top += _GAP
        for place, (name, (_, colour)) in enumerate(zip(names, self.sheet.legend, strict=True)):
            column, line = divmod(place, rows)
            left, top = _MARGIN + column * wide, self.top + line * _height(_TEXT)
            self.boxes.append((round(left), round(top + _height(_TEXT) * 0.08), box, colour))
            self.texts.append(_Text(left + 1.5 * box, top, name))
        self.top += rows * _height(_TEXT) + _GAP


def _height(points: float) -> float:
    return points * DPI / 72 * _LINE


@cache
def _font(points: float) -> Letters:
    return Letters(points * DPI / 72)


def _wrapped(text: str, room: float, points: float, most: int | None = None) -> list[str]:
    """Break a text into lines that fit; where they are more than ``most``, its middle is left out."""
    clean = one_line(text)
    lines = _broken(clean, room, points)
    for length in range(len(clean) - 1, 0, -1):
        if most is None or len(lines) <= most:
            break
        lines = _broken(one_line(clean, length), room, points)
    return lines


def _broken(text: str, room: float, points: float) -> list[str]:
    """Break between words, and inside a word that is longer than a line."""
    font, lines = _font(points), [""]
    room *= _SPARE  # letters of a PDF are not on whole pixels
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= room:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and font.getlength(lines[-1] + letter) > room:
                lines.append("")
            lines[-1] += letter
    return lines


def _shortened(text: str, room: float, points: float) -> str:
    return _wrapped(text, room, points, most=1)[0]
