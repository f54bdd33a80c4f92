from __future__ import annotations

import pytest

from bench.base.progress import Lines


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    clock = [0.0]
    monkeypatch.setattr("bench.base.progress.time.monotonic", lambda: clock[0])
    return clock


def test_progress_is_told_now_and_then(now: list[float]) -> None:
    said: list[str] = []
    lines = Lines(said.append, every_s=10.0)
    for now[0], done in ((9.9, 500), (10.0, 1000), (19.9, 2000), (20.0, 3000)):
        lines.progress("net.pth", done, 4000)
    assert said == ["net.pth: 1.0 kB of 4.0 kB", "net.pth: 3.0 kB of 4.0 kB"]


def test_a_size_that_is_not_known_is_left_out(now: list[float]) -> None:
    said: list[str] = []
    Lines(said.append, every_s=0.0).progress("net.pth", 1500, None)
    assert said == ["net.pth: 1.5 kB"]


def test_messages_do_not_wait(now: list[float]) -> None:
    said: list[str] = []
    Lines(said.append, every_s=10.0).message("trying again")
    assert said == ["trying again"]
