"""Unpacking archives: nothing leaves the folder, nothing that is there is overwritten, no file is ever half there."""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from bench.base.errors import BenchError
from bench.base.progress import Report
from bench.data.get.extracting import extract

_PREFIX = ".unpacking-"
GROWTH = 20
"""How many times its own size an archive may take when it is unpacked: photographs and label images stay below 5."""
LEAST_BYTES = 2**26
"""What any archive may take."""
_DAMAGE = (zipfile.BadZipFile, tarfile.ReadError, tarfile.HeaderError, gzip.BadGzipFile, zlib.error, lzma.LZMAError)


@dataclass(frozen=True)
class Unpacked:
    """What came of an archive.

    Attributes:
        n_new: files that were put in place.
        n_kept: files that were there before and stayed as they were.
        entries: names at the top of the archive.
    """

    n_new: int
    n_kept: int
    entries: tuple[str, ...]


def unpack(path: Path, folder: Path, report: Report, most_bytes: int | None = None) -> Unpacked:
    """Unpack a zip or tar archive into a folder.

    The members are written aside and moved into place once all of them are whole; a file that is there already stays.

    Args:
        path: the archive; a damaged one is renamed to ``NAME.damaged``.
        folder: where to.
        report: told the bytes.
        most_bytes: the most that its members may take; where not given, :data:`GROWTH` times the archive, and no less
            than :data:`LEAST_BYTES`.

    Raises:
        BenchError: damaged or of another kind, a member would leave the folder or meets a link, there is more than is
            allowed, or the disk is full.
    """
    try:
        most = most_bytes or max(GROWTH * path.stat().st_size, LEAST_BYTES)
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(f"{_PREFIX}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        # Inside the folder, as a place beside it may be on another disk or not be ours.
        with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=folder) as aside:
            _extract(path, Path(aside), report, most)
            _require_no_links(Path(aside), folder)
            entries = tuple(sorted(item.name for item in Path(aside).iterdir()))
            n_new, n_kept = _move(Path(aside), folder)
    except OSError as error:
        raise BenchError(f"cannot unpack {path} into {folder}: {error.strerror or error}") from error
    return Unpacked(n_new, n_kept, entries)


def _extract(path: Path, aside: Path, report: Report, most_bytes: int) -> None:
    try:
        extract(path, aside, report, most_bytes)
    except (*_DAMAGE, EOFError) as error:
        raise _damaged(path, error) from error
    except tarfile.FilterError as error:
        raise BenchError(f"{path}: refused, as a member would leave the folder ({error})") from error
    except (RuntimeError, NotImplementedError, ValueError, OverflowError) as error:
        # a password, a compression that is not read here, a name or a time that no file can have
        raise BenchError(f"{path}: cannot be unpacked here ({error}). Unpack it by hand.") from error
    except OSError as error:
        if error.errno is None:  # what decompressors raise; those of the disk have a number
            raise _damaged(path, error) from error
        raise


def _damaged(path: Path, error: Exception) -> BenchError:
    shelf = path.with_name(f"{path.name}.damaged")
    path.replace(shelf)
    reason = " ".join(str(error).split()) or type(error).__name__
    return BenchError(
        f"{path}: not a whole zip or tar archive ({reason}). It was renamed to {shelf.name}; "
        "run the same command again to download it anew."
    )


def _require_no_links(source: Path, folder: Path) -> None:
    """Refuse a folder in which a link stands where a folder of the archive goes: what is moved there lands elsewhere.

    Raises:
        BenchError: with the link.
    """
    for item in source.iterdir():
        if item.is_dir() and not item.is_symlink():
            target = folder / item.name
            if target.is_symlink():
                raise BenchError(f"{target} is a link, and nothing is unpacked through it. Take it away.")
            _require_no_links(item, target)


def _move(source: Path, folder: Path) -> tuple[int, int]:
    """Move files that are not there yet; return how many were moved and how many were there."""
    n_new = n_kept = 0
    for item in sorted(source.iterdir()):
        target = folder / item.name
        if item.is_dir() and not item.is_symlink():
            target.mkdir(exist_ok=True)
            new, kept = _move(item, target)
            n_new, n_kept = n_new + new, n_kept + kept
        elif os.path.lexists(target):
            n_kept += 1
        else:
            item.rename(target)
            n_new += 1
    return n_new, n_kept
