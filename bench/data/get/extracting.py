"""Writing an archive's members to a new folder: nothing leaves it, and it grows no further than is allowed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any, cast

from bench.base.errors import BenchError
from bench.base.files import require_space
from bench.base.progress import Report

_MEMBER_BYTES = 512
"""What a member counts at least: a folder of a million empty files is no small one."""
_HEADER_BYTES = 2**24
"""More than any header of a member takes; what a header tells of its own length is read into memory."""
_UNPACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Compressions that give no more at a time than they are asked for."""
_DECOMPRESSORS: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"]\0\0": lzma.LZMAFile,
}
"""What reads a compressed file, by its first bytes."""


def extract(path: Path, aside: Path, report: Report, most_bytes: int) -> None:
    """Write the members of a zip or tar archive to a folder that is empty.

    Args:
        path: the archive.
        aside: the folder.
        report: told the bytes.
        most_bytes: the most that the members may take together.

    Raises:
        BenchError: a member would leave the folder or is no plain one, or there is more than is allowed.
        Exception: what the libraries raise for a damaged archive.
    """
    if zipfile.is_zipfile(path):
        _extract_zip(path, aside, report, most_bytes)
    else:
        _extract_tar(path, aside, report, most_bytes)


class _Room:
    """How much an archive may still grow."""

    def __init__(self, path: Path, most_bytes: int) -> None:
        self.path, self.most_bytes, self.used = path, most_bytes, 0

    def take(self, n_bytes: int) -> None:
        """Count what a member takes.

        Raises:
            BenchError: that is more than is left.
        """
        self.used += max(n_bytes, _MEMBER_BYTES)
        if self.used > self.most_bytes:
            raise self.too_much()

    def too_much(self) -> BenchError:
        """Return the refusal."""
        return BenchError(
            f"{self.path}: refused, as it unpacks to more than {self.most_bytes} bytes, {self.path.stat().st_size} are "
            "packed. Where you trust it, unpack it by hand, or let its dataset declare 'unpacked_bytes'."
        )


def _require_inside(name: str, told: str) -> None:
    windows = PureWindowsPath(name)
    if PurePosixPath(name).is_absolute() or windows.drive or windows.root or ".." in windows.parts:
        raise BenchError(told)


def _extract_zip(path: Path, aside: Path, report: Report, most_bytes: int) -> None:
    with zipfile.ZipFile(path) as archive:
        members, room = archive.infolist(), _Room(path, most_bytes)
        for member in members:
            _require_inside(
                member.filename, f"{path}: refused, as its member '{member.filename}' would leave the folder"
            )
            if member.compress_type not in _UNPACKED:
                raise NotImplementedError(f"compression of type {member.compress_type}")
            room.take(member.file_size)
        total = sum(member.file_size for member in members)
        require_space(aside.parent, total)
        done = 0
        for member in members:
            archive.extract(member, aside)  # no more than the size that was counted, whatever its bytes hold
            report.progress(f"unpack {path.name}", done := done + member.file_size, total)


def _extract_tar(path: Path, aside: Path, report: Report, most_bytes: int) -> None:
    size, room = path.stat().st_size, _Room(path, most_bytes)
    require_space(aside.parent, size)
    with path.open("rb") as file, _Bounded(_decompressed(file), room) as stream:
        with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r:") as archive:
            for member in archive:
                room.take(member.size)
                _require_plain(path, member, aside)
                archive.extract(member, aside, filter="data")
                report.progress(f"unpack {path.name}", min(size, file.tell()), size)
        # The checksum of a compressed archive stands behind its last member, where tarfile does not look.
        while stream.read(2**20):
            pass
    _require_inner_links(path, aside)
    report.progress(f"unpack {path.name}", size, size)


def _decompressed(file: IO[bytes]) -> IO[bytes]:
    beginning = file.read(6)
    file.seek(0)
    opened = [make(file) for magic, make in _DECOMPRESSORS.items() if beginning.startswith(magic)]
    return cast("IO[bytes]", opened[0]) if opened else file


class _Bounded(io.RawIOBase):
    """What a compressed file holds, as far as it is allowed to grow."""

    def __init__(self, source: IO[bytes], room: _Room) -> None:
        self._source, self._room = source, room
        self._most = 2 * room.most_bytes + _HEADER_BYTES  # headers and padding come on top of the members

    def seekable(self) -> bool:
        """It is, as tarfile asks for."""
        return True

    def tell(self) -> int:
        """Return the position among the unpacked bytes."""
        return self._source.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position among the unpacked bytes.

        Raises:
            BenchError: it is behind all that is allowed.
        """
        if offset > self._most:
            raise self._room.too_much()
        return self._source.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        """Return bytes.

        Raises:
            BenchError: they are more than a header takes, or behind all that is allowed.
        """
        if not 0 <= size <= _HEADER_BYTES or self.tell() + size > self._most + _HEADER_BYTES:
            raise self._room.too_much()
        return self._source.read(size)


def _require_plain(path: Path, member: tarfile.TarInfo, aside: Path) -> None:
    """Refuse a member that is no file, folder or link inside the folder, or that lies behind a link.

    Raises:
        BenchError: with its name.
    """
    told = f"{path}: refused, as a member would leave the folder ('{member.name}')"
    _require_inside(member.name, told)
    place = aside / member.name
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        raise BenchError(f"{path}: refused, as its member '{member.name}' is no file, folder or link")
    if _behind_link(place, aside):
        raise BenchError(told)
    if member.islnk():
        _require_inside(member.linkname, told)
        target = aside / member.linkname
        if _behind_link(target, aside) or not target.is_file():
            raise BenchError(f"{path}: refused, as its link '{member.name}' leads to no file that came before it")


def _behind_link(place: Path, aside: Path) -> bool:
    """Tell whether a place in a folder is a link, or lies in a folder that is one."""
    inner = place.relative_to(aside)
    return any((aside / part).is_symlink() for part in (inner, *inner.parents))


def _require_inner_links(path: Path, aside: Path) -> None:
    """Refuse links that lead out of a folder, or nowhere, once all that they may lead through is there.

    Raises:
        BenchError: with the first.
    """
    root = aside.resolve()
    for folder, folders, files in os.walk(aside):
        for place in (Path(folder, name) for name in (*folders, *files)):
            if not place.is_symlink():
                continue
            try:
                inside = place.resolve(strict=True).is_relative_to(root)
            except (OSError, RuntimeError):  # it leads nowhere, or in a circle
                inside = False
            if not inside:
                name = place.relative_to(aside)
                raise BenchError(f"{path}: refused, as its link '{name}' leads to no file or folder inside of it")
