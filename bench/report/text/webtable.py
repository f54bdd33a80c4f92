"""Leaderboards as one HTML file of plain tables, without script: to print, to paste, to read anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from bench.base.text import one_line
from bench.leaderboard import AcrossBoard, Board, RecordedPlan, across_pairs
from bench.report.columns import filled
from bench.report.lines import is_best, marks, mean_gain, name, name_across, on_pair
from bench.report.notes import facts, reading_notes, unfinished


def web_table(plan: RecordedPlan, boards: Sequence[Board], problems: Sequence[str] = ()) -> str:
    """Return the tables as an HTML document that loads nothing.

    Args:
        plan: name and command of the run.
        boards: the tables.
        problems: what could not be read or shown.
    """
    environment = Environment(
        loader=PackageLoader("bench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("leaderboard.html").render(
        name=one_line(plan.name),
        command=one_line(plan.command),
        problems=problems,
        across=[_across(across) for across in across_pairs(boards)],
        boards=[_board(board) for board in boards],
    )


def _board(board: Board) -> dict[str, Any]:
    columns = filled(board, "text")
    return {
        "title": one_line(board.title),
        "watermark": board.watermark,
        "columns": columns,
        "rows": [
            {
                "name": name(board, row),
                "marks": marks(board, row),
                "teacher": row is board.teacher_row,
                "cells": [(column.text(row), "text" in column.bold_in and is_best(board, row)) for column in columns],
            }
            for row in board.shown
        ],
        "footnotes": board.footnotes(),
        "notes": [*board.notes, *facts(board), *reading_notes(board)],
        "unfinished": unfinished(board),
    }


def _across(across: AcrossBoard) -> dict[str, Any]:
    rows = [
        {
            "name": name_across(across, row),
            "cells": [
                (on_pair(across.metric, found), found is not None and is_best(board, found))
                for board, found in zip(across.boards, row.rows, strict=True)
            ],
            "mean": mean_gain(across.metric, row),
            "n": row.n_pairs or "",
        }
        for row in across.rows
    ]
    return {"title": one_line(across.title), "pairs": [board.pair for board in across.boards], "rows": rows}
