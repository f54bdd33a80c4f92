"""The console that all tables and lines are printed on."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment

from bench.base.text import visible


class CleanConsole(Console):
    """A console on which what is printed stays text: a name's escape sequences and direction marks become spaces."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the pieces of text that something is made of."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(visible(segment.text), segment.style)


def literal(text: str) -> str:
    """Return text for a cell of a table that shows it as it is: no markup is read, nothing acts on the terminal."""
    return escape(visible(text))
