"""The first signal asks, the second ends at once, and afterwards signals are what they were."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

from bench.base.errors import Interrupted
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


def signalled(passed: list[str], number: int) -> None:
    passed.append("before")
    os.kill(os.getpid(), number)
    passed.append("after")


def careless(passed: list[str], number: int) -> None:
    with contextlib.suppress(BaseException):
        os.kill(os.getpid(), number)
    passed.append("caught")


def late(passed: list[str], number: int, stop: StopRequest) -> None:
    signalled(passed, number)
    with stop.at_once():
        passed.append("began")


def test_a_block_that_may_end_anywhere_ends_where_it_stands():
    passed = []
    with pytest.raises(Interrupted) as caught, StopRequest().listening() as stop, stop.at_once():
        signalled(passed, signal.SIGTERM)
    assert (caught.value.exit_code, passed) == (143, ["before"])


def test_code_that_takes_any_error_in_does_not_swallow_the_signal():
    passed = []
    with pytest.raises(Interrupted), StopRequest().listening() as stop, stop.at_once():
        careless(passed, signal.SIGINT)
    assert passed == ["caught"]


def test_a_stop_that_was_asked_for_before_keeps_the_block_from_beginning():
    passed = []
    with pytest.raises(Interrupted), StopRequest().listening() as stop:
        late(passed, signal.SIGINT, stop)
    assert passed == ["before", "after"]


def test_without_a_signal_the_block_is_as_it_would_be():
    with pytest.raises(KeyboardInterrupt), StopRequest().at_once():
        raise KeyboardInterrupt
    with StopRequest().at_once():
        pass
