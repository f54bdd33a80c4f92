"""How a long piece of work tells how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from rich.filesize import decimal


class Report(Protocol):
    """Receives how a download or an unpacking goes on."""

    def progress(self, task: str, done: int, total: int | None) -> None:
        """So many bytes of a task are done."""

    def message(self, text: str) -> None:
        """Something else worth a line."""


class Silent:
    """Tells nothing."""

    def progress(self, task: str, done: int, total: int | None) -> None:
        """Do nothing."""

    def message(self, text: str) -> None:
        """Do nothing."""


class Lines:
    """Tells how far it is in a line now and then.

    Args:
        say: called with each line.
        every_s: least seconds between two lines of progress, and before the first.
    """

    def __init__(self, say: Callable[[str], object], every_s: float) -> None:
        self._say, self._every_s = say, every_s
        self._last = time.monotonic()

    def progress(self, task: str, done: int, total: int | None) -> None:
        """Tell the bytes of a task where it is time."""
        now = time.monotonic()
        if now - self._last >= self._every_s:
            self._last = now
            self._say(f"{task}: {decimal(done)}{f' of {decimal(total)}' if total else ''}")

    def message(self, text: str) -> None:
        """Tell it at once."""
        self._say(text)
