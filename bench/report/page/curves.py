"""The score over the iterations for the view of ``report.html`` that shows the training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bench.leaderboard import Board
from bench.report.figures.measured import Curves, by_row
from bench.report.page.views import BoardView
from bench.tasks.metric import Metric

MOST_CURVES = 24
MOST_CURVE_POINTS = 120


def board_curves(board: Board, view: BoardView, curves: Mapping[str, Curves]) -> dict[str, Any] | None:
    """Return the score, as shown, over the iterations: each seed's points by method, the teacher's level."""
    metric = board.metric
    found = {
        label: [
            _thinned(metric, curve.score)
            for cell in own.values()
            if (curve := curves.get(str(cell["cell_id"]))) and curve.score
        ]
        for label, own in by_row(board).items()
    }
    drawn = [row for row in view.rows if row.kind != "teacher" and found.get(row.row.label)]
    if not drawn:
        return None
    return {
        "rows": [{"label": row.label, "kind": row.kind, "seeds": found[row.row.label]} for row in drawn[:MOST_CURVES]],
        "teacher": metric.rounded(board.teacher_row.score_mean) if board.teacher_row else None,
        "n_left_out": max(len(drawn) - MOST_CURVES, 0),
    }


def _thinned(metric: Metric, curve: Mapping[int, float]) -> list[list[float | None]]:
    """Return iteration and score; of a long curve evenly spread points, the last among them."""
    iterations = sorted(curve)
    step = max(1, math.ceil(len(iterations) / MOST_CURVE_POINTS))
    return [[i, metric.rounded(curve[i])] for i in sorted({*iterations[::step], iterations[-1]})]
