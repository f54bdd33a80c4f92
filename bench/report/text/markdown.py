"""Leaderboards as Markdown (GitHub flavour)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from tabulate import tabulate

from bench.base.text import one_line
from bench.leaderboard import AcrossBoard, Board, RecordedPlan, Row, across_pairs
from bench.matrix.baseline import BASELINE
from bench.report.columns import Column, filled
from bench.report.lines import is_best, marks, mean_gain, name, name_across, on_pair
from bench.report.notes import facts, reading_notes, unfinished

_SPECIAL = re.compile(r"([\\`*_\[\]|~$]|^[-+#=])|^(\d+)([.)])")
_REASON_LENGTH = 400


def escape(text: str, limit: int | None = None) -> str:
    """Return text that Markdown shows as it is, on one line, also inside a table cell."""
    plain = one_line(text, limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(lambda found: f"{found[2] or ''}\\{found[1] or found[3]}", plain)


def markdown(
    plan: RecordedPlan, boards: Sequence[Board], problems: Sequence[str] = (), plots: Sequence[str] = ()
) -> str:
    """Return the whole report.

    Args:
        plan: name and command of the run.
        boards: the tables.
        problems: what could not be read or shown.
        plots: file names of the plots to show, relative to the report.
    """
    parts = [f"# {escape(plan.name)}", _summary(boards)]
    if plan.command:
        parts.append(f"Command:\n\n    {one_line(plan.command)}")
    parts += [f"**Warning: {escape(problem)}**" for problem in problems]
    parts += [_across(across) for across in across_pairs(boards)]
    parts += [_section(board) for board in boards]
    parts += [f"![{plot.rpartition('.')[0].replace('_', ' ')}]({plot})" for plot in plots]
    return "\n\n".join(parts) + "\n"


def _summary(boards: Sequence[Board]) -> str:
    """Count the cells once, however many boards show them."""
    states = {
        cell_id: state for b in boards for cell_id, state in b.cells[["cell_id", "state"]].itertuples(index=False)
    }
    counts = Counter(states.values())
    text = f"{len(states)} cells" + "".join(f", {n} {escape(str(state))}" for state, n in sorted(counts.items())) + "."
    return text if counts["done"] else f"{text} **No cell has finished: there is no score to show.**"


def _section(board: Board) -> str:
    parts = [f"## {escape(board.title)}"]
    if board.watermark:
        parts.append(f"**{escape(board.watermark)}**")
    parts.append(_table(board))
    numbered = [f"<sup>{number}</sup> {escape(note)}" for number, note in enumerate(board.footnotes(), 1)]
    if numbered:
        parts.append("  \n".join(numbered))
    parts.append("\n".join(f"- {escape(note)}" for note in (*board.notes, *facts(board), *reading_notes(board))))
    waiting = unfinished(board)
    if waiting:
        parts.append("Without a result:\n\n" + "\n".join(f"- {escape(line, _REASON_LENGTH)}" for line in waiting))
    return "\n\n".join(parts)


def _table(board: Board) -> str:
    columns = filled(board, "text")
    lines = [[_label(board, row), *(_cell(board, column, row) for column in columns)] for row in board.shown]
    return _pipe(["Method", *(_header(board, column) for column in columns)], lines, [c.right for c in columns])


def _header(board: Board, column: Column) -> str:
    """Return what stands above a column; what a plug-in's metric is called can be any text."""
    return escape(column.header) if board.scoring.metric(column.key) else column.header


def _pipe(headers: Sequence[str], lines: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    """Return a table; the first column is on the left."""
    aligned = ("left", *("right" if on_the_right else "left" for on_the_right in right))
    table: str = tabulate(lines, headers=headers, tablefmt="pipe", colalign=aligned, disable_numparse=True)
    return table


def _across(across: AcrossBoard) -> str:
    """Return the section that puts the pairs of a dataset side by side."""
    headers = ["Method", *(escape(board.pair) for board in across.boards), "Mean gain [95 % over pairs]", "Pairs"]
    lines = [
        [
            escape(name_across(across, row)),
            *(_pair_cell(board, found) for board, found in zip(across.boards, row.rows, strict=True)),
            mean_gain(across.metric, row),
            str(row.n_pairs or ""),
        ]
        for row in across.rows
    ]
    unit = escape(across.metric.difference_name)
    notes = [
        f"Gain over {BASELINE}{f' in {unit}' if unit else ''}, mean over the seeds; bold: best tier of its pair, if "
        "several.",
        "Mean over the pairs that have a gain, with its Student-t interval over them; it takes them for a sample of "
        "pairs. Methods with fewer pairs stand below: their means are over other pairs.",
    ]
    parts = [f"## {escape(across.title)}", _pipe(headers, lines, [True] * (len(headers) - 1))]
    return "\n\n".join([*parts, "\n".join(f"- {note}" for note in notes)])


def _pair_cell(board: Board, row: Row | None) -> str:
    text = on_pair(board.metric, row)
    return f"**{text}**" if row and text and is_best(board, row) else text


def _cell(board: Board, column: Column, row: Row) -> str:
    """Return a value, the tier bold where it is the best; only words can hold anything that Markdown would read."""
    text = column.text(row) if column.right else escape(column.text(row))
    return f"**{text}**" if "text" in column.bold_in and is_best(board, row) else text


def _label(board: Board, row: Row) -> str:
    label = escape(name(board, row))
    shown = f"*{label}*" if row is board.teacher_row else label
    numbers = ", ".join(str(number) for number in marks(board, row))
    return f"{shown} <sup>{numbers}</sup>" if numbers else shown
