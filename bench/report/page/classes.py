"""Scores of every class for the view of ``report.html`` that compares methods class by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.leaderboard import Board
from bench.report.figures.measured import by_row, class_gains
from bench.report.page.views import BoardView, RowView
from bench.tasks.metric import Metric


def class_scores(board: Board, view: BoardView, room: int) -> dict[str, Any]:
    """Return score and gain of every class as shown, means over the seeds, by method.

    Args:
        board: the board.
        view: which of its rows are shown.
        room: how many values may be returned at most.

    Returns:
        ``title``, ``header`` and ``unit`` of the metric, ``sign`` -1 where lower is better, ``digits``; ``names`` of
        the classes, ``rows`` with ``label``, ``kind``, ``score`` and ``gain``, and ``n_left_out`` rows. A task without
        classes has no names.
    """
    metric = board.scoring.per_class
    if metric is None:
        return {"names": [], "rows": [], "n_left_out": 0}
    tables = {
        label: [cell["per_class"] for cell in own.values() if cell["per_class"]] for label, own in by_row(board).items()
    }
    names = [str(name) for name in next((list(found[0]) for found in tables.values() if found), [])]
    gains = class_gains(board)
    lines = []
    for shown in view.rows:
        found = _of_teacher(board, metric) if shown.kind == "teacher" else tables.get(shown.row.label, [])
        if found:
            own = gains.get(shown.row.label, {}) if shown.kind == "method" else {}
            gained = [round(own[name], metric.digits) if name in own else None for name in names]
            lines.append(_line(shown, {"score": _means(metric, found, names), "gain": gained}))
    most = room // max(2 * len(names), 1)
    return {
        "title": metric.title,
        "header": metric.header,
        "unit": metric.difference_unit,
        "sign": metric.sign,
        "digits": metric.digits,
        "names": names,
        "rows": lines[:most],
        "n_left_out": max(len(lines) - most, 0),
    }


def _of_teacher(board: Board, metric: Metric) -> list[Mapping[str, float | None]]:
    taught = next((model for model in board.cells["teacher_model"] if model), None)
    scores = ((taught or {}).get("metrics") or {}).get(metric.key)
    return [scores] if scores else []


def _line(shown: RowView, values: Mapping[str, Any]) -> dict[str, Any]:
    return {"label": shown.label, "kind": shown.kind, **values}


def _means(metric: Metric, seeds: Sequence[Mapping[str, float | None]], names: Sequence[str]) -> list[float | None]:
    means: list[float | None] = []
    for name in names:
        scores = [value for seed in seeds if (value := seed.get(name)) is not None]
        means.append(metric.rounded(sum(scores) / len(scores)) if scores else None)
    return means
