"""Leaderboards as Markdown (GitHub flavour)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from tabulate import tabulate

from bench.leaderboard import Board, Plan, Row
from bench.report.columns import Column, filled, marks, name, one_line
from bench.report.notes import facts, reading_notes, unfinished

_SPECIAL = re.compile(r"([\\`*_\[\]|~$]|^[-+#=])|^(\d+)([.)])")
_REASON_LENGTH = 400


def escape(text: str, limit: int | None = None) -> str:
    """Return text that Markdown shows as it is, on one line, also inside a table cell."""
    plain = one_line(text, limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(lambda found: f"{found[2] or ''}\\{found[1] or found[3]}", plain)


def markdown(plan: Plan, boards: Sequence[Board], problems: Sequence[str] = (), plot: str | None = None) -> str:
    """Return the whole report.

    Args:
        plan: name and command of the run.
        boards: the tables.
        problems: what could not be read or shown.
        plot: file name of the plot to show, relative to the report.
    """
    parts = [f"# {escape(plan.name)}", _summary(boards)]
    if plan.command:
        parts.append(f"Command:\n\n    {one_line(plan.command)}")
    parts += [f"**Warning: {escape(problem)}**" for problem in problems]
    parts += [_section(board) for board in boards]
    if plot:
        parts.append(f"![mIoU over iterations]({plot})")
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
    columns = filled(board)
    rows = (*((board.teacher_row,) if board.teacher_row else ()), *board.rows)
    lines = [[_label(board, row), *(_cell(column, row) for column in columns)] for row in rows]
    aligned = ("left", *("right" if column.right else "left" for column in columns))
    table: str = tabulate(
        lines,
        headers=["Method", *(column.header for column in columns)],
        tablefmt="pipe",
        colalign=aligned,
        disable_numparse=True,
    )
    return table


def _cell(column: Column, row: Row) -> str:
    """Return a value; only those in words can hold anything that Markdown would read."""
    return column.text(row) if column.right else escape(column.text(row))


def _label(board: Board, row: Row) -> str:
    label = escape(name(board, row))
    shown = f"*{label}*" if row is board.teacher_row else label
    numbers = ", ".join(str(number) for number in marks(board, row))
    return f"{shown} <sup>{numbers}</sup>" if numbers else shown
