"""The command line, run inside the test process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from bench.cli import main as cli


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Ended]


def command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *first: str, columns: int = 200
) -> Command:
    """Return what runs ``bench`` with the first arguments and those it is called with; no traceback may be shown."""
    monkeypatch.setenv("COLUMNS", str(columns))

    def call(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["bench", *first, *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        code = caught.value.code
        assert code is None or isinstance(code, int)
        return Ended(code or 0, captured.out, captured.err)

    return call
