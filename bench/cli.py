"""The command line: one thin function a command. What needs torch is imported inside the command."""

from __future__ import annotations

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bench import __version__
from bench.commands import check, compare, data, deploy, gallery, init, status, terminal
from bench.commands.deploy import height_and_width
from bench.errors import EXIT_CELLS_FAILED, EXIT_DONE, BenchError, Interrupted

app = typer.Typer(
    name="bench",
    help="Fair comparison of knowledge-distillation methods for dense prediction.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


MatrixOption = Annotated[str, typer.Option("--matrix", "-m", help="A YAML file, or the name of a preset.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Override a key, as in recipe.iterations=200. Repeatable.")
]
ResultsOption = Annotated[Path, typer.Option("--results", help="Folder for runs, trained teachers and the cache.")]
DataRootOption = Annotated[
    list[Path] | None,
    typer.Option("--data-root", help="Folder that holds datasets. Repeatable; BENCH_DATA adds more."),
]
NoBaselineOption = Annotated[bool, typer.Option("--no-baseline", help="Allow a matrix without the method none.")]
AcceptStaleOption = Annotated[
    bool, typer.Option("--accept-stale", help="Keep finished cells made by other code, versions or data.")
]
RetrainOption = Annotated[
    list[str] | None, typer.Option("--retrain", help="Train cells again whose id matches this pattern. Repeatable.")
]


WorkersOption = Annotated[
    int | None,
    typer.Option(min=0, help="Processes that load data; 0 loads in the main one. Left out: by the size of the images."),
]


class Kind(StrEnum):
    """What ``list`` can show."""

    METHODS = "methods"
    STUDENTS = "students"
    TEACHERS = "teachers"
    DATASETS = "datasets"
    PRESETS = "presets"


def _settings(results: Path, data_root: list[Path] | None, **given: Any) -> Any:
    from bench.settings import Settings, data_roots

    return Settings(results=results, data_roots=data_roots(data_root), **given)


@app.command()
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
    from bench.matrix import load_matrix

    loaded = load_matrix(matrix, tuple(set_ or ()), no_baseline)  # a mistake is told before the slow imports

    from bench.heartbeat import Heartbeat
    from bench.loggers import make_loggers
    from bench.progress import make_reporter
    from bench.relay import Relay
    from bench.report import build_report
    from bench.report.terminal import print_boards
    from bench.run import run_matrix
    from bench.stop import StopRequest

    settings = _settings(
        results,
        data_root,
        device=device,
        workers=workers,
        checkpoint_seconds=checkpoint_seconds,
        cache_gib=0.0 if no_cache else cache_gib,
        accept_stale=accept_stale,
        retrain=tuple(retrain or ()),
    )
    console = terminal.console()
    command = shlex.join(("python", "-m", "bench", *sys.argv[1:]))
    with StopRequest().listening() as stop:
        folder = results / loaded.matrix.name
        reporter = Relay(make_reporter(console, plain), Heartbeat(folder), *make_loggers(logger or [], folder))
        plan = run_matrix(loaded, settings, reporter, stop, command)
        report = build_report(plan.run)
    print_boards(report.boards, console)
    for path in report.files:
        console.print(f"wrote {path}", markup=False, highlight=False)
    unfinished = [planned for planned in plan.cells if planned.state != "done"]
    for planned in unfinished:
        console.print(f"{planned.state}: {planned.cell.id}: {planned.reason}", markup=False, highlight=False)
    raise typer.Exit(EXIT_CELLS_FAILED if unfinished else EXIT_DONE)


@app.command()
def plan(
    matrix: MatrixOption = "quick",
    set_: SetOption = None,
    results: ResultsOption = Path("results"),
    data_root: DataRootOption = None,
    no_baseline: NoBaselineOption = False,
    accept_stale: AcceptStaleOption = False,
    retrain: RetrainOption = None,
) -> None:
    """Show cells, groups and what is done already, without training."""
    from bench.matrix import load_matrix
    from bench.plan import build_plan
    from bench.planview import print_plan

    loaded = load_matrix(matrix, tuple(set_ or ()), no_baseline)
    settings = _settings(results, data_root, accept_stale=accept_stale, retrain=tuple(retrain or ()))
    print_plan(build_plan(loaded, settings), terminal.console())


@app.command(name="list")
def list_(
    kind: Annotated[Kind | None, typer.Argument(help="What to show; everything if left out.")] = None,
    long: Annotated[str | None, typer.Option("--long", help="Show one entry with its whole description.")] = None,
) -> None:
    """Show what is registered, with options, defaults and where it is defined."""
    from bench.planview import print_entry, print_registered

    if long is not None:
        print_entry(kind and kind.value, long, terminal.console())
    else:
        print_registered(kind and kind.value, terminal.console())


@app.command()
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
    from bench.engines.local import find_device
    from bench.modelview import print_models

    taken_on = find_device(device) if latency else None
    failed = print_models(names or [], classes, height_and_width(size), taken_on, terminal.console())
    raise typer.Exit(EXIT_CELLS_FAILED if failed else EXIT_DONE)


@app.command()
def report(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Result folders, such as results/quick; several share tables."),
    ],
    output: Annotated[Path | None, typer.Option(help="Where to write; the result folder itself, if it is one.")] = None,
) -> None:
    """Build tables, plots and the page from the stored results alone."""
    from bench.report import build_report
    from bench.report.terminal import print_boards
    from bench.store import RunFolder, require_writable

    absent = [folder for folder in runs if not (folder / "cells").is_dir()]
    if absent:
        raise BenchError(
            *(f"{folder} is no result folder: it has no 'cells' folder. Run a matrix first." for folder in absent)
        )
    if len(runs) == 1 or output is not None:
        require_writable(output or runs[0])
    console = terminal.console()
    built = build_report(*map(RunFolder, runs), output=output)
    print_boards(built.boards, console)
    for path in built.files:
        console.print(f"wrote {path}", markup=False, highlight=False)


