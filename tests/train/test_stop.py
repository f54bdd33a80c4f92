"""The first signal asks, the second ends at once, and afterwards signals are what they were."""

from __future__ import annotations

import os
import signal

import pytest

from bench.train.stop import StopRequest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_ends_at_once(monkeypatch, number):
    ended = []
    monkeypatch.setattr(os, "_exit", ended.append)
    before = signal.getsignal(number)
    with StopRequest().listening() as stop:
        assert not stop.requested
        os.kill(os.getpid(), number)
        assert stop.requested
        assert stop.signal_number == number
        assert ended == []
        os.kill(os.getpid(), number)
        assert ended == [128 + number]
    assert signal.getsignal(number) is before
