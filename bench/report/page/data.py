"""The data that the scripts of ``report.html`` read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.report.columns import NOT_DEFINED, columns
from bench.report.figures.measured import Curves
from bench.report.page.classes import class_scores
from bench.report.page.curves import board_curves
from bench.report.page.views import REACH, BoardView, RowView
from bench.tasks.metric import Metric

MOST_CLASS_VALUES = 60_000
_PLOTTED = ("params", "macs", "fps", "cost", "memory")


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
        room -= sum(2 * len(line["score"]) for line in classes["rows"])
        data.append(
            {
                "title": board.title,
                "dataset": board.dataset,
                "pair": board.pair,
                "protocol": board.protocol,
                "metric": _metric_words(board.metric),
                "rows": [_row_data(view, row) for row in view.rows],
                "classes": classes,
                "curves": board_curves(board, view, curves),
                "images": scores and {**scores, "names": _names(image_names.get(board.title, ()), scores["n_images"])},
            }
        )
    return data


def _metric_words(metric: Metric) -> dict[str, Any]:
    """Return what the scripts say of a metric and how they show it."""
    return {
        "header": metric.header,
        "axis": metric.axis,
        "unit": metric.unit,
        "differenceUnit": metric.difference_unit,
        "sign": metric.sign,
        "scale": metric.scale,
        "digits": metric.digits,
        "reach": metric.limit / REACH,
    }


def _row_data(view: BoardView, shown: RowView) -> dict[str, Any]:
    row = shown.row
    score, gain, *others = columns(view.board.scoring)
    told, by_key = {"score": score, "gain": gain}, {column.key: column for column in others}
    intervals = {key: ends for key, column in told.items() if column.interval and (ends := column.interval(row))}
    tip = [
        [column.header_on_page, column.on_page(row)]
        for column in view.columns
        if column.on_page(row) not in ("", NOT_DEFINED)
    ]
    for key, (low, high) in intervals.items():
        tip.append([f"{told[key].header_on_page}, 95 %", f"{told[key].end(low)} to {told[key].end(high)}"])
    if shown.tier:
        tip.insert(0, ["Tier", shown.tier])
    if shown.reason:
        tip.append(["No score", shown.reason])
    return {
        "label": shown.label,
        "name": row.label,
        "kind": shown.kind,
        "values": {
            **{key: column.value(row) for key, column in told.items()},
            **{key: by_key[key].value(row) for key in _PLOTTED},
        },
        "intervals": intervals,
        "tip": tip,
    }


def _names(names: Sequence[str], n_images: int) -> list[str]:
    """Return the names if they are those of the split that was scored."""
    return list(names) if len(names) == n_images else []
