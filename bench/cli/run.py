"""``run``: train and evaluate every cell of a matrix, then build its report."""

from __future__ import annotations

import functools
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.base.errors import EXIT_CELLS_FAILED, EXIT_DONE
from bench.cli.options import (
    AcceptStaleOption,
    DataRootOption,
    MatrixOption,
    NoBaselineOption,
    ResultsOption,
    RetrainOption,
    SetOption,
    WorkersOption,
    make_settings,
)
from bench.cli.screen import terminal

if TYPE_CHECKING:
    from bench.plan.plan import Plan
    from bench.report import BuiltReport


def run(
    matrix: MatrixOption = "quick",
    set_: SetOption = None,
    results: ResultsOption = Path("results"),
    data_root: DataRootOption = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    workers: WorkersOption = None,
    checkpoint_seconds: Annotated[
        float, typer.Option(min=0, help="Seconds of training between two checkpoints; 0 writes one every iteration.")
    ] = 20.0,
    cache_gib: Annotated[
        float, typer.Option(min=0, help="The most that the decoded images of one split may take on disk.")
    ] = 64.0,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep no decoded images on disk.")] = False,
    no_baseline: NoBaselineOption = False,
    accept_stale: AcceptStaleOption = False,
    retrain: RetrainOption = None,
    plain: Annotated[bool, typer.Option("--plain", help="A line an event instead of the live view.")] = False,
    logger: Annotated[
        list[str] | None,
        typer.Option("--logger", help="Also log losses and scores to tensorboard or wandb. Repeatable."),
    ] = None,
) -> None:
    """Train and evaluate every cell of a matrix, then build its report."""
    from bench.matrix.matrix import load_matrix

    loaded = load_matrix(matrix, tuple(set_ or ()), no_baseline)  # a mistake is told before the slow imports

    from bench.cli.screen.boards import print_boards
    from bench.cli.screen.progress import make_reporter
    from bench.deploy.gallery import make_gallery
    from bench.report import build_report
    from bench.train.events import Relay
    from bench.train.heartbeat import Heartbeat
    from bench.train.loggers import make_loggers
    from bench.train.run import run_matrix
    from bench.train.stop import StopRequest

    settings = make_settings(
        results,
        data_root,
        device=device,
        workers=workers,
        checkpoint_seconds=checkpoint_seconds,
        cache_gib=0.0 if no_cache else cache_gib,
        accept_stale=accept_stale,
        retrain=tuple(retrain or ()),
    )
    console, folder = terminal.console(), results / loaded.matrix.name
    command = shlex.join(("python", "-m", "bench", *sys.argv[1:]))
    with StopRequest().listening() as stop, terminal.drawing():
        reporter = Relay(make_reporter(console, plain), Heartbeat(folder), *make_loggers(logger or [], folder))
        draw = functools.partial(make_gallery, settings=settings, reporter=reporter, stop=stop)
        plan = run_matrix(loaded, settings, reporter, stop, command, draw)
        with stop.at_once():
            report = build_report(plan.run)
            print_boards(report.boards, console)
    raise typer.Exit(_told(plan, report))


def _told(plan: Plan, report: BuiltReport) -> int:
    """Tell which files were written and which cells have no result; return the exit code."""
    unfinished = [one for one in plan.cells if one.state != "done"]
    terminal.say(*(f"wrote {path}" for path in report.files))
    terminal.say(*(f"{one.state}: {one.cell.id}: {one.reason}" for one in unfinished))
    return EXIT_CELLS_FAILED if unfinished else EXIT_DONE


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(run)
