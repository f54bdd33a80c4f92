"""Temporary files: named so that they are known again, held while they are written, swept where a kill left them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

if sys.platform != "win32":  # there a file that is open cannot be removed, which is as good as a lock
    import fcntl

MOST_NAME_BYTES = 255
"""Bytes that common file systems take for the name of one file or folder, in UTF-8."""
_TEMPORARY = re.compile(r"\.(.*[.-])?[0-9a-f]{32}\.tmp", re.DOTALL)
_UNKNOWN_AFTER_S = 24 * 3600.0
"""Age from which a temporary file counts as left behind where the file system cannot tell whether it is held."""


def temporary_name(name: str) -> str:
    """Return a new name for what is being written, by which :func:`sweep` knows it; it is no longer than names may be.

    Args:
        name: of the finished file.
    """
    end = f".{uuid.uuid4().hex}.tmp"
    kept = os.fsencode(name)[: MOST_NAME_BYTES - len(end) - 1].decode("utf-8", "ignore")
    return f".{kept}{end}"


def new_temporary(path: Path) -> IO[bytes]:
    """Return a new file beside another, held as long as it is open, so that nobody takes it for left behind."""
    while True:
        # With the permissions of any new file, which mkstemp would narrow.
        file = path.with_name(temporary_name(path.name)).open("xb")
        if sys.platform != "win32":
            with contextlib.suppress(OSError):  # a file system that knows no locks
                fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # swept before it was held


def put_in_place(file: IO[bytes], path: Path) -> None:
    """Give a temporary file its name while it is still held, or it could be swept in between."""
    if sys.platform == "win32":
        file.close()  # or it cannot be renamed
    Path(file.name).replace(path)


def sweep(folder: Path, *, deep: bool = False, folders: bool = False) -> None:
    """Remove temporary files that killed processes left in a folder.

    Only what :func:`temporary_name` names is removed, and nothing that a living process holds.

    Args:
        folder: where to look; links are not followed.
        deep: whether to look below it too.
        folders: whether to remove temporary folders as well, which nothing holds: the caller holds the place.
    """
    for place, below, names in os.walk(folder):
        for name in filter(_TEMPORARY.fullmatch, names):
            _remove_left(os.path.join(place, name))  # noqa: PTH118 - a cache may hold files by the thousand
        for name in filter(_TEMPORARY.fullmatch, tuple(below)):
            below.remove(name)
            if folders:
                shutil.rmtree(os.path.join(place, name), ignore_errors=True)  # noqa: PTH118
        if not deep:
            return


def _remove_left(path: str) -> None:
    with contextlib.suppress(OSError), _opened(path) as handle:
        status = os.fstat(handle)
        if stat.S_ISREG(status.st_mode) and not _held(handle, status):
            os.unlink(path)  # noqa: PTH108


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    handle = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        yield handle
    finally:
        os.close(handle)


def _held(handle: int, status: os.stat_result) -> bool:
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return time.time() - status.st_mtime < _UNKNOWN_AFTER_S
    return False
