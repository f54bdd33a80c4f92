"""``list``: what is registered."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from bench.cli.screen import terminal


class Listed(StrEnum):
    """What ``list`` can show."""

    METHODS = "methods"
    STUDENTS = "students"
    TEACHERS = "teachers"
    DATASETS = "datasets"
    PRESETS = "presets"


def list_(
    kind: Annotated[Listed | None, typer.Argument(help="What to show; everything if left out.")] = None,
    long: Annotated[str | None, typer.Option("--long", help="Show one entry with its whole description.")] = None,
) -> None:
    """Show what is registered, with options, defaults and where it is defined."""
    from bench.cli.screen.registered import print_entry, print_registered

    if long is not None:
        print_entry(kind and kind.value, long, terminal.console())
    else:
        print_registered(kind and kind.value, terminal.console())


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(name="list")(list_)
