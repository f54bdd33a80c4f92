"""What a user sees while it runs: a live view in a terminal, a line an event elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.console import Group as Stack
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from bench.cli.screen.console import literal
from bench.train.events import Begun, Ended, Event, GroupBegun, Said, Scored, Stepped, TermsRead


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


def _losses(terms: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.3f}" for name, value in terms.items())


def _end(event: Ended) -> str:
    return f"{event.state}: {event.cell.id}{': ' if event.detail else ''}{event.detail}"


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

    def tell(self, event: Event) -> None:
        """Print it, or remember it for the next progress line."""
        match event:
            case Begun(iterations):
                self._pace = Pace(iterations)
            case GroupBegun(name, cells, start, iterations):
                self._terms = {}
                self._pace.skip(start)
                resumed = f", from iteration {start}" if start else ""
                self._print(f"group: {name}: {len(cells)} cells, {iterations} iterations{resumed}")
            case Stepped():
                self._step(event)
            case TermsRead(cell, _, terms):
                self._terms[cell.method.label] = _losses(terms)
            case Scored(cell, done, metric, value):
                self._print(f"score: {cell.id} at iteration {done}: {metric.header} {metric.text(value) or '-'}")
            case Ended():
                self._print(_end(event))
            case Said(text):
                self._print(text)

    def _step(self, event: Stepped) -> None:
        self._pace.tick()
        now = time.monotonic()
        if now - self._last >= self._every_s:
            self._last = now
            losses = " | ".join(f"{label}: {text}" for label, text in self._terms.items())
            self._print(f"iteration {event.done}/{event.iterations}, ETA {self._pace.eta()} | {losses}")


class LiveReporter:
    """A live table of the current group's cells with losses, scores and ETA.

    Args:
        console: a terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._pace = Pace(0)
        self._rows: dict[str, dict[str, str]] = {}
        self._title = ""
        self._name = ""
        self._heading = "score"
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
        for heading in ("method", "state", "loss terms", self._heading):
            table.add_column(literal(heading), overflow="ellipsis", no_wrap=True)
        for row in self._rows.values():
            table.add_row(*(literal(row[key]) for key in ("label", "state", "terms", "score")))
        return Stack(Text(self._title, no_wrap=True), table, self._bars)

    def tell(self, event: Event) -> None:
        """Show it in the table, or leave a line above it."""
        match event:
            case Begun(iterations):
                self._pace = Pace(iterations)
                self._task = self._bars.add_task("all groups", total=iterations, eta="ETA -")
            case GroupBegun():
                self._group(event)
            case Stepped(done, iterations):
                self._pace.tick()
                self._title = f"{self._name}: iteration {done} of {iterations}"
                if self._task is not None:
                    self._bars.update(self._task, advance=1, eta=f"ETA {self._pace.eta()}")
            case TermsRead(cell, _, terms):
                self._rows[cell.id]["terms"] = _losses(terms)
            case Scored(cell, done, metric, value):
                self._heading = metric.header
                self._rows[cell.id]["score"] = f"{metric.text(value) or '-'} @ {done}"
            case Ended(cell, state, _):
                if cell.id in self._rows:
                    self._rows[cell.id]["state"] = state
                self._say(_end(event))
            case Said(text):
                self._say(text)

    def _group(self, event: GroupBegun) -> None:
        self._name = event.name
        self._title = f"{event.name}: iteration {event.start} of {event.iterations}"
        self._pace.skip(event.start)
        if self._task is not None:
            self._bars.update(self._task, advance=event.start)
        self._rows = {
            cell.id: {"label": cell.method.label, "state": "running", "terms": "", "score": "-"} for cell in event.cells
        }

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)


def make_reporter(console: Console, plain: bool) -> PlainReporter | LiveReporter:
    """Return the live view on a terminal, plain lines elsewhere or where asked for."""
    return LiveReporter(console) if console.is_terminal and not plain else PlainReporter(console)