@app.command()
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
    from bench.conformance import FAILED, check_methods
    from bench.conformance.view import print_results
    from bench.overrides import apply_override

    given: dict[str, Any] = {}
    for text in set_ or ():
        apply_override(given, text)
    counts = print_results(check_methods(names, given), terminal.console())
    raise typer.Exit(EXIT_CELLS_FAILED if counts[FAILED] else EXIT_DONE)


@app.command()
def evaluate(
    model: Annotated[str, typer.Option(help="Name of a student or teacher.")],
    weights: Annotated[Path, typer.Option(help="A .safetensors file or a torch checkpoint.")],
    dataset: Annotated[str, typer.Option(help="Name of a dataset.")],
    split: Annotated[str | None, typer.Option(help="A split; the one that papers report if left out.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="An option, as in model.q=3 or dataset.folder=camvid-half. Repeatable."),
    ] = None,
    classes: Annotated[
        int | None, typer.Option(min=1, help="Output channels of the weights; the dataset's classes are the first.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Resize images to this for the model, as in 360x480.")
    ] = None,
    align_corners: Annotated[
        bool | None, typer.Option("--align-corners/--no-align-corners", help="How logits are brought to label size.")
    ] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Write scores and protocol to this file.")] = None,
    data_root: DataRootOption = None,
    results: ResultsOption = Path("results"),
    plugin: Annotated[
        list[Path] | None, typer.Option(help="A file that registers models or datasets. Repeatable.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Images in one forward pass.")] = 16,
    workers: WorkersOption = None,
) -> None:
    """Score a model with given weights on a split, by the code that scores students."""
    settings = _settings(results, data_root, device=device, workers=workers)
    wanted_size = None if size is None else height_and_width(size)

    from bench.evaluate import Request, evaluate_weights, print_evaluation
    from bench.store import write_json

    request = Request(
        model=model,
        weights=weights,
        dataset=dataset,
        split=split,
        overrides=tuple(set_ or ()),
        plugins=tuple(plugin or ()),
        classes=classes,
        size=wanted_size,
        align_corners=align_corners,
        batch_size=batch_size,
    )
    record = evaluate_weights(request, settings)
    console = terminal.console()
    print_evaluation(record, console)
    if json_ is not None:
        write_json(json_, record)
        console.print(f"wrote {json_}", markup=False, highlight=False)


for _module in (check, compare, status, data, init, gallery, deploy):
    _module.add_to(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bench {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; a user's mistake ends in its message and exit code 2, without a traceback."""
    error_console = terminal.console(stderr=True)
    try:
        app()
    except BenchError as error:
        for problem in error.problems:
            error_console.print(f"error: {problem}", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(error.exit_code) from None
    except Interrupted as stop:
        error_console.print("stopped; everything is checkpointed. The same command goes on from here.")
        raise SystemExit(stop.exit_code) from None
    except OSError as error:
        from bench.store import write_problem

        if error.filename is None and error.errno is None:
            raise
        problem = write_problem(Path(str(error.filename or ".")), error)
        error_console.print(f"error: {problem}", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(BenchError.exit_code) from None
