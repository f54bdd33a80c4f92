"""``check-method``: whether methods hold what bench relies on."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bench.base.errors import EXIT_CELLS_FAILED, EXIT_DONE
from bench.cli.screen import terminal


def check_method(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME|FILE.py...", help="Methods, sums such as a+b, or plug-in files.")
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A hyperparameter, as in tau=4, or of a part of a sum, kd.tau=4. Repeatable."),
    ] = None,
) -> None:
    """Check that methods hold what bench relies on: gradients, edge cases, state, lockstep."""
    from bench.cli.screen.conformance import print_results
    from bench.matrix.overrides import apply_override
    from bench.train.conformance.request import check_methods
    from bench.train.conformance.result import FAILED

    given: dict[str, Any] = {}
    for text in set_ or ():
        apply_override(given, text)
    counts = print_results(check_methods(names, given), terminal.console())
    raise typer.Exit(EXIT_CELLS_FAILED if counts[FAILED] else EXIT_DONE)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(check_method)
