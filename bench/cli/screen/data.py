"""What is told about datasets: which there are and whether they are here, what is in one, how a download goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import TransferSpeedColumn as SpeedColumn
from rich.table import Table

from bench.base.errors import SHOWN_PROBLEMS, BenchError, describe_error
from bench.base.progress import Lines
from bench.base.registry import Entry, datasets
from bench.base.text import one_line
from bench.cli.choose_data import build
from bench.cli.screen.console import literal
from bench.data.base import Data
from bench.data.facts import Archive
from bench.data.get.download import address
from bench.data.look.inspection import Inspection, Remark, SplitFacts
from bench.data.read.standard import StandardData
from bench.matrix.settings import Settings

READY, PARTLY, MISSING, OPEN, BROKEN = "ready", "partly", "missing", "needs options", "broken"
_SHOWN_NAMES = 5


@dataclass(frozen=True)
class Presence:
    """How a dataset stands on this machine.

    Attributes:
        state: ``ready``, ``partly``, ``missing``, ``needs options`` or ``broken``.
        counts: number of samples by split that is here.
        lacking: why each other split is not, by name.
        where: the folder that it was found in; empty where it was not.
        todo: what to do next; empty where nothing is.
    """

    state: str
    counts: dict[str, int] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)
    where: str = ""
    todo: str = ""


def status_of(name: str, data: Data) -> Presence:
    """Look for every split of a dataset, without reading samples.

    Args:
        name: registered name.
        data: the dataset.
    """
    if not (data.archives or data.manual or isinstance(data, StandardData)):
        # Asking such a dataset for its files would make them.
        return Presence(READY, where="made when it is needed, nothing to download")
    counts: dict[str, int] = {}
    lacking: dict[str, str] = {}
    for split in data.info.splits:
        try:
            data.require((split,))
            counts[split] = len(data.split(split))
        except BenchError as error:
            lacking[split] = _first_line(error)
    todo = f"bench data prepare {name} --root DIR" + ("" if data.archives else " (tells what to do by hand)")
    if not counts:
        return Presence(MISSING, lacking=lacking, todo=todo)
    state = PARTLY if lacking else READY
    return Presence(state, counts, lacking, _found(data), todo if lacking else "")


def instructions(data: Data) -> str:
    """Return what a user does by hand to get a dataset; empty where nothing is known."""
    return data.manual or (data.help if isinstance(data, StandardData) else "")


def _first_line(error: BenchError) -> str:
    return " ".join(error.problems[0].split()) if error.problems else ""


def _found(data: Data) -> str:
    return str(data.root) if isinstance(data, StandardData) else ""


def print_datasets(settings: Settings, console: Console) -> None:
    """Print every registered dataset, how it stands and, below, what to do about those that are not ready."""
    table = Table(title="datasets", title_justify="left")
    table.add_column("name", no_wrap=True)
    table.add_column("classes", justify="right")
    for heading in ("splits", "state", "where"):
        table.add_column(heading, overflow="fold")
    below: list[str] = []
    for entry in datasets:
        classes, splits, status = _row(entry, settings)
        table.add_row(*(literal(cell) for cell in (entry.name, classes, splits, status.state, status.where)))
        below += _told(entry.name, status)
    console.print(table)
    roots = ", ".join(map(str, settings.data_roots)) or "no data root is named (--data-root or BENCH_DATA)"
    for line in (f"looked under: {roots}", *below):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if families := ", ".join(entry.name for entry in datasets.families()):
        console.print(f"and whole families: {families}", markup=False, highlight=False)


def _row(entry: Entry, settings: Settings) -> tuple[str, str, Presence]:
    """Return the number of classes, the splits with their counts, and the status; whatever a dataset does."""
    info = getattr(entry.builder, "info", None)
    classes, splits = ("-", "-") if info is None else (str(info.num_classes), ", ".join(info.splits))
    try:
        if required := entry.options.required:
            example = " ".join(f"--set {name}=..." for name in required)
            return classes, splits, Presence(OPEN, todo=f"bench data check {entry.name} {example}")
        data = build(entry.name, {}, settings).data
        status = status_of(entry.name, data)
        told = (f"{split} {status.counts[split]}" if split in status.counts else split for split in data.info.splits)
        return str(data.info.num_classes), ", ".join(told), status
    except Exception as error:  # noqa: BLE001 - one that is broken must not hide the others
        reason = _first_line(error) if isinstance(error, BenchError) else describe_error(error)
        return classes, splits, Presence(BROKEN, lacking={"": reason})


def _told(name: str, status: Presence) -> Iterator[str]:
    """Yield what there is to say of a dataset besides its row."""
    if status.state == BROKEN:
        yield f"{name}: {status.lacking['']}"
    elif status.state == PARTLY:
        yield from (f"{name}: {split}: {reason}" for split, reason in status.lacking.items())
    if status.todo:
        yield f"{name}: {status.todo}"


def print_archives(archives: Sequence[Archive], mirror: str | None, console: Console) -> None:
    """Print what is going to be downloaded: address, size and licence, and the sum of the sizes."""
    table = Table(title="to download", title_justify="left")
    for heading in ("address", "size", "licence"):
        table.add_column(heading, justify="right" if heading == "size" else "left", overflow="fold")
    for archive in archives:
        size = "unknown" if archive.bytes is None else decimal(archive.bytes)
        table.add_row(literal(address(archive, mirror)), size, literal(archive.licence or "see the publisher's page"))
    console.print(table)
    total = sum(archive.bytes or 0 for archive in archives)
    some = " and more" if any(archive.bytes is None for archive in archives) else ""
    console.print(f"{decimal(total)}{some} to download, and as much or more once unpacked", highlight=False)


class Bars:
    """Progress bars for what is measured in bytes; a line now and then where there is no terminal.

    Args:
        console: where to print.
        every_s: least seconds between two lines without a terminal.
    """

    def __init__(self, console: Console, every_s: float = 30.0) -> None:
        self._console, self._lines = console, Lines(self.message, every_s)
        self._tasks: dict[str, TaskID] = {}
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            SpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def progress(self, task: str, done: int, total: int | None) -> None:
        """Move the bar of a task."""
        if task not in self._tasks:
            self._tasks[task] = self._bars.add_task(task, total=total)
        self._bars.update(self._tasks[task], completed=done, total=total)
        if not self._console.is_terminal:
            self._lines.progress(task, done, total)

    def message(self, text: str) -> None:
        """Print a line."""
        self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def shown(self) -> Iterator[Bars]:
        """Show the bars while the block runs."""
        with self._bars:
            yield self


@contextmanager
def counting(console: Console) -> Iterator[Any]:
    """Yield a function of split, done and total that moves a bar."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def move(split: str, done: int, total: int) -> None:
            if split not in tasks:
                tasks[split] = bars.add_task(split, total=total)
            bars.update(tasks[split], completed=done)

        yield move


