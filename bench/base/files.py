"""Files: canonical JSON, digests, atomic writes, the sentence for a failed one."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import json
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from bench.base.errors import BenchError
from bench.base.temporary import new_temporary, put_in_place


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any, length: int = 64) -> str:
    """Return the first ``length`` hex digits of the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:length]


_TICK_NS = 20_000_000
"""Longer than a step of any common file system's clock."""
_known_digests: dict[str, tuple[tuple[int, ...], str]] = {}


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file; one that did not change since is not read again.

    Raises:
        OSError: it cannot be read.
    """
    key, mark = os.path.abspath(path), _mark(path)  # noqa: PTH100 - resolving links would cost a look at each folder
    known = _known_digests.get(key)
    if known is not None and known[0] == mark:
        return known[1]
    # a file that was written in this tick of the clock could change again without another time of change
    time.sleep(min(max(0, _TICK_NS - (time.time_ns() - mark[0])), _TICK_NS) / 1e9)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    _known_digests[key] = mark, found
    return found


def read_into(file: IO[bytes], buffer: bytearray | memoryview, offset: int) -> bool:
    """Fill a buffer from a place in a file; False where the file ends before or cannot be read.

    What is read belongs to the reader, so that what is verified is what is used. Of a mapped file the bytes may change
    after they were verified, and a map of a file that is cut short kills the process.
    """
    rest = memoryview(buffer)
    with contextlib.suppress(OSError):
        while rest:
            n_read = os.preadv(file.fileno(), [rest], offset)
            if not n_read:
                return False
            rest, offset = rest[n_read:], offset + n_read
        return True
    return False


def _mark(path: Path) -> tuple[int, ...]:
    """Return what tells a file from a changed one: times of change, size, place on the disk."""
    stat = path.stat()
    return max(stat.st_mtime_ns, stat.st_ctime_ns), stat.st_mtime_ns, stat.st_size, stat.st_ino, stat.st_dev


class WriteError(OSError):
    """A file of ours could not be written.

    Args:
        cause: what the system said.
        path: the file.

    Attributes:
        needed_bytes: its size, where the one who writes it tells.
    """

    def __init__(self, cause: OSError, path: Path) -> None:
        super().__init__(cause.errno, cause.strerror or str(cause), str(path))
        self.needed_bytes: int | None = None


def write_atomic(path: Path, write: Callable[[IO[bytes]], object], *, durable: bool = True) -> None:
    """Write a file so that a reader sees the old content or the new, never half.

    Args:
        path: the file.
        write: called with the temporary binary file.
        durable: whether to wait until the disk has it, for what cannot be made again.

    Raises:
        WriteError: the system refused it. Any other error is what ``write`` raised.
    """
    before = sys.exception()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = new_temporary(path)
        temporary = Path(file.name)
        try:
            with file:
                write(file)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
                put_in_place(file, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except Exception as error:
        cause = _refusal(error, before)
        if cause is None:
            raise
        raise WriteError(cause, path) from error
    if durable:
        _sync_folder(path.parent)


def _refusal(error: BaseException | None, before: BaseException | None) -> OSError | None:
    """Return what the system said to a write; torch hides it behind a fault of its own.

    Args:
        error: what was raised.
        before: what was being handled already, which is none of it.
    """
    while error is not None and error is not before:
        if isinstance(error, OSError) and error.errno is not None:  # libraries raise some that are not the system's
            return error
        error = error.__cause__ or error.__context__
    return None


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system syncs folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_bytes(path: Path, content: bytes | memoryview) -> str:
    """Write a file atomically; return the SHA-256 of its content."""
    try:
        write_atomic(path, lambda file: file.write(content))
    except WriteError as error:
        error.needed_bytes = memoryview(content).nbytes
        raise
    return hashlib.sha256(content).hexdigest()


def write_text(path: Path, text: str) -> str:
    """Write a text file atomically; return the SHA-256 of its content."""
    return write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> str:
    """Write indented JSON atomically, NaN and infinities as null; return the SHA-256 of its content."""
    return write_text(path, json.dumps(_finite(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def numbered(path: Path) -> Path:
    """Return the path with the first number after its name under which nothing lies yet: ``NAME-1``, ``NAME-2``, ..."""
    numbers = itertools.count(1)
    return next(free for number in numbers if not (free := path.with_name(f"{path.name}-{number}")).exists())


def unfollowed(path: str, flags: int) -> int:
    """Open a file as ``open`` does, but refuse one that is a symbolic link; for ``open(opener=...)``.

    Raises:
        OSError: it is a link, or cannot be opened.
    """
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def require_own(*folders: Path) -> None:
    """Refuse folders that are symbolic links, since what is written to them lands elsewhere.

    Raises:
        BenchError: with all that are.
    """
    if linked := [folder for folder in folders if folder.is_symlink()]:
        raise BenchError(
            *(
                f"{folder} is a link, which may lead anywhere, and nothing is written through it. "
                "Take it away, or name the folder that it leads to with --results or BENCH_CACHE."
                for folder in linked
            )
        )


def require_own_inside(folder: Path, levels: int = 2) -> None:
    """Refuse a folder in which links lead to other folders, or to nowhere; it may be a link itself.

    Args:
        folder: where files are to be written; it may not be there yet.
        levels: how deep to look.

    Raises:
        BenchError: with all such links.
    """
    require_own(*_linked_folders(folder, levels))


def _linked_folders(folder: Path, levels: int) -> Iterator[Path]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink() and not entry.is_file():
                yield Path(entry.path)
            elif levels > 1 and entry.is_dir(follow_symlinks=False):
                yield from _linked_folders(Path(entry.path), levels - 1)


def require_writable(folder: Path) -> None:
    """Make the folder and try a write in it.

    Raises:
        BenchError: it cannot be made or written to, or the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0" * 4096)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise BenchError(write_problem(folder, error)) from error


