"""``data``: which datasets are here, getting one, checking what is in it, looking at it."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from bench.base.errors import EXIT_CELLS_FAILED, EXIT_DONE, BenchError, Interrupted
from bench.cli.screen import terminal

if TYPE_CHECKING:
    from rich.console import Console

    from bench.cli.choose_data import DatasetChoice
    from bench.data.base import Samples, SegmentationData
    from bench.matrix.settings import Settings

MOST_SHOWN = 100

NameArgument = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="Name of a dataset, unless --matrix is given.")
]
MatrixOption = Annotated[
    str | None, typer.Option("--matrix", "-m", help="Take dataset, options and splits from a matrix instead.")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="An option of the dataset, as in folder=camvid-half. Repeatable.")
]
ResultsOption = Annotated[Path, typer.Option("--results", help="Folder for runs, trained teachers and the cache.")]
DataRootOption = Annotated[
    list[Path] | None,
    typer.Option("--data-root", help="Folder that holds datasets. Repeatable; BENCH_DATA adds more."),
]
PluginOption = Annotated[
    list[Path] | None, typer.Option("--plugin", help="A file that registers datasets. Repeatable.")
]

data_app = typer.Typer(help="List, download, check and look at datasets.", pretty_exceptions_enable=False)


def add_to(app: typer.Typer) -> None:
    """Add ``data`` and its commands to a command line."""
    app.add_typer(data_app, name="data")


def _settings(results: Path, data_root: list[Path] | None) -> Settings:
    from bench.matrix.settings import Settings, data_roots

    return Settings(results=results, data_roots=data_roots(data_root))


@data_app.callback(invoke_without_command=True)
def list_datasets(
    context: typer.Context,
    data_root: DataRootOption = None,
    results: ResultsOption = Path("results"),
    plugin: PluginOption = None,
) -> None:
    """Show every dataset, whether it is here, and what to do where it is not."""
    if context.invoked_subcommand is not None:
        if data_root or plugin or results != Path("results"):
            raise BenchError(f"options go behind the command: bench data {context.invoked_subcommand} ... --data-root")
        return
    settings = _settings(results, data_root)

    from bench.base.registry import load_plugins
    from bench.cli.screen.data import print_datasets

    load_plugins(plugin or ())
    print_datasets(settings, terminal.console())


@data_app.command()
def prepare(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a dataset.")],
    root: Annotated[Path, typer.Option("--root", help="Folder to put the dataset under; made where it is not there.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before downloading.")] = False,
    mirror: Annotated[
        str | None, typer.Option(help="A URL or folder that stands for everything before the files' names.")
    ] = None,
    set_: SetOption = None,
    results: ResultsOption = Path("results"),
    plugin: PluginOption = None,
) -> None:
    """Download and unpack a dataset, or tell what is to be done by hand; exit code 0 when it is ready."""
    from bench.cli.choose_data import choose_dataset
    from bench.cli.screen.data import instructions

    settings = replace(_settings(results, None), data_roots=(root,))
    chosen = choose_dataset(name, None, tuple(set_ or ()), tuple(plugin or ()), settings)
    console = terminal.console()
    if _worth_downloading(chosen, root):
        _obtain(chosen, root, yes, mirror, console)
        chosen = choose_dataset(name, None, tuple(set_ or ()), (), settings)  # as the first one may remember places
    problems = _lacking(chosen, chosen.main_splits)
    if problems:
        if text := instructions(chosen.data):
            console.print(text, markup=False, highlight=False, soft_wrap=True)
        raise BenchError(f"{name} is not ready under {root}: {problems[0]}")
    for split in chosen.data.info.splits:
        state = next(iter(_lacking(chosen, (split,))), "") or f"{len(chosen.data.split(split))} samples"
        console.print(f"{split}: {state}", markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"{name} is ready: give --data-root {root}, or set BENCH_DATA={root.resolve()}",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip


def _worth_downloading(chosen: DatasetChoice, root: Path) -> bool:
    """Tell whether a download is of use: not where the dataset was put there by hand, but for a split that few need."""
    from bench.data.get.obtain import pending

    begun = len(pending(chosen.data, root)) < len(chosen.data.archives)
    return bool(_lacking(chosen, chosen.data.info.splits if begun else chosen.main_splits))


def _lacking(chosen: DatasetChoice, splits: tuple[str, ...]) -> tuple[str, ...]:
    """Return why some splits are not here."""
    try:
        chosen.data.require(splits)
    except BenchError as error:
        return error.problems
    return ()


def _obtain(chosen: DatasetChoice, root: Path, yes: bool, mirror: str | None, console: Console) -> None:
    """Download and unpack what is not yet, after telling what it is and asking."""
    from bench.cli.screen.data import Bars, print_archives
    from bench.data.get.obtain import pending, prepare

    missing = pending(chosen.data, root)
    if not missing:
        return
    print_archives(missing, mirror, console)
    console.print(f"source: {chosen.data.info.source}", markup=False, highlight=False, soft_wrap=True)
    if not yes:
        if not _can_ask():
            raise BenchError("nobody can be asked here whether to download this. Give --yes to agree.")
        if not typer.confirm(f"Download to {root}?"):
            raise BenchError("nothing was downloaded")
    try:
        with Bars(console).shown() as bars:
            prepare(chosen.data, root, bars, mirror)
    except KeyboardInterrupt:
        raise Interrupted(signal.SIGINT) from None


def _can_ask() -> bool:
    return sys.stdin.isatty()


@data_app.command()
def check(
    name: NameArgument = None,
    split: Annotated[
        list[str] | None, typer.Option(help="A split; all that share no samples if left out. Repeatable.")
    ] = None,
    matrix: MatrixOption = None,
    set_: SetOption = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Write all that was found to this file.")] = None,
    data_root: DataRootOption = None,
    results: ResultsOption = Path("results"),
    plugin: PluginOption = None,
) -> None:
    """Read every sample: sizes, classes, duplicates, faults; exit code 1 where something is wrong."""
    settings = _settings(results, data_root)

    from bench.base.files import write_json
    from bench.cli.choose_data import choose_dataset, disjoint_splits
    from bench.cli.screen.data import counting, inspection_record, print_inspection
    from bench.data.look.inspection import inspect

    chosen = choose_dataset(name, matrix, tuple(set_ or ()), tuple(plugin or ()), settings)
    chosen.require_masks("data check")
    chosen.require_splits(split or ())
    console = terminal.console()
    splits, notes = (tuple(dict.fromkeys(split)), []) if split else disjoint_splits(chosen)
    with counting(console) as progress:
        found = inspect(cast("SegmentationData", chosen.data), splits, progress, chosen.main_splits)
    print_inspection(chosen.name, found, console)
    for note in notes:
        console.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)
    if json_ is not None:
        write_json(json_, inspection_record(chosen.name, chosen.options, found))
        console.print(f"wrote {json_}", markup=False, highlight=False)
    verdict = f"{len(found.problems)} problems" if found.problems else "no problem"
    console.print(f"{verdict} in {', '.join(splits)}", markup=False, highlight=False)
    raise typer.Exit(EXIT_CELLS_FAILED if found.problems else EXIT_DONE)


@data_app.command()
def show(
    name: NameArgument = None,
    n: Annotated[int, typer.Option("-n", min=1, max=MOST_SHOWN, help="How many samples.")] = 8,
    split: Annotated[str | None, typer.Option(help="A split; the one that papers report if left out.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Draw samples at random; evenly over the split if left out.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A PNG file; in the results folder if left out.")
    ] = None,
    matrix: MatrixOption = None,
    set_: SetOption = None,
    data_root: DataRootOption = None,
    results: ResultsOption = Path("results"),
    plugin: PluginOption = None,
) -> None:
    """Draw samples as image, labels and overlay into one picture."""
    if output is not None and output.suffix.lower() != ".png":
        raise BenchError(f"--output {output}: name a file that ends in .png")
    settings = _settings(results, data_root)

    from bench.base.files import write_atomic
    from bench.cli.choose_data import choose_dataset
    from bench.cli.screen.data import sheet_path
    from bench.data.look.sheet import contact_sheet

    chosen = choose_dataset(name, matrix, tuple(set_ or ()), tuple(plugin or ()), settings)
    chosen.require_masks("data show")
    wanted = split or (chosen.splits[-1] if chosen.splits else chosen.data.info.eval_split)
    chosen.require_splits((wanted,))
    samples = cast("Samples", chosen.open_split(wanted))
    with terminal.drawing():
        sheet = contact_sheet(samples, chosen.data.info, n, seed)
    path = output or sheet_path(results, chosen.name, wanted)
    write_atomic(path, lambda file: file.write(sheet.png()))
    console = terminal.console()
    for problem in sheet.problems:
        console.print(f"problem: {problem}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"{len(sheet.shown)} of {len(samples)} samples of {wanted}", markup=False, highlight=False)
    console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(EXIT_CELLS_FAILED if sheet.problems else EXIT_DONE)
