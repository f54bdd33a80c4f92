"""Ctrl-C and SIGTERM: the first asks for a clean stop, the second ends the process."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

from bench.base.errors import Interrupted, is_ctrl_c


class StopRequest:
    """Set by a signal, read between two training steps; what has no steps is ended where it stands.

    Attributes:
        signal_number: the signal that asked, 0 while none has.
    """

    def __init__(self) -> None:
        self.signal_number = 0
        self._at_once = False

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
        if self._at_once:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """Take SIGINT and SIGTERM over for a while."""
        before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal end a block in the middle: one whose files are whole at any moment.

        Raises:
            Interrupted: a stop was requested, in the block or before it.
        """
        try:
            self._at_once = True
            if not self.requested:
                yield
        except BaseException:
            if not self.requested:
                raise
        finally:
            self._at_once = False
        if self.requested:  # asked again, as code between here and there may have caught what the signal raised
            raise Interrupted(self.signal_number, "what was finished is kept")
