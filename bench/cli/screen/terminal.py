"""How commands speak to the terminal."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from bench.base.text import visible

if TYPE_CHECKING:
    from rich.console import Console

WIDTH_WITHOUT_TERMINAL = 140


def console(stderr: bool = False) -> Console:
    """Return a console that shows names as they are, runs nothing in them and, in a log, has room for every column."""
    from bench.cli.screen.console import CleanConsole  # plain lines need none of it

    made = CleanConsole(stderr=stderr, emoji=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = WIDTH_WITHOUT_TERMINAL
    return made


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """Tell once, after a block that draws pictures, which letters in them no font has."""
    from bench.base.fonts import letters_without_font, without_font

    with letters_without_font() as letters:
        yield
    if letters:
        say(f"note: {without_font(letters)}")


def say(*lines: str, stderr: bool = False) -> None:
    """Print lines as they are, without what a name in them would do to a terminal."""
    for line in lines:
        typer.echo(visible(line), err=stderr)
