"""What a user sees while it runs: a live view in a terminal, a line an event elsewhere."""

from __future__ import annotations

import time
from collections import deque
from datetime import timedelta
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.console import Group as Stack
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from bench.cells import Cell


class Reporter(Protocol):
    """Receives what happens in a run."""

    def begin(self, total_iterations: int) -> None:
        """A run of so many lockstep iterations, over all groups, begins."""

    def group(self, name: str, cells: list[Cell], start: int, iterations: int) -> None:
        """A group begins at iteration ``start``."""

    def step(self, done: int, iterations: int) -> None:
        """The current group finished an iteration."""

    def terms(self, cell: Cell, done: int, terms: dict[str, float]) -> None:
        """A cell's loss terms were read."""

    def score(self, cell: Cell, done: int, miou: float | None) -> None:
        """A cell was evaluated."""

    def ended(self, cell: Cell, state: str, detail: str) -> None:
        """A cell reached its final state."""

    def message(self, text: str) -> None:
        """Something else worth a line."""


class Pace:
    """How fast lockstep iterations go by, and when all will be done.

    Args:
        total: iterations over all groups.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self._recent: deque[float] = deque(maxlen=200)

    def skip(self, iterations: int) -> None:
        """So many iterations were done before, in another process."""
        self.done += iterations

    def tick(self) -> None:
        """One more iteration is done."""
        self.done += 1
        self._recent.append(time.monotonic())

    def eta(self) -> str:
        """Return the remaining time at the recent pace, or ``-``."""
        if len(self._recent) < 2:
            return "-"
        per_iteration = (self._recent[-1] - self._recent[0]) / (len(self._recent) - 1)
        return str(timedelta(seconds=round(per_iteration * max(0, self.total - self.done))))


def _losses(terms: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.3f}" for name, value in terms.items())


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


class PlainReporter:
    """One line an event, with the seconds since the start; for logs and pipes.

    Args:
        console: where to print.
        every_s: least seconds between two progress lines.
    """

    def __init__(self, console: Console, every_s: float = 10.0) -> None:
        self._console = console
        self._every_s = every_s
        self._start = self._last = time.monotonic()
        self._pace = Pace(0)
        self._terms: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def _print(self, text: str) -> None:
        seconds = time.monotonic() - self._start
        self._console.print(f"[{seconds:7.1f}s] {text}", markup=False, highlight=False, soft_wrap=True)

    def begin(self, total_iterations: int) -> None:
        """Start the clock."""
        self._pace = Pace(total_iterations)

    def group(self, name: str, cells: list[Cell], start: int, iterations: int) -> None:
        """Print the group and its members."""
        self._terms = {}
        self._pace.skip(start)
        resumed = f", from iteration {start}" if start else ""
        self._print(f"group: {name}: {len(cells)} cells, {iterations} iterations{resumed}")

    def step(self, done: int, iterations: int) -> None:
        """Print progress now and then."""
        self._pace.tick()
        now = time.monotonic()
        if now - self._last >= self._every_s:
            self._last = now
            losses = " | ".join(f"{label}: {text}" for label, text in self._terms.items())
            self._print(f"iteration {done}/{iterations}, ETA {self._pace.eta()} | {losses}")

    def terms(self, cell: Cell, done: int, terms: dict[str, float]) -> None:
        """Remember for the next progress line."""
        self._terms[cell.method.label] = _losses(terms)

    def score(self, cell: Cell, done: int, miou: float | None) -> None:
        """Print the score."""
        self._print(f"score: {cell.id} at iteration {done}: mIoU {_percent(miou)}")

    def ended(self, cell: Cell, state: str, detail: str) -> None:
        """Print the final state."""
        self._print(f"{state}: {cell.id}{': ' if detail else ''}{detail}")

    def message(self, text: str) -> None:
        """Print the text."""
        self._print(text)


class LiveReporter:
    """A live table of the current group's cells with losses, mIoU and ETA.

    Args:
        console: a terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._pace = Pace(0)
        self._rows: dict[str, dict[str, str]] = {}
        self._title = ""
        self._name = ""
        self._bars = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[eta]}")
        )
        self._task: TaskID | None = None
        self._live = Live(console=console, refresh_per_second=4, get_renderable=self._render, transient=True)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def _render(self) -> Stack:
        table = Table(expand=False)
        for heading in ("method", "state", "loss terms", "mIoU"):
            table.add_column(heading, overflow="ellipsis", no_wrap=True)
        for row in self._rows.values():
            table.add_row(*(escape(row[key]) for key in ("label", "state", "terms", "miou")))
        return Stack(Text(self._title, no_wrap=True), table, self._bars)

    def begin(self, total_iterations: int) -> None:
        """Set up the bars."""
        self._pace = Pace(total_iterations)
        self._task = self._bars.add_task("all groups", total=total_iterations, eta="ETA -")

    def group(self, name: str, cells: list[Cell], start: int, iterations: int) -> None:
        """Show a new table."""
        self._name = name
        self._title = f"{name}: iteration {start} of {iterations}"
        self._pace.skip(start)
        if self._task is not None:
            self._bars.update(self._task, advance=start)
        self._rows = {
            cell.id: {"label": cell.method.label, "state": "running", "terms": "", "miou": "-"} for cell in cells
        }

    def step(self, done: int, iterations: int) -> None:
        """Advance the bars."""
        self._pace.tick()
        self._title = f"{self._name}: iteration {done} of {iterations}"
        if self._task is not None:
            self._bars.update(self._task, advance=1, eta=f"ETA {self._pace.eta()}")

    def terms(self, cell: Cell, done: int, terms: dict[str, float]) -> None:
        """Show the losses."""
        self._rows[cell.id]["terms"] = _losses(terms)

    def score(self, cell: Cell, done: int, miou: float | None) -> None:
        """Show the score."""
        self._rows[cell.id]["miou"] = f"{_percent(miou)} @ {done}"

    def ended(self, cell: Cell, state: str, detail: str) -> None:
        """Show the state, and leave a line above the table."""
        if cell.id in self._rows:
            self._rows[cell.id]["state"] = state
        self.message(f"{state}: {cell.id}{': ' if detail else ''}{detail}")

    def message(self, text: str) -> None:
        """Leave a line above the table."""
        self._console.print(text, markup=False, highlight=False)


def make_reporter(console: Console, plain: bool) -> PlainReporter | LiveReporter:
    """Return the live view on a terminal, plain lines elsewhere or where asked for."""
    return LiveReporter(console) if console.is_terminal and not plain else PlainReporter(console)
