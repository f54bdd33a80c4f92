"""Ctrl-C and SIGTERM: the first asks for a clean stop, the second ends at once."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

from bench.base.errors import Interrupted, is_ctrl_c


class StopRequest:
    """Set by a signal, read between two training steps.

    Attributes:
        signal_number: the signal that asked, 0 while none has.
    """

    def __init__(self) -> None:
        self.signal_number = 0

    @property
    def requested(self) -> bool:
        """Whether a stop was asked for."""
        return self.signal_number != 0

    def is_asked_by(self, error: BaseException) -> bool:
        """Tell whether an error is the stop that a signal asked for; all else that a cell's code raises is the cell's.

        A library may raise KeyboardInterrupt or SystemExit, and a method Interrupted, without any signal.
        """
        if isinstance(error, Interrupted):
            return self.requested
        return is_ctrl_c(error)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            os._exit(128 + number)
        self.signal_number = number

    @contextlib.contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """Take SIGINT and SIGTERM over for a while."""
        before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
