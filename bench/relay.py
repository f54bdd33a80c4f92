"""One reporter that several listen through: the one that the user sees, and others that may never fail the run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from bench.cells import Cell
from bench.progress import Reporter
from bench.text import one_line


class OpenReporter(Reporter, Protocol):
    """A reporter that is open while cells train."""

    def __enter__(self) -> object:
        """Cells begin to train."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """No cell trains any more."""


class Listener(OpenReporter):
    """A reporter that hears everything and does nothing; what it cares for is overridden.

    Attributes:
        title: what a message calls it.
    """

    title = "listener"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def begin(self, total_iterations: int) -> None:
        """Do nothing."""

    def group(self, name: str, cells: list[Cell], start: int, iterations: int) -> None:
        """Do nothing."""

    def step(self, done: int, iterations: int) -> None:
        """Do nothing."""

    def terms(self, cell: Cell, done: int, terms: dict[str, float]) -> None:
        """Do nothing."""

    def score(self, cell: Cell, done: int, miou: float | None) -> None:
        """Do nothing."""

    def ended(self, cell: Cell, state: str, detail: str) -> None:
        """Do nothing."""

    def message(self, text: str) -> None:
        """Do nothing."""


class Relay:
    """Passes everything on to the reporter that the user sees and to listeners.

    A listener that raises is told once and hears nothing more: neither a full disk nor a server that is down may end
    a run because of what only watches it.

    Args:
        shown: what the user sees.
        listeners: others.
    """

    def __init__(self, shown: OpenReporter, *listeners: Listener) -> None:
        self._shown = shown
        self._listeners = list(listeners)

    def __enter__(self) -> Self:
        self._shown.__enter__()
        self._tell(lambda listener: listener.__enter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tell(lambda listener: listener.__exit__(kind, error, trace))
        self._shown.__exit__(kind, error, trace)

    def _tell(self, act: Callable[[Listener], object]) -> None:
        for listener in list(self._listeners):
            try:
                act(listener)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is not the run's
                self._listeners.remove(listener)
                with contextlib.suppress(Exception):
                    listener.__exit__(type(error), error, error.__traceback__)
                why = one_line(f"{type(error).__name__}: {error}", 300)
                self._shown.message(f"{listener.title} stopped, the run goes on without it: {why}")

    def begin(self, total_iterations: int) -> None:
        """Pass it on."""
        self._shown.begin(total_iterations)
        self._tell(lambda listener: listener.begin(total_iterations))

    def group(self, name: str, cells: list[Cell], start: int, iterations: int) -> None:
        """Pass it on."""
        self._shown.group(name, cells, start, iterations)
        self._tell(lambda listener: listener.group(name, cells, start, iterations))

    def step(self, done: int, iterations: int) -> None:
        """Pass it on."""
        self._shown.step(done, iterations)
        self._tell(lambda listener: listener.step(done, iterations))

    def terms(self, cell: Cell, done: int, terms: dict[str, float]) -> None:
        """Pass it on."""
        self._shown.terms(cell, done, terms)
        self._tell(lambda listener: listener.terms(cell, done, terms))

    def score(self, cell: Cell, done: int, miou: float | None) -> None:
        """Pass it on."""
        self._shown.score(cell, done, miou)
        self._tell(lambda listener: listener.score(cell, done, miou))

    def ended(self, cell: Cell, state: str, detail: str) -> None:
        """Pass it on."""
        self._shown.ended(cell, state, detail)
        self._tell(lambda listener: listener.ended(cell, state, detail))

    def message(self, text: str) -> None:
        """Pass it on."""
        self._shown.message(text)
        self._tell(lambda listener: listener.message(text))
