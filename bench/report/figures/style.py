"""What all figures share: colours, markers, fonts, text that is measured to fit, and the writing to bytes."""

from __future__ import annotations

import contextlib
import functools
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, ParamSpec, TypeVar

import numpy as np
from matplotlib import style
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.ticker import Formatter, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from bench.base.fonts import FAMILY, every_letter, families
from bench.base.text import one_line
from bench.leaderboard import Row
from bench.matrix.baseline import BASELINE
from bench.report.values import quantity

Kind = Literal["png", "svg", "pdf"]
KINDS: tuple[Kind, ...] = ("png", "svg", "pdf")

# Okabe & Ito (2008), "Color Universal Design", without yellow, which is too pale for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A4B00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "p")
DASHES = ("-", (0, (5, 1.5)), (0, (1, 1.2)), (0, (5, 1.2, 1, 1.2)))
GREY = "#555555"
SMALL = 7.5
DPI = 130

P = ParamSpec("P")
R = TypeVar("R")


_SETTINGS = {
    "font.family": [FAMILY],
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelsize": 8,
    "axes.axisbelow": True,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "svg.hashsalt": "bench",
    "pdf.fonttype": 42,
}


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Apply the style, whatever the user's own settings are, and keep quiet about characters that no font has."""
    with style.context(["default", _SETTINGS]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def in_style(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that draws: it runs within :func:`styled`."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with styled():
            return function(*args, **kwargs)

    return wrapped


@in_style
def render(figure: Figure, kind: str) -> bytes:
    """Return the figure as ``png``, ``svg`` or ``pdf``; the same figure gives the same bytes."""
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    buffer = io.BytesIO()
    with every_letter(figure):
        figure.savefig(buffer, format=kind, dpi=DPI, metadata=undated.get(kind, {}))
    return buffer.getvalue()


class FigureSheet:
    """A figure on which things are placed in inches from its upper left corner.

    A layout solver would move axes to make room for texts; here texts are cut to the room there is, which takes a
    hundredth of the time and looks alike on every board.
    """

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height), dpi=DPI)
        FigureCanvasAgg(self.figure)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Add axes whose frame is the given rectangle."""
        bottom = self.height - top - height
        return self.figure.add_axes((left / self.width, bottom / self.height, width / self.width, height / self.height))

    def text(self, left: float, top: float, text: str, size: float = SMALL, **options: Any) -> Text:
        """Write one line whose upper edge is at ``top``, cut to end within the sheet where it is left-aligned."""
        room = self.width - left - 0.1
        if options.get("ha", "left") == "left" and text_width(text, size) > room:
            text = fitted(text, room, size)
        options = {"va": "top", "parse_math": False, "fontsize": size, **options}
        return self.figure.text(left / self.width, 1 - top / self.height, text, **options)


def saying(sentence: str) -> Figure:
    """Return a figure that holds one sentence only."""
    sheet = FigureSheet(8, 1)
    sheet.text(4, 0.4, sentence, 10, ha="center")
    return sheet.figure


@functools.cache
def _canvas() -> FigureCanvasAgg:
    return FigureCanvasAgg(Figure(dpi=DPI))


def text_width(text: str, size: float) -> float:
    """Return the width in inches of one line at a font size in points."""
    font = FontProperties(family=families(text), size=size)
    return float(_canvas().get_renderer().get_text_width_height_descent(text, font, False)[0]) / DPI


@functools.lru_cache(maxsize=8192)
def fitted(text: str, inches: float, size: float = SMALL) -> str:
    """Return the text as one line no wider than ``inches``, its middle left out where it is longer."""
    shown = one_line(text, 400)
    limit = len(shown)
    while limit > 1 and (width := text_width(shown, size)) > inches:
        limit = max(1, min(limit - 1, int(limit * inches / width) + 1))
        shown = one_line(text, limit)
    return shown


def line_style(row: Row, position: int) -> dict[str, Any]:
    """Return colour, dash and marker of a method.

    Any two of 77 methods in a row differ in colour or marker, any two of 28 in marker or dash, so without colour.
    """
    if row.method == BASELINE:
        return {"color": GREY, "linestyle": "-", "linewidth": 2.4, "marker": "o", "markersize": 4, "zorder": 3}
    return {
        "color": COLOURS[position % len(COLOURS)],
        "linestyle": DASHES[position // len(COLOURS) % len(DASHES)],
        "linewidth": 1.5,
        "marker": MARKERS[position % len(MARKERS)],
        "markersize": 4.5,
    }


def legend(axes: Axes, handles: Sequence[Artist], labels: Sequence[str], **options: Any) -> Legend:
    """Add a legend beside the axes' right edge whose labels are taken literally."""
    placed: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0}
    looks: dict[str, Any] = {"fontsize": SMALL, "title_fontsize": SMALL + 0.5, "frameon": False, "alignment": "left"}
    # Labels are put in afterwards: the legend itself drops those that begin with an underscore.
    numbers = [str(position) for position in range(len(handles))]
    made = axes.legend(handles, numbers, **{**placed, **looks, "handlelength": 3.5, **options})
    made.get_title().set_parse_math(False)
    for text, label in zip(made.get_texts(), labels, strict=True):
        text.set_parse_math(False)
        text.set_text(label)
    return made


