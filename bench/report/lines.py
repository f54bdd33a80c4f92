"""What the lines of a table are called and how they are marked."""

from __future__ import annotations

from bench.leaderboard import AcrossBoard, AcrossRow, Board, Row
from bench.matrix.baseline import BASELINE
from bench.report.values import interval, spread, states
from bench.tasks.metric import Metric


def name(board: Board, row: Row) -> str:
    """Return the label of a row, the teacher told as one."""
    return f"teacher {row.label}" if row is board.teacher_row else row.label


def marks(board: Board, row: Row) -> list[int]:
    """Return the numbers of a row's footnotes, from 1."""
    notes = board.footnotes()
    return sorted(notes.index(note) + 1 for note in row.notes)


def is_best(board: Board, row: Row) -> bool:
    """Tell whether a row is in the best tier of a board that has more than one."""
    return row.tier == 1 and any(other.tier is not None and other.tier > 1 for other in board.rows)


def mean_gain(metric: Metric, row: AcrossRow) -> str:
    """Return the mean gain over pairs with its interval over them, where there is one."""
    gain = spread(metric, row.gain_mean, None, signed=True)
    return f"{gain} {interval(metric, row.gain_low, row.gain_high)}".strip()


def on_pair(metric: Metric, row: Row | None) -> str:
    """Return what a method reached on one of several pairs: the baseline's score, a gain, or its cells' states."""
    if row is None:
        return ""
    text = metric.text(row.score_mean) if row.method == BASELINE else spread(metric, row.gain_mean, None, signed=True)
    return text or states(row)


def name_across(across: AcrossBoard, row: AcrossRow) -> str:
    """Return the label of a row over several pairs; the baseline's tells that its numbers are scores."""
    metric = across.metric
    told = f"{metric.header}, {metric.unit}" if metric.unit else metric.header
    return f"{row.label} ({told})" if row.method == BASELINE else row.label
