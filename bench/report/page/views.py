"""Boards as the templates of ``report.html`` show them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.base.text import one_line
from bench.leaderboard import Board, Row
from bench.matrix.baseline import BASELINE
from bench.report.columns import Column, filled
from bench.report.lines import is_best, marks, name
from bench.report.notes import facts, reading_notes
from bench.report.values import Ends

MOST_BOARDS = 60
MOST_ROWS = 300
MOST_ROWS_IN_ALL = 2500
REACH = 5
"""Bars span at least this part of the difference that one seed may make to both sides."""


@dataclass(frozen=True)
class Bar:
    """An interval drawn in a table cell; all positions are percent of the bar's width.

    Attributes:
        point: where the mean is.
        left: where the interval begins.
        width: how long it is.
        zero: where zero is, or None.
    """

    point: float
    left: float
    width: float
    zero: float | None


@dataclass(frozen=True)
class CellView:
    """One value of a table."""

    key: str
    text: str
    sort: str
    numeric: bool
    bar: Bar | None
    tip: str


@dataclass(frozen=True)
class RowView:
    """One line of a table.

    Attributes:
        row: what it shows.
        kind: ``teacher``, ``baseline`` or ``method``.
        label: its name.
        tier: the text of its tier, empty where the board has no two.
        best: whether it is in the best of several tiers.
        marks: numbers of its footnotes.
        reason: why it has no score, empty where it has one.
        cells: its values.
    """

    row: Row
    kind: str
    label: str
    tier: str
    best: bool
    marks: tuple[int, ...]
    reason: str
    cells: tuple[CellView, ...]


@dataclass(frozen=True)
class BoardView:
    """One board as the page shows it.

    Attributes:
        board: the board.
        columns: the columns in which some row has a value.
        rows: the teacher, then the rows.
        n_left_out: rows left out to keep the page light.
        footnotes: numbered from 1.
        notes: the sentences below the table.
    """

    board: Board
    columns: tuple[Column, ...]
    rows: tuple[RowView, ...]
    n_left_out: int
    footnotes: tuple[str, ...]
    notes: tuple[str, ...]


def board_views(boards: Sequence[Board]) -> list[BoardView]:
    """Return the first boards, each with its first rows, as many as keep the page light."""
    shown = boards[:MOST_BOARDS]
    most = max(10, min(MOST_ROWS, MOST_ROWS_IN_ALL // max(len(shown), 1)))
    return [_board_view(board, most) for board in shown]


def _board_view(board: Board, most: int) -> BoardView:
    columns = filled(board, "page", "folded")
    kept = board.rows[:most]
    rows = (*((board.teacher_row,) if board.teacher_row else ()), *kept)
    reach = board.metric.noticeable / REACH
    scales = {column.key: _scale(column, rows, reach) for column in columns if column.interval}
    reasons = _reasons(board)
    return BoardView(
        board=board,
        columns=tuple(columns),
        rows=tuple(_row_view(board, row, columns, scales, reasons) for row in rows),
        n_left_out=len(board.rows) - len(kept),
        footnotes=tuple(board.footnotes()),
        notes=(*board.notes, *facts(board), *reading_notes(board)),
    )


def _row_view(
    board: Board,
    row: Row,
    columns: Sequence[Column],
    scales: Mapping[str, tuple[float, float] | None],
    reasons: Mapping[str, str],
) -> RowView:
    kind = "teacher" if row is board.teacher_row else "baseline" if row.method == BASELINE else "method"
    return RowView(
        row=row,
        kind=kind,
        label=name(board, row),
        tier="" if row.tier is None or not _has_tiers(board) else str(row.tier),
        best=kind != "teacher" and is_best(board, row),
        marks=tuple(marks(board, row)),
        reason=reasons.get(row.label, "") if row.score_mean is None else "",
        cells=tuple(_cell_view(column, row, scales.get(column.key)) for column in columns),
    )


def _has_tiers(board: Board) -> bool:
    return len({row.tier for row in board.rows} - {None}) > 1


def _reasons(board: Board) -> dict[str, str]:
    """Return the first reason that an unfinished cell of each row gives, with its state."""
    found: dict[str, str] = {}
    for cell in board.cells[board.cells["state"] != "done"].to_dict("records"):
        if cell["reason"] and cell["row"] not in found:
            found[cell["row"]] = f"{cell['state']}: {one_line(cell['reason'], 160)}"
    return found


def _cell_view(column: Column, row: Row, scale: tuple[float, float] | None) -> CellView:
    value = column.value(row)
    ends = column.interval(row) if column.interval else None
    drawn = scale is not None and value is not None and row.method != ""
    bar = _bar(float(value), ends, scale, column.from_zero) if drawn and scale else None
    sort = "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value)
    tip = f"95 % interval: {column.end(ends[0])} to {column.end(ends[1])}" if ends else ""
    return CellView(column.key, column.on_page(row), sort, column.right, bar, tip)


def _scale(column: Column, rows: Sequence[Row], least: float) -> tuple[float, float] | None:
    """Return the range that the bars of a column share; None where no row of it has an interval.

    Intervals of two seeds can be a hundred times as long as the means are apart: they end at the range, so that the
    means can still be told from each other.
    """
    if column.interval is None or not any(column.interval(row) for row in rows):
        return None
    methods = [row for row in rows if row.method]
    means = [float(value) for row in methods if (value := column.value(row)) is not None]
    means += [0.0] if column.from_zero else []
    ends = [end for row in methods for end in column.interval(row) or ()]
    reach = max(max(means) - min(means), least)
    low = max(min([*means, *ends]), min(means) - reach)
    high = min(max([*means, *ends]), max(means) + reach)
    margin = 0.03 * (high - low) or least
    return low - margin, high + margin


def _bar(value: float, ends: Ends | None, scale: tuple[float, float], from_zero: bool) -> Bar:
    low, high = scale

    def place(x: float) -> float:
        return round(min(max(100 * (x - low) / (high - low), 0.0), 100.0), 1)

    left, right = (place(end) for end in (ends or (value, value)))
    return Bar(place(value), left, round(right - left, 1), place(0.0) if from_zero else None)


def published_lines(view: BoardView) -> list[dict[str, Any]]:
    """Return the published values of a board with where each comes from."""
    return [{"label": shown.label, "published": value} for shown in view.rows for value in shown.row.published]
