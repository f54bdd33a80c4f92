"""``gallery``: pictures of what the models of a run predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.base.errors import EXIT_CELLS_FAILED, EXIT_DONE, BenchError
from bench.cli.screen import terminal

MOST_IMAGES = 20


def gallery(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A result folder, such as results/quick.")],
    matrix: Annotated[
        str, typer.Option("--matrix", "-m", help="The matrix of that run: a YAML file, or the name of a preset.")
    ],
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="The overrides that the run was given. Repeatable.")
    ] = None,
    data_root: Annotated[
        list[Path] | None,
        typer.Option("--data-root", help="Folder that holds datasets. Repeatable; BENCH_DATA adds more."),
    ] = None,
    n: Annotated[
        int, typer.Option("-n", min=1, max=MOST_IMAGES, help="The most images of each kind: best, worst, improved.")
    ] = 3,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
) -> None:
    """Draw what the models of a run predict on its best, worst and most improved images."""
    if not (run_folder / "cells").is_dir():
        raise BenchError(f"{run_folder} is no result folder: it has no 'cells' folder. Run a matrix first.")
    from bench.matrix.matrix import load_matrix

    loaded = load_matrix(matrix, tuple(set_ or ()), no_baseline=True)

    from bench.cli.screen.progress import PlainReporter
    from bench.deploy.gallery import INDEX
    from bench.deploy.gallery.redraw import redraw
    from bench.matrix.settings import Settings, data_roots
    from bench.train.stop import StopRequest

    console = terminal.console()
    settings = Settings(
        results=run_folder.resolve().parent, data_roots=data_roots(data_root), device=device, accept_stale=True
    )
    with StopRequest().listening() as stop, stop.at_once(), terminal.drawing():
        made = redraw(run_folder, loaded, settings, PlainReporter(console), n)
    if made.boards:
        state = "wrote" if made.made else "up to date:"
        console.print(f"{state} {made.folder / INDEX}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(EXIT_CELLS_FAILED if made.problems else EXIT_DONE)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(gallery)
