"""How a long piece of work tells how far it is."""

from __future__ import annotations

from typing import Protocol


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
