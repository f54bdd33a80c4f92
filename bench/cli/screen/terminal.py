"""How commands speak to the terminal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console

WIDTH_WITHOUT_TERMINAL = 140


def console(stderr: bool = False) -> Console:
    """Return a console that leaves names as they are and, in a log, has room for every column."""
    from rich.console import Console  # plain lines need none of it

    made = Console(stderr=stderr, emoji=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = WIDTH_WITHOUT_TERMINAL
    return made


def say(*lines: str, stderr: bool = False) -> None:
    """Print lines as they are."""
    for line in lines:
        typer.echo(line, err=stderr)
