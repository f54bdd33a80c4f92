"""``models``: parameters, multiply-accumulates and taps."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.base.errors import EXIT_CELLS_FAILED, EXIT_DONE
from bench.cli.deploy import height_and_width
from bench.cli.screen import terminal


def models(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Which models; all if left out.")
    ] = None,
    classes: Annotated[int, typer.Option(min=1, help="Number of classes.")] = 19,
    size: Annotated[str, typer.Option(help="Input height and width.")] = "512x512",
    latency: Annotated[bool, typer.Option("--latency", help="Measure the latency on this machine as well.")] = False,
    device: Annotated[str, typer.Option(help="Where latency is measured: auto, cpu, cuda, cuda:N or mps.")] = "auto",
) -> None:
    """Show parameters, multiply-accumulates and taps of the models."""
    from bench.base.device import find_device
    from bench.cli.screen.models import print_models

    taken_on = find_device(device) if latency else None
    failed = print_models(names or [], classes, height_and_width(size), taken_on, terminal.console())
    raise typer.Exit(EXIT_CELLS_FAILED if failed else EXIT_DONE)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(models)
