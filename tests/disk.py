"""A disk that fills while a file is written."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

from bench.base import files


class Full:
    """A file on a disk that is full after so many bytes."""

    def __init__(self, file: IO[bytes], room: int, number: int) -> None:
        self._file, self._room, self._number = file, room, number

    def write(self, content: Any) -> int:
        self._room -= memoryview(content).nbytes
        if self._room < 0:
            raise OSError(self._number, os.strerror(self._number))
        return self._file.write(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Full:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def full_disk(
    patch: pytest.MonkeyPatch, concerns: Callable[[Path], bool], room: int = 700, number: int = errno.ENOSPC
) -> None:
    """Let the disk be full after some bytes of each temporary file that it concerns."""
    made = files.new_temporary

    def new_temporary(path: Path) -> Any:
        file = made(path)
        return Full(file, room, number) if concerns(Path(file.name)) else file

    patch.setattr(files, "new_temporary", new_temporary)
