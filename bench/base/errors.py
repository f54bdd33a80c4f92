"""Errors that are the user's to mend, told without a traceback."""

from __future__ import annotations

import difflib
import signal
from collections.abc import Iterable, Sequence

SHOWN_PROBLEMS = 20

EXIT_DONE = 0
EXIT_CELLS_FAILED = 1
EXIT_BAD_REQUEST = 2
EXIT_REGRESSION = 3
EXIT_NOT_COMPARABLE = 4
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class BenchError(Exception):
    """A mistake in the request or its surroundings: what was wrong, where, and what to do.

    Args:
        problems: one line for each mistake found; all mistakes of a request are told at once.
    """

    exit_code = EXIT_BAD_REQUEST

    def __init__(self, *problems: str) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


class NotComparable(BenchError):  # noqa: N818 - what is told is no fault
    """Nothing to compare with: no reference, or nothing in common with it."""

    exit_code = EXIT_NOT_COMPARABLE


class Unsupported(Exception):  # noqa: N818 - a verdict on a cell, not a fault
    """A method cannot work on this pair; the cell is skipped with the given reason before anything trains."""


class Interrupted(Exception):  # noqa: N818
    """The command was asked to stop; what is done is kept.

    Args:
        signal_number: the signal that asked, SIGINT or SIGTERM.
        kept: what the user is told of the work so far.
    """

    def __init__(self, signal_number: int, kept: str = "everything is checkpointed") -> None:
        self.signal_number, self.kept = signal_number, kept
        self.exit_code = 128 + signal_number
        super().__init__(f"stopped by signal {signal_number}")


FOREIGN = (Exception, SystemExit, GeneratorExit)
"""What somebody else's code may raise without anybody having asked the program to end."""


def is_ctrl_c(error: BaseException) -> bool:
    """Tell whether an error may be the user's Ctrl-C, which nothing but Python's own handler raises.

    Where signals go elsewhere, KeyboardInterrupt is an error of somebody's code as SystemExit is.
    """
    return isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest known word, or nothing."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean '{near[0]}'?" if near else ""


def unknown(kind: str, word: str, known: Iterable[str]) -> str:
    """Return the sentence for an unknown name: the nearest one and all that are known."""
    names = sorted(known)
    return f"unknown {kind} '{word}'.{did_you_mean(word, names)} Known: {', '.join(names) or 'none'}"


def capped(problems: Sequence[str]) -> list[str]:
    """Return the first problems and, where there are more than fit a screen, how many were left out."""
    left_out = len(problems) - SHOWN_PROBLEMS
    return [*problems[:SHOWN_PROBLEMS], *([f"and {left_out} more"] if left_out > 0 else [])]


def describe_error(error: BaseException) -> str:
    """Return kind, message and place of an error in one line."""
    return " ".join(f"{type(error).__name__}: {error}{_where(error)}".split())


def _where(error: BaseException) -> str:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None or isinstance(error, BenchError | SyntaxError):  # their messages tell the place
        return ""
    return f" ({traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno})"