def write_problem(path: Path, error: OSError) -> str:
    """Return the sentence for a failed write, with the free and the needed space where the disk is full."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        needed = getattr(error, "needed_bytes", None)
        wanted = f", {math.ceil(10 * needed / 2**20) / 10} MiB needed" if needed is not None else ""
        quota = " It is your quota that is used up." if error.errno == errno.EDQUOT else ""
        free_mib = _free_bytes(path) / 2**20
        return (
            f"no disk space for {path}: {free_mib:.1f} MiB free{wanted}. Free some, or choose another --results "
            f"folder.{quota}"
        )
    return f"cannot write to {path}: {error.strerror or error}. Choose another --results folder."


def system_problem(error: OSError) -> str:
    """Return the sentence for what the system refused, a write of ours or anything else."""
    place = Path(os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ".")
    if isinstance(error, WriteError) or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return write_problem(place, error)
    return f"{place}: {error.strerror or error}. Look whether it is there, and whether you may read and write it."


@contextlib.contextmanager
def storing(path: Path) -> Iterator[None]:
    """Tell that a write of ours failed as such; an OSError of anybody else is told as it is.

    Args:
        path: what is written, or its folder.

    Raises:
        BenchError: the write failed.
    """
    try:
        yield
    except OSError as error:
        raise BenchError(
            write_problem(Path(error.filename) if isinstance(error, WriteError) else path, error)
        ) from error


def require_space(folder: Path, needed_bytes: int, option: str = "") -> None:
    """Refuse what cannot fit on the disk.

    Args:
        folder: where it is to lie; it may not be there yet.
        needed_bytes: how much it takes.
        option: the command's option that names the folder, such as ``--results``.

    Raises:
        BenchError: less is free.
    """
    free = _free_bytes(folder)
    if free < needed_bytes:
        raise BenchError(
            f"not enough disk space in {folder}: {free / 2**20:.0f} MiB free, about {needed_bytes / 2**20:.0f} MiB "
            f"needed. Free some, or choose another {f'{option} folder' if option else 'folder'}."
        )


def _free_bytes(path: Path) -> int:
    """Return what is free where a path lies, or would lie."""
    existing = next(place for place in (path, *path.absolute().parents) if place.exists())
    return shutil.disk_usage(existing).free
