"""The gain of every method on every class as a heat map with the numbers in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from bench.leaderboard import Board
from bench.matrix.baseline import BASELINE
from bench.report.figures.measured import boards_note, class_gains, finished
from bench.report.figures.style import GREY, FigureSheet, fitted, in_style, name_width, not_drawn, signed
from bench.tasks.metric import Metric

MOST_CLASSES = 40
MOST_METHODS = 40
MOST_NUMBERS = 4000
"""Numbers written on one figure; beyond it a cell holds its sign only, as thousands of texts take minutes."""

_CELL_WIDTH, _CELL_HEIGHT = 0.37, 0.21
_NAMES, _CLASSES = 2.6, 1.3
_BAR = 0.8  # least height of the colour bar
_MAP = "RdBu"  # ColorBrewer: red and blue stay apart for the colour-blind, and its middle is white

Gains = Mapping[str, Mapping[str, float]]


@in_style
def class_heat_map(boards: Sequence[Board]) -> Figure | None:
    """Draw one table a board: a line for each method, a column for each class, mean gains over the common seeds.

    Of more than forty classes the forty with the largest gain or loss of any drawn method are shown.

    Returns:
        The figure, or None where no class of any method has a gain.
    """
    blocks = [(board, gains) for board in finished(boards) if (gains := class_gains(board))]
    if not blocks:
        return None
    tables = [_table(board, gains) for board, gains in blocks]
    above = [name_width(classes, _CLASSES) + 0.1 for _, classes, _ in tables]
    heights = [
        max(len(values) * _CELL_HEIGHT, _BAR) + room + 0.9 for (_, _, values), room in zip(tables, above, strict=True)
    ]
    columns = max(values.shape[1] for _, _, values in tables)
    sheet = FigureSheet(max(_NAMES + columns * _CELL_WIDTH + 1.1, 9.0), sum(heights) + 0.25)
    sheet.text(0.1, 0.05, boards_note(boards, len(blocks)))
    top, n_numbers = 0.2, 0
    for (board, gains), (methods, classes, values), room, height in zip(blocks, tables, above, heights, strict=True):
        n_numbers += values.size
        n_classes = len({name for row in gains.values() for name in row})
        largest = f", the {MOST_CLASSES} of {n_classes} classes with the largest change"
        sheet.text(0.15, top, fitted(board.title, 8.5, 10) + not_drawn(len(gains) - len(methods), "methods"), 10)
        metric = board.scoring.per_class or board.metric
        subtitle = f"gain over {BASELINE} by class, in {metric.difference_title}"
        subtitle += largest if n_classes > MOST_CLASSES else ""
        sheet.text(0.15, top + 0.2, subtitle, 8, color=GREY)
        _draw(sheet, top + 0.5 + room, (methods, classes, values), metric, n_numbers <= MOST_NUMBERS)
        top += height
    return sheet.figure


def _table(board: Board, gains: Gains) -> tuple[list[str], list[str], np.ndarray]:
    """Return methods, classes and gains as shown, methods x classes, NaN where there is none."""
    methods = [row.label for row in board.rows if row.label in gains][:MOST_METHODS]
    classes = list(dict.fromkeys(name for method in methods for name in gains[method]))
    values = np.array([[gains[method].get(name, np.nan) for name in classes] for method in methods])
    if len(classes) > MOST_CLASSES:
        largest = np.argsort(-np.nanmax(np.abs(values), axis=0), kind="stable")[:MOST_CLASSES]
        kept = np.sort(largest)  # in the order of the dataset
        classes, values = [classes[index] for index in kept], values[:, kept]
    return methods, classes, values


def _draw(
    sheet: FigureSheet,
    top: float,
    table: tuple[Sequence[str], Sequence[str], np.ndarray],
    metric: Metric,
    numbers: bool,
) -> None:
    methods, classes, values = table
    height, width = (size * cell for size, cell in zip(values.shape, (_CELL_HEIGHT, _CELL_WIDTH), strict=True))
    axes = sheet.axes(_NAMES, top, width, height)
    # A few extreme classes, or one method that failed, would leave all others white.
    limit = max(float(np.nanpercentile(np.abs(values), 92)), metric.limit / 10)
    norm = Normalize(-limit, limit)
    colours = mpl.colormaps[_MAP].with_extremes(bad="#E0E0E0")
    mesh = axes.pcolormesh(np.ma.masked_invalid(values), cmap=colours, norm=norm, edgecolors="white", linewidth=0.5)
    axes.set_ylim(len(methods), 0)
    axes.set_axis_off()
    digits = max(metric.digits - 1, 0)
    _cells(axes, values, limit, digits if numbers else None)
    for index, name in enumerate(methods):
        middle = top + (index + 0.5) * _CELL_HEIGHT
        text = fitted(name, _NAMES - 0.25)
        sheet.text(_NAMES - 0.08, middle, text, ha="right", va="center_baseline")
    for index, name in enumerate(classes):
        text = fitted(name, _CLASSES)
        left = _NAMES + (index + 0.5) * _CELL_WIDTH
        sheet.text(left, top - 0.06, text, rotation=90, ha="center", va="bottom")
    bar = sheet.axes(_NAMES + width + 0.15, top, 0.12, max(height, _BAR))
    scale = sheet.figure.colorbar(mesh, cax=bar, extend="both" if np.nanmax(np.abs(values)) > limit else "neither")
    scale.set_ticks([-limit, 0, limit])
    scale.set_ticklabels([signed(-limit, digits), "0", signed(limit, digits)])
    sheet.text(_NAMES + width + 0.15, top - 0.2, metric.difference_unit, 7, color=GREY)


def _cells(axes: Axes, values: np.ndarray, limit: float, digits: int | None) -> None:
    """Write the gain, or its sign alone, into every cell: in grey a loss looks like a gain of its size."""
    dark = np.abs(values) > 0.5 * limit
    if digits is not None:
        for (line, column), value in np.ndenumerate(values):
            if not np.isnan(value):
                text = signed(value, digits if abs(value) < 9.95 else 0)
                colour = "white" if dark[line, column] else "black"
                axes.text(column + 0.5, line + 0.5, text, fontsize=6.5, color=colour, ha="center", va="center")
        return
    for marker, of_sign in (("+", values > 0), ("_", values < 0)):
        line, column = np.nonzero(of_sign)
        colours = np.where(dark[line, column], "white", "black")
        axes.scatter(column + 0.5, line + 0.5, s=16, c=list(colours), marker=marker, linewidths=0.8)
