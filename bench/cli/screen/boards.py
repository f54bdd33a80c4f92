"""Leaderboards for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bench.base.text import one_line
from bench.cli.screen.console import literal
from bench.leaderboard import Board, Row
from bench.report.columns import Column, filled
from bench.report.lines import marks, name
from bench.report.notes import tier_notes, unfinished

_MOST_LINES = 12
_SUPERSCRIPTS = str.maketrans("0123456789,", "⁰¹²³⁴⁵⁶⁷⁸⁹˙")


def print_boards(boards: Sequence[Board], console: Console) -> None:
    """Print every board as a table that fits the console; the least important columns are dropped first.

    Args:
        boards: the tables.
        console: where to print; its width decides which columns are shown.
    """
    for board in boards:
        console.print()
        console.print(Text(one_line(board.title), style="bold"))
        if board.watermark:
            console.print(Text(board.watermark, style="bold red"))
        table, dropped = _fitting(board, console)
        console.print(table)
        for line in _lines_below(board, dropped):
            console.print(Padding(Text(one_line(line, 300)), (0, 0, 0, 1)), style="dim")
    if not any((board.cells["state"] == "done").any() for board in boards):
        console.print(Text("No cell has finished: there is no score to show."))


def _fitting(board: Board, console: Console) -> tuple[Table, list[Column]]:
    columns = filled(board, "terminal")
    dropped: list[Column] = []
    longest = max(12, console.width // 4)
    while columns:
        table = _table(board, columns, longest)
        if console.measure(table, options=console.options.update(max_width=10_000)).maximum <= console.width:
            return table, dropped
        least = min(columns, key=lambda column: column.importance)
        columns.remove(least)
        dropped.append(least)
    return _table(board, columns, longest), dropped


def _table(board: Board, columns: Sequence[Column], longest: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False, show_edge=False)
    table.add_column("Method", no_wrap=True, overflow="ellipsis")
    for column in columns:
        table.add_column(literal(column.header), justify="right" if column.right else "left", no_wrap=True)
    if board.teacher_row:
        table.add_row(*_cells(board, board.teacher_row, columns, longest), style="italic", end_section=True)
    for row in board.rows:
        table.add_row(*_cells(board, row, columns, longest))
    return table


def _cells(board: Board, row: Row, columns: Sequence[Column], longest: int) -> list[Text]:
    numbers = ",".join(str(number) for number in marks(board, row)).translate(_SUPERSCRIPTS)
    label = one_line(name(board, row), longest - len(numbers)) + numbers
    # Text, not str: a str would be read as markup, and a method may be called "[red]" or ":smile:".
    return [Text(label), *(Text(column.text(row)) for column in columns)]


def _lines_below(board: Board, dropped: Sequence[Column]) -> list[str]:
    footnotes = [f"{str(n).translate(_SUPERSCRIPTS)} {note}" for n, note in enumerate(board.footnotes(), 1)]
    waiting = unfinished(board)
    if len(waiting) > _MOST_LINES:
        waiting = [*waiting[:_MOST_LINES], f"and {len(waiting) - _MOST_LINES} more without a result, in leaderboard.md"]
    left_out = [f"not shown for lack of room: {', '.join(column.header for column in dropped)}"] if dropped else []
    return [*footnotes, *tier_notes(board), *board.notes, *waiting, *left_out]
