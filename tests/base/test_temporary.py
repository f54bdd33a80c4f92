"""What killed processes left goes; what lives, and what is not ours, stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.base import temporary
from bench.base.files import write_atomic, write_text
from bench.base.temporary import MOST_NAME_BYTES, new_temporary, sweep, temporary_name

OTHERS = (".mine.tmp", "notes.tmp", ".x.0123.tmp", ".weights.part", f"{'0' * 32}.tmp", f".x.{'G' * 32}.tmp")


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_what_a_kill_left_goes_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "deep" / "deeper"):
        for name in (*OTHERS, "report.html"):
            (folder / name).write_text("kept")
    before = tree(tmp_path)
    left = [tmp_path / temporary_name("report.html"), tmp_path / "deep" / "deeper" / temporary_name("sums.bin")]
    for path in left:
        path.write_text("half")
    sweep(tmp_path)
    assert tree(tmp_path) == sorted([*before, str(left[1].relative_to(tmp_path))])
    sweep(tmp_path, deep=True)
    assert tree(tmp_path) == before
    sweep(tmp_path / "nowhere", deep=True)


def test_temporary_folders_go_where_the_caller_holds_the_place(tmp_path: Path) -> None:
    folder = tmp_path / temporary_name("pictures")
    folder.mkdir()
    (folder / "half.jpg").touch()
    sweep(tmp_path, deep=True)
    assert folder.exists()
    sweep(tmp_path, folders=True)
    assert not folder.exists()


def test_links_are_neither_followed_nor_removed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / temporary_name("a")).write_text("elsewhere")
    place = tmp_path / "place"
    place.mkdir()
    (place / "link").symlink_to(outside)
    (place / temporary_name("b")).symlink_to(next(outside.iterdir()))
    before = tree(tmp_path)
    sweep(place, deep=True, folders=True)
    assert tree(tmp_path) == before


WRITING = """
import os, signal, sys
from pathlib import Path
from bench.base.files import write_atomic

def write(file):
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    if sys.stdin.readline() == "die\\n":
        os.kill(os.getpid(), signal.SIGKILL)

write_atomic(Path(sys.argv[1]), write)
"""


@pytest.mark.parametrize(("word", "names"), [("go\n", ["file"]), ("die\n", [])])
def test_what_a_living_process_writes_stays(tmp_path: Path, word: str, names: list[str]) -> None:
    arguments = [sys.executable, "-c", WRITING, str(tmp_path / "file")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "writing\n"
        (half,) = tree(tmp_path)
        sweep(tmp_path)
        assert tree(tmp_path) == [half]
        other.stdin.write(word)
    sweep(tmp_path)
    assert tree(tmp_path) == names


def test_a_file_that_is_swept_before_it_is_held_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, swept = temporary.fcntl.flock, []

    def late(file: object, operation: int) -> None:
        if not swept:
            swept.append(True)
            sweep(tmp_path)
        real(file, operation)  # type: ignore[arg-type]

    monkeypatch.setattr(temporary.fcntl, "flock", late)
    write_text(tmp_path / "file", "whole")
    assert swept
    assert tree(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "whole"


def test_where_no_lock_can_be_asked_only_what_is_old_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(temporary.fcntl, "flock", none)
    with new_temporary(tmp_path / "old") as old, new_temporary(tmp_path / "young") as young:
        os.utime(old.name, (0, 0))
        sweep(tmp_path)
        assert tree(tmp_path) == [Path(young.name).name]


@pytest.mark.parametrize("letter", ["a", "\N{CJK UNIFIED IDEOGRAPH-6F22}"])
def test_a_name_as_long_as_names_may_be_is_written(tmp_path: Path, letter: str) -> None:
    name = letter * (MOST_NAME_BYTES // len(letter.encode()))
    write_atomic(tmp_path / name, lambda file: file.write(b"x"))
    assert tree(tmp_path) == [name]
    assert len(temporary_name(name).encode()) <= MOST_NAME_BYTES