def print_inspection(name: str, inspection: Inspection, console: Console) -> None:
    """Print splits, classes, warnings and problems; long lists are cut with a count."""
    _print_splits(name, inspection.splits, console)
    _print_classes(inspection, console)
    _print_lines("warning", [_remark(remark) for remark in inspection.warnings], console)
    _print_lines("problem", inspection.problems, console)


def _print_splits(name: str, splits: Sequence[SplitFacts], console: Console) -> None:
    table = Table(title=literal(name), title_justify="left")
    for heading in ("split", "samples", "unreadable", "smallest", "median", "largest", "ignored"):
        table.add_column(heading, justify="left" if heading == "split" else "right")
    for facts in splits:
        sizes = [f"{size[1]} x {size[0]}" if size else "-" for size in (facts.smallest, facts.median, facts.largest)]
        numbers = (f"{facts.n_samples:,}", f"{facts.n_unreadable:,}", *sizes, f"{100 * facts.ignored_share:.2f} %")
        table.add_row(literal(facts.split), *numbers)
    console.print(table)


def _print_classes(inspection: Inspection, console: Console) -> None:
    table = Table(title="classes: % of labelled pixels, images with it", title_justify="left")
    table.add_column("", justify="right")
    table.add_column("class", overflow="ellipsis", no_wrap=True, max_width=40)
    for facts in inspection.splits:
        table.add_column(literal(f"{facts.split} %"), justify="right")
        table.add_column("images", justify="right")
    for index, name in enumerate(inspection.class_names):
        cells = []
        for facts in inspection.splits:
            share = 100 * facts.pixels[index] / max(1, sum(facts.pixels))
            cells += [f"{share:.3f}", f"{facts.images[index]:,}"]
        table.add_row(str(index), literal(one_line(name)), *cells)
    console.print(table)


def _remark(remark: Remark) -> str:
    left_out = len(remark.names) - _SHOWN_NAMES
    names = ", ".join(remark.names[:_SHOWN_NAMES]) + (f" and {left_out} more" if left_out > 0 else "")
    return f"{remark.text}: {names}" if names else remark.text


def _print_lines(kind: str, lines: Sequence[str], console: Console) -> None:
    for line in lines[:SHOWN_PROBLEMS]:
        console.print(f"{kind}: {line}", markup=False, highlight=False, soft_wrap=True)
    if (left_out := len(lines) - SHOWN_PROBLEMS) > 0:
        console.print(f"{kind}: and {left_out} more", markup=False, highlight=False)


def inspection_record(name: str, given: dict[str, Any], inspection: Inspection) -> dict[str, Any]:
    """Return an inspection as JSON values, nothing left out."""
    duplicates = [duplicate.model_dump() for duplicate in inspection.duplicates]
    return {"dataset": name, "options": given, **asdict(replace(inspection, duplicates=())), "duplicates": duplicates}


def sheet_path(results: Path, name: str, split: str) -> Path:
    """Return where a contact sheet is kept that was given no file."""
    safe = "".join(character if character.isalnum() or character in "-_." else "-" for character in name)
    return results / "sheets" / f"{safe}-{split}.png"
