"""Each loss term over the iterations: one small panel a term, one line a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.leaderboard import Board, Row
from bench.report.figures.curves import MOST_METHODS, NAMES
from bench.report.figures.measured import Curve, Curves, boards_note, finished, mean_curve, with_curves
from bench.report.figures.style import (
    FigureSheet,
    few_ticks,
    fitted,
    in_style,
    legend,
    line_style,
    log_axis,
    name_width,
    not_drawn,
)

MOST_TERMS = 24
"""Panels of one board."""

_COLUMNS = 3
_WIDTH, _HEIGHT = 2.35, 1.5  # of one panel, in inches
_GAP, _BELOW = 0.7, 0.55  # between two panels beside and below each other
_WIDE = 20  # ratio of the largest to the smallest value from which on a logarithmic axis tells more

Lines = Mapping[str, Mapping[int, list[Curve]]]
"""Curves of the seeds by term and by the position of the method."""


@in_style
def loss_terms(boards: Sequence[Board], curves: Mapping[str, Curves]) -> Figure | None:
    """Draw the mean over seeds as a line with markers and each seed as a thin line.

    A panel is logarithmic where all its values are positive and the largest is over twenty times the smallest.

    Args:
        boards: those with a score, at most :data:`bench.report.figures.measured.MOST_BOARDS`.
        curves: by cell id.

    Returns:
        The figure, or None where no cell wrote a loss term.
    """
    found = [(board, with_curves(board, curves)[:MOST_METHODS]) for board in finished(boards)]
    blocks = [(board, rows, lines) for board, rows in found if (lines := _lines(rows))]
    if not blocks:
        return None
    heights = [_block_height(rows, lines) for _, rows, lines in blocks]
    names = name_width([row.label for _, rows, _ in blocks for row, _ in rows], NAMES)
    sheet = FigureSheet(0.65 + _COLUMNS * (_WIDTH + _GAP) + 0.3 + names, sum(heights) + 0.2)
    top = 0.1
    sheet.text(0.1, top - 0.05, boards_note(boards, len(blocks)))
    for (board, rows, lines), height in zip(blocks, heights, strict=True):
        _block(sheet, top + 0.1, board, rows, lines)
        top += height
    return sheet.figure


def _lines(rows: Sequence[tuple[Row, list[Curves]]]) -> Lines:
    lines: dict[str, dict[int, list[Curve]]] = {}
    for position, (_, seeds) in enumerate(rows):
        for seed in seeds:
            for name, curve in seed.terms.items():
                if curve:
                    lines.setdefault(name, {}).setdefault(position, []).append(curve)
    return lines


def _block_height(rows: Sequence[tuple[Row, list[Curves]]], lines: Lines) -> float:
    n_rows = -(-min(len(lines), MOST_TERMS) // _COLUMNS)
    return max(n_rows * (_HEIGHT + _BELOW) + 0.25, 0.165 * len(rows) + 0.7) + 0.35


def _block(
    sheet: FigureSheet, top: float, board: Board, rows: Sequence[tuple[Row, list[Curves]]], lines: Lines
) -> None:
    n_methods = sum(row.score_mean is not None for row in board.rows) - len(rows)
    title = fitted(board.title, 8.5, 10)
    left_out = not_drawn(n_methods, "methods") + not_drawn(len(lines) - MOST_TERMS, "terms")
    sheet.text(0.65, top, title + left_out, 10)
    styles = [line_style(row, position) for position, (row, _) in enumerate(rows)]
    for index, (name, by_method) in enumerate(list(lines.items())[:MOST_TERMS]):
        line, column = divmod(index, _COLUMNS)
        left, upper = 0.65 + column * (_WIDTH + _GAP), top + 0.5 + line * (_HEIGHT + _BELOW)
        axes = sheet.axes(left, upper, _WIDTH, _HEIGHT)
        axes.set_title(fitted(name, _WIDTH, 8.5), fontsize=8.5, loc="left", parse_math=False, pad=4)
        _panel(axes, by_method, styles)
        if index + _COLUMNS >= min(len(lines), MOST_TERMS):
            axes.set_xlabel("iteration")
        if index == min(_COLUMNS, len(lines)) - 1:
            _names(axes, rows, styles, left)


def _panel(axes: Axes, by_method: Mapping[int, list[Curve]], styles: Sequence[dict[str, Any]]) -> None:
    values = [value for seeds in by_method.values() for seed in seeds for value in seed.values()]
    for position, seeds in by_method.items():
        style, mean = styles[position], mean_curve(seeds)
        if len(seeds) > 1:
            each = [sorted(seed.items()) for seed in seeds]
            axes.add_collection(LineCollection(each, colors=str(style["color"]), linewidths=0.5, alpha=0.3))
        first = position % 3 if len(mean) > 12 else 0  # so that lines on top of each other show all their markers
        axes.plot(list(mean), list(mean.values()), **style, markevery=(first, max(1, len(mean) // 6)))
    few_ticks(axes, x=5, y=5)
    axes.grid()
    if min(values) > 0 and max(values) > _WIDE * min(values):
        log_axis(axes, values, "y")


def _names(axes: Axes, rows: Sequence[tuple[Row, list[Curves]]], styles: Sequence[dict[str, Any]], left: float) -> None:
    """Add the legend of a board to the right of its panels, however many these are."""
    from_right = 0.65 + _COLUMNS * (_WIDTH + _GAP) - 0.4 - left
    handles = [Line2D([], [], **style) for style in styles]
    labels = [fitted(row.label, NAMES) for row, _ in rows]
    legend(axes, handles, labels, bbox_to_anchor=(from_right / _WIDTH, 1.0))
