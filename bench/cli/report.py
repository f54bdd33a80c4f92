"""``report``: tables, plots and the page from the stored results alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.base.errors import BenchError
from bench.cli.screen import terminal


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Result folders, such as results/quick; several share tables."),
    ],
    output: Annotated[Path | None, typer.Option(help="Where to write; the result folder itself, if it is one.")] = None,
) -> None:
    """Build tables, plots and the page from the stored results alone."""
    from bench.base.files import require_writable
    from bench.cli.screen.boards import print_boards
    from bench.report import build_report
    from bench.store.folders import RunFolder
    from bench.train.stop import StopRequest

    absent = [folder for folder in runs if not (folder / "cells").is_dir()]
    if absent:
        raise BenchError(
            *(f"{folder} is no result folder: it has no 'cells' folder. Run a matrix first." for folder in absent)
        )
    if len(runs) == 1 or output is not None:
        require_writable(output or runs[0])
    console = terminal.console()
    with StopRequest().listening() as stop, stop.at_once(), terminal.drawing():
        built = build_report(*map(RunFolder, runs), output=output)
        print_boards(built.boards, console)
    for path in built.files:
        console.print(f"wrote {path}", markup=False, highlight=False)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(report)