def signed(value: float, digits: int = 2) -> str:
    """Return a number with its sign, a true minus sign, and none where it rounds to zero."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def plain(value: float) -> str:
    """Return a number as on a tick: ``0.25``, ``1200``, ``5e-7``, with a true minus sign."""
    text = f"{value:.6g}"
    if "e" in text:
        digits, exponent = text.split("e")
        text = f"{digits}e{int(exponent)}"
    return text.replace("-", "\N{MINUS SIGN}")


class PlainNumbers(Formatter):
    """Ticks as numbers that stand alone: no offset or power of ten is written apart from them."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return one tick."""
        return plain(x)

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """Return all ticks, with equally many digits after the point where those are few."""
        for digits in range(5):
            if all(abs(value) < 1e6 and abs(round(value, digits) - value) < 1e-9 for value in values):
                return [f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}") for value in values]
        return [plain(value) for value in values]


def few_ticks(axes: Axes, x: int = 6, y: int = 6) -> None:
    """Limit the number of ticks of linear axes and write them plainly."""
    for axis, most in ((axes.xaxis, x), (axes.yaxis, y)):
        axis.set_major_locator(MaxNLocator(nbins=most, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(PlainNumbers())


def log_axis(axes: Axes, values: Sequence[float], axis: Literal["x", "y"] = "x", least: float = 4.0) -> None:
    """Make an axis logarithmic over the values with ticks such as ``20 k``.

    Args:
        axes: the axes.
        values: positive numbers.
        axis: which one.
        least: ratio that the axis spans at least.
    """
    low, high = min(values), max(values)
    margin = max((least * low / high) ** 0.5, (high / low) ** 0.07)
    ratio = (high / low) * margin**2
    steps = (1.0, 2.0, 5.0) if ratio < 30 else (1.0, 3.0) if ratio < 1000 else (1.0,)
    this = axes.xaxis if axis == "x" else axes.yaxis
    (axes.set_xscale if axis == "x" else axes.set_yscale)("log")
    (axes.set_xlim if axis == "x" else axes.set_ylim)(low / margin, high * margin)
    this.set_major_locator(LogLocator(subs=steps, numticks=6))
    this.set_minor_locator(NullLocator())
    this.set_major_formatter(FuncFormatter(lambda value, _: quantity(value, 1) if value >= 1000 else plain(value)))


def name_width(names: Sequence[str], most: float, size: float = SMALL) -> float:
    """Return the width in inches that the names need, at most ``most``."""
    return max((text_width(fitted(name, most, size), size) for name in names), default=0.0)


def usual_range(values: Sequence[float], least: float) -> tuple[float, float]:
    """Return the range of the values without those so far off that the others would have no room.

    Args:
        values: at least one.
        least: quartiles nearer to each other than this count as this far apart.

    Returns:
        Smallest and largest value within four interquartile ranges of the quartiles.
    """
    first, third = np.percentile(values, [25, 75])
    reach = 4 * max(third - first, least)
    near = [value for value in values if len(values) < 4 or first - reach <= value <= third + reach]
    return min(near), max(near)


def not_drawn(count: int, what: str) -> str:
    """Return what a title says of things left out, such as `` (3 methods not drawn)``; empty where there are none."""
    return f" ({count} {what.removesuffix('s') if count == 1 else what} not drawn)" if count > 0 else ""
