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
from pathlib import Path, PurePosixPath, PureWindowsPath

from bench.base.errors import BenchError
from bench.base.files import require_space
from bench.base.progress import Report

_PREFIX = ".unpacking-"
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


def unpack(path: Path, folder: Path, report: Report) -> Unpacked:
    """Unpack a zip or tar archive into a folder.

    The members are written aside and moved into place once all of them are whole; a file that is there already stays.

    Args:
        path: the archive; a damaged one is renamed to ``NAME.damaged``.
        folder: where to.
        report: told the bytes.

    Raises:
        BenchError: damaged or of another kind, a member would leave the folder, or the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(f"{_PREFIX}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        # Inside the folder, as a place beside it may be on another disk or not be ours.
        with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=folder) as aside:
            _extract(path, Path(aside), report)
            entries = tuple(sorted(item.name for item in Path(aside).iterdir()))
            n_new, n_kept = _move(Path(aside), folder)
    except OSError as error:
        raise BenchError(f"cannot unpack {path} into {folder}: {error.strerror or error}") from error
    return Unpacked(n_new, n_kept, entries)


def _extract(path: Path, aside: Path, report: Report) -> None:
    try:
        if zipfile.is_zipfile(path):
            _extract_zip(path, aside, report)
        else:
            _extract_tar(path, aside, report)
    except (*_DAMAGE, EOFError) as error:
        raise _damaged(path, error) from error
    except tarfile.FilterError as error:
        raise BenchError(f"{path}: refused, as a member would leave the folder ({error})") from error
    except (RuntimeError, NotImplementedError) as error:  # a password, or a compression that Python lacks
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


def _extract_zip(path: Path, aside: Path, report: Report) -> None:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        for member in members:
            _require_inside(path, member.filename)
        total = sum(member.file_size for member in members)
        require_space(aside.parent, total)
        done = 0
        for member in members:
            archive.extract(member, aside)
            report.progress(f"unpack {path.name}", done := done + member.file_size, total)


def _require_inside(path: Path, name: str) -> None:
    windows = PureWindowsPath(name)
    if PurePosixPath(name).is_absolute() or windows.drive or windows.root or ".." in windows.parts:
        raise BenchError(f"{path}: refused, as its member '{name}' would leave the folder")


def _extract_tar(path: Path, aside: Path, report: Report) -> None:
    size = path.stat().st_size
    require_space(aside.parent, size)
    with path.open("rb") as file, tarfile.open(fileobj=file) as archive:
        for member in archive:
            archive.extract(member, aside, filter="data")
            report.progress(f"unpack {path.name}", min(size, file.tell()), size)
        # The checksum of a compressed archive stands behind its last member, where tarfile does not look.
        while archive.fileobj is not None and archive.fileobj.read(2**20):
            pass
    report.progress(f"unpack {path.name}", size, size)


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
