from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import IO

import pytest

from bench.base.errors import BenchError
from bench.base.files import WriteError, require_space, write_atomic, write_bytes, write_problem
from tests.disk import full_disk

MIB = 2**20


@pytest.fixture(autouse=True)
def _free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(30 * MIB, 10 * MIB, 20 * MIB))


def test_what_fits_is_let_through_wherever_it_is_to_lie(tmp_path: Path) -> None:
    require_space(tmp_path, 20 * MIB)
    require_space(tmp_path / "not" / "there", 20 * MIB)


@pytest.mark.parametrize(("option", "another"), [("", "another folder"), ("--results", "another --results folder")])
def test_what_does_not_fit_is_refused(tmp_path: Path, option: str, another: str) -> None:
    folder = tmp_path / "not" / "there"
    with pytest.raises(BenchError) as refused:
        require_space(folder, 21 * MIB, option)
    assert str(refused.value) == (
        f"not enough disk space in {folder}: 20 MiB free, about 21 MiB needed. Free some, or choose {another}."
    )


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, "no disk space for {}: 20.0 MiB free, 25.0 MiB needed. Free some, or choose another --results"),
        (
            errno.EDQUOT,
            "no disk space for {}: 20.0 MiB free, 25.0 MiB needed.",
        ),
        (errno.EIO, "cannot write to {}: Input/output error. Choose another --results folder."),
    ],
)
def test_a_refused_write_tells_free_and_needed_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: str
) -> None:
    full_disk(monkeypatch, lambda _: True, number=number)
    with pytest.raises(WriteError) as refused:
        write_bytes(tmp_path / "file", bytes(25 * MIB))
    path = Path(refused.value.filename)
    assert path == tmp_path / "file"
    sentence = write_problem(path, refused.value)
    assert sentence.startswith(told.format(path))
    assert ("quota" in sentence) == (number == errno.EDQUOT)
    assert list(tmp_path.iterdir()) == []


def test_what_the_writer_itself_raised_is_no_refusal_of_the_disk(tmp_path: Path) -> None:
    def no_such_format(_: IO[bytes]) -> None:
        raise OSError("cannot write mode F as PNG")

    def unfit(_: IO[bytes]) -> None:
        raise ValueError("no")

    with pytest.raises(OSError, match="mode F") as own:
        write_atomic(tmp_path / "file", no_such_format)
    assert not isinstance(own.value, WriteError)
    try:
        raise OSError(errno.ENOSPC, "an error that is being handled")
    except OSError:
        with pytest.raises(ValueError, match="no"):
            write_atomic(tmp_path / "file", unfit)
    assert list(tmp_path.iterdir()) == []
