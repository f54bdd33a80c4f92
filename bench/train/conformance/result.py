"""What a check says of a method."""

from __future__ import annotations

from dataclasses import dataclass

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


@dataclass(frozen=True)
class Result:
    """What one check found.

    Attributes:
        method: registered name, or the file that could not be loaded.
        check: name of the check.
        state: ``passed``, ``failed`` or ``skipped``.
        details: what was wrong and what to do, why it was skipped, or what was found.
    """

    method: str
    check: str
    state: str
    details: str = ""


class Fault(Exception):  # noqa: N818 - a verdict on a method
    """A method does not hold what it must; what was wrong and what its author can do.

    Args:
        problems: sentences.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(dict.fromkeys(problems)))


class NotApplicable(Exception):  # noqa: N818
    """A check says nothing about this method, with the reason."""
