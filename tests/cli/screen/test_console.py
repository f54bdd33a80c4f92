"""The console shows names as they are and does nothing that a name says."""

from __future__ import annotations

import io

import pytest
from rich.table import Table
from rich.text import Text

from bench.cli.screen.console import CleanConsole, literal
from bench.cli.screen.terminal import console, say

HOSTILE = "\x1b[31m[red]a\u202eb[/]\x9b1m\u2066道"
SHOWN = " [31m[red]a b[/] 1m 道"


def printed(*renderables: object, terminal: bool = True, **given: bool) -> str:
    file = io.StringIO()
    screen = CleanConsole(file=file, width=60, force_terminal=terminal, color_system=None, emoji=False)
    screen.print(*renderables, **given)
    return file.getvalue()


def test_text_of_any_origin_is_cleaned() -> None:
    assert printed(HOSTILE, markup=False, highlight=False) == f"{SHOWN}\n"
    assert printed(Text(HOSTILE)) == f"{SHOWN}\n"
    assert printed(Text("a\nb")) == "a\nb\n"


def test_the_lines_of_a_table_stay_as_long_as_each_other() -> None:
    table = Table("name", "n", title=literal(HOSTILE))
    for name in (HOSTILE, "plain", "\x1b" * 30, "\u202e" * 30):
        table.add_row(literal(name), "1")
    table.add_row(Text("\u202eraw"), "2")
    lines = printed(table).splitlines()
    assert "[red]a b[/]" in "".join(lines)
    assert all(line.isprintable() for line in lines)
    assert len({Text(line).cell_len for line in lines[1:]}) == 1


def test_every_command_prints_on_such_a_console(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(console(), CleanConsole)
    say(f"  {HOSTILE}\n  next")
    assert capsys.readouterr().out == f"  {SHOWN}\n  next\n"
