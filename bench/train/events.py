"""What happens in a run: one event after the other, told to the one that the user sees and to others that listen."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from bench.base.errors import FOREIGN
from bench.base.text import one_line
from bench.matrix.cell import Cell
from bench.tasks.metric import Metric


@dataclass(frozen=True)
class Begun:
    """A run begins.

    Attributes:
        iterations: lockstep iterations over all groups.
    """

    iterations: int


@dataclass(frozen=True)
class GroupBegun:
    """A group begins.

    Attributes:
        name: of the group.
        cells: its members.
        start: the iteration that it goes on from.
        iterations: how far it goes.
    """

    name: str
    cells: Sequence[Cell]
    start: int
    iterations: int


@dataclass(frozen=True)
class Stepped:
    """The current group finished an iteration.

    Attributes:
        done: finished iterations.
        iterations: how far it goes.
    """

    done: int
    iterations: int


@dataclass(frozen=True)
class TermsRead:
    """A cell's loss terms were read.

    Attributes:
        cell: the cell.
        done: its finished iterations.
        terms: values by name.
    """

    cell: Cell
    done: int
    terms: Mapping[str, float]


@dataclass(frozen=True)
class Scored:
    """A cell was evaluated.

    Attributes:
        cell: the cell.
        done: its finished iterations.
        metric: the task's primary metric.
        value: its value, as stored; None where nothing could be scored.
    """

    cell: Cell
    done: int
    metric: Metric
    value: float | None


@dataclass(frozen=True)
class Ended:
    """A cell reached its final state.

    Attributes:
        cell: the cell.
        state: ``done``, ``failed`` or ``diverged``.
        detail: why, for the states that need it.
    """

    cell: Cell
    state: str
    detail: str = ""


@dataclass(frozen=True)
class Said:
    """Something else worth a line.

    Attributes:
        text: the line.
    """

    text: str


Event = Begun | GroupBegun | Stepped | TermsRead | Scored | Ended | Said


class Reporter(Protocol):
    """Receives what happens in a run."""

    def tell(self, event: Event) -> None:
        """Something happened."""


class OpenReporter(Reporter, Protocol):
    """A reporter that is open while cells train."""

    def __enter__(self) -> object:
        """Cells begin to train."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """No cell trains any more."""


class Listener:
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

    def tell(self, event: Event) -> None:
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
        self._each(lambda listener: listener.__enter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._each(lambda listener: listener.__exit__(kind, error, trace))
        self._shown.__exit__(kind, error, trace)

    def tell(self, event: Event) -> None:
        """Pass it on."""
        self._shown.tell(event)
        self._each(lambda listener: listener.tell(event))

    def _each(self, act: Callable[[Listener], object]) -> None:
        for listener in list(self._listeners):
            try:
                act(listener)
            except FOREIGN as error:  # whatever it is, it is not the run's
                self._listeners.remove(listener)
                with contextlib.suppress(Exception):
                    listener.__exit__(type(error), error, error.__traceback__)
                why = one_line(f"{type(error).__name__}: {error}", 300)
                self._shown.tell(Said(f"{listener.title} stopped, the run goes on without it: {why}"))
