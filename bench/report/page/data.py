"""Boards as the templates of ``report.html`` show them, and as the data its scripts read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.base.text import one_line
from bench.leaderboard import BASELINE, Board, Row
from bench.report.columns import NOT_DEFINED, is_best, marks, name, percent
from bench.report.figures.measured import Curves, by_row, class_gains
from bench.report.notes import facts, reading_notes
from bench.report.page.columns import COLUMNS, Interval, PageColumn, filled, points

MOST_BOARDS = 60
MOST_ROWS = 300
MOST_ROWS_IN_ALL = 2500
MOST_CLASS_VALUES = 60_000
MOST_CURVES = 24
MOST_CURVE_POINTS = 120
_LEAST_REACH = 0.01  # a point of mIoU
_PLOTTED = ("miou", "gain", "params", "macs", "fps", "cost", "memory")


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
    columns: tuple[PageColumn, ...]
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
    columns = filled(board)
    kept = board.rows[:most]
    rows = (*((board.teacher_row,) if board.teacher_row else ()), *kept)
    scales = {column.key: _scale(column, rows) for column in columns if column.interval}
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
    columns: Sequence[PageColumn],
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
        reason=reasons.get(row.label, "") if row.miou_mean is None else "",
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


def _cell_view(column: PageColumn, row: Row, scale: tuple[float, float] | None) -> CellView:
    value = column.value(row)
    ends = column.interval(row) if column.interval else None
    bar = None if scale is None or value is None or row.method == "" else _bar(float(value), ends, scale, column.key)
    sort = "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value)
    tip = ""
    if ends:
        tip = f"95 % interval: {_end(ends[0], column.key)} to {_end(ends[1], column.key)}"
    return CellView(column.key, column.text(row), sort, column.numeric, bar, tip)


def _end(value: float, key: str) -> str:
    return percent(value) if key == "miou" else points(value)


def _scale(column: PageColumn, rows: Sequence[Row]) -> tuple[float, float] | None:
    """Return the range that the bars of a column share; None where no row of it has an interval.

    Intervals of two seeds can be a hundred times as long as the means are apart: they end at the range, so that the
    means can still be told from each other.
    """
    if column.interval is None or not any(column.interval(row) for row in rows):
        return None
    methods = [row for row in rows if row.method]
    means = [float(value) for row in methods if (value := column.value(row)) is not None]
    means += [] if column.key == "miou" else [0.0]
    ends = [end for row in methods for end in column.interval(row) or ()]
    reach = max(max(means) - min(means), _LEAST_REACH)
    low = max(min([*means, *ends]), min(means) - reach)
    high = min(max([*means, *ends]), max(means) + reach)
    margin = 0.03 * (high - low) or _LEAST_REACH
    return low - margin, high + margin


def _bar(value: float, ends: Interval | None, scale: tuple[float, float], key: str) -> Bar:
    low, high = scale

    def place(x: float) -> float:
        return round(min(max(100 * (x - low) / (high - low), 0.0), 100.0), 1)

    left, right = (place(end) for end in (ends or (value, value)))
    return Bar(place(value), left, round(right - left, 1), None if key == "miou" else place(0.0))


def script_data(
    views: Sequence[BoardView],
    curves: Mapping[str, Curves],
    images: Sequence[dict[str, Any] | None],
    image_names: Mapping[str, Sequence[str]],
) -> list[dict[str, Any]]:
    """Return what the scripts of the page draw, a record a board.

    Args:
        views: the boards.
        curves: what the cells wrote down while training, by cell id.
        images: per-image scores of each board, or None.
        image_names: names of the images of a board's split, by the board's title.
    """
    room = MOST_CLASS_VALUES
    data = []
    for view, scores in zip(views, images, strict=True):
        board = view.board
        classes = class_scores(board, view, room)
        room -= sum(2 * len(line["iou"]) for line in classes["rows"])
        data.append(
            {
                "title": board.title,
                "dataset": board.dataset,
                "pair": board.pair,
                "protocol": board.protocol,
                "rows": [_row_data(view, row) for row in view.rows],
                "classes": classes,
                "curves": board_curves(board, view, curves),
                "images": scores and {**scores, "names": _names(image_names.get(board.title, ()), scores["n_images"])},
            }
        )
    return data


def _row_data(view: BoardView, shown: RowView) -> dict[str, Any]:
    row = shown.row
    by_key = {column.key: column for column in COLUMNS}
    intervals: dict[str, Interval] = {}
    for key in ("miou", "gain"):
        ends = by_key[key].interval
        if ends and (found := ends(row)):
            intervals[key] = found
    tip = [[column.header, column.text(row)] for column in view.columns if column.text(row) not in ("", NOT_DEFINED)]
    for key, (low, high) in intervals.items():
        tip.append([f"{by_key[key].header}, 95 %", f"{_end(low, key)} to {_end(high, key)}"])
    if shown.tier:
        tip.insert(0, ["Tier", shown.tier])
    if shown.reason:
        tip.append(["No score", shown.reason])
    return {
        "label": shown.label,
        "name": row.label,
        "kind": shown.kind,
        "values": {key: by_key[key].value(row) for key in _PLOTTED},
        "intervals": intervals,
        "tip": tip,
    }


def class_scores(board: Board, view: BoardView, room: int) -> dict[str, Any]:
    """Return IoU in percent and gain in points of every class, means over the seeds, by method.

    Args:
        board: the board.
        view: which of its rows are shown.
        room: how many values may be returned at most.

    Returns:
        ``names`` of the classes, ``rows`` with ``label``, ``kind``, ``iou`` and ``gain``, and ``n_left_out`` rows.
    """
    cells = by_row(board)
    tables = {label: [cell["iou"] for cell in own.values() if cell["iou"]] for label, own in cells.items()}
    names = [str(name) for name in next((list(found[0]) for found in tables.values() if found), [])]
    gains = class_gains(board)
    taught = next((model for model in board.cells["teacher_model"] if model), None) if board.teacher_row else None
    lines = []
    for shown in view.rows:
        found = tables.get(shown.row.label, [])
        if shown.kind == "teacher":
            teacher_iou = ((taught or {}).get("metrics") or {}).get("iou")
            found = [teacher_iou] if teacher_iou else []
        if found:
            own_gains = gains.get(shown.row.label, {}) if shown.kind == "method" else {}
            line = _class_row(found, names) | {"gain": [_two_digits(own_gains.get(name)) for name in names]}
            lines.append({"label": shown.label, "kind": shown.kind, **line})
    most = room // max(2 * len(names), 1)
    return {"names": names, "rows": lines[:most], "n_left_out": max(len(lines) - most, 0)}


def _class_row(seeds: Sequence[Mapping[str, float | None]], names: Sequence[str]) -> dict[str, Any]:
    means: list[float | None] = []
    for class_name in names:
        scores = [value for seed in seeds if (value := seed.get(class_name)) is not None]
        means.append(_two_digits(100 * sum(scores) / len(scores)) if scores else None)
    return {"iou": means}


def _two_digits(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def board_curves(board: Board, view: BoardView, curves: Mapping[str, Curves]) -> dict[str, Any] | None:
    """Return mIoU in percent over the iterations: each seed's points by method, the teacher's level."""
    found = {
        label: [
            _thinned(curve.miou) for cell in own.values() if (curve := curves.get(str(cell["cell_id"]))) and curve.miou
        ]
        for label, own in by_row(board).items()
    }
    drawn = [row for row in view.rows if row.kind != "teacher" and found.get(row.row.label)]
    if not drawn:
        return None
    teacher = board.teacher_row.miou_mean if board.teacher_row else None
    return {
        "rows": [{"label": row.label, "kind": row.kind, "seeds": found[row.row.label]} for row in drawn[:MOST_CURVES]],
        "teacher": None if teacher is None else round(100 * teacher, 2),
        "n_left_out": max(len(drawn) - MOST_CURVES, 0),
    }


def _thinned(curve: Mapping[int, float]) -> list[list[float]]:
    """Return iteration and percent; of a long curve evenly spread points, the last among them."""
    iterations = sorted(curve)
    step = max(1, math.ceil(len(iterations) / MOST_CURVE_POINTS))
    return [[i, round(100 * curve[i], 2)] for i in sorted({*iterations[::step], iterations[-1]})]


def published_lines(view: BoardView) -> list[dict[str, Any]]:
    """Return the published values of a board with where each comes from."""
    return [{"label": shown.label, "published": value} for shown in view.rows for value in shown.row.published]


def _names(names: Sequence[str], n_images: int) -> list[str]:
    """Return the names if they are those of the split that was scored."""
    return list(names) if len(names) == n_images else []
