"""Getting the files of a dataset: download, verify, unpack, once."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock, Timeout

from bench.base.download import Patience
from bench.base.errors import BenchError
from bench.base.files import require_space, write_json
from bench.base.progress import Report
from bench.data.base import Data
from bench.data.facts import Archive
from bench.data.get.download import fetch, file_name
from bench.data.get.unpacking import Unpacked, unpack

DOWNLOADS = "downloads"
"""Folder under a data root for archives and for what was unpacked of them."""


def prepare(
    data: Data | type[Data],
    root: Path,
    report: Report,
    mirror: str | None = None,
    patience: Patience | None = None,
) -> None:
    """Download and unpack all archives of a dataset, then tell what is left to do by hand.

    What was unpacked before is not touched again.

    Args:
        data: the dataset.
        root: the data root to put it under.
        report: told how it goes on.
        mirror: a URL or a folder that stands for everything before the file names.
        patience: when to give up a download.

    Raises:
        BenchError: an archive cannot be had, is damaged or does not fit on the disk; another process is at it.
    """
    with _held(root):
        missing = pending(data, root)
        require_space(root, _needed(missing, root / DOWNLOADS))
        for archive in missing:
            path = fetch(archive, root / DOWNLOADS, report, mirror, patience)
            unpacked = unpack(path, root / archive.folder, report, archive.unpacked_bytes)
            _mark(archive, root, unpacked)
            kept = f", {unpacked.n_kept} were there already" if unpacked.n_kept else ""
            report.message(f"unpacked {path.name}: {unpacked.n_new} files{kept}. It is no longer needed: {path}")
    if data.manual:
        report.message(data.manual)


def pending(data: Data | type[Data], root: Path) -> list[Archive]:
    """Return the archives of a dataset that are not unpacked under a data root."""
    return [archive for archive in data.archives if not _is_unpacked(archive, root)]


@contextlib.contextmanager
def _held(root: Path) -> Iterator[None]:
    """Hold the folder of downloads for one process."""
    try:
        (root / DOWNLOADS).mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / DOWNLOADS / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise BenchError(f"another process is downloading to {root / DOWNLOADS}. Wait for it.") from None
    except OSError as error:
        raise BenchError(f"cannot write to {root}: {error.strerror or error}. Name another folder.") from error
    try:
        yield
    finally:
        lock.release()


def _needed(archives: list[Archive], downloads: Path) -> int:
    """Return the bytes that are still to come: what is downloaded, and at least as much again when it is unpacked."""
    needed = 0
    for archive in archives:
        here = [downloads / file_name(archive), downloads / f"{file_name(archive)}.part"]
        size = next((path.stat().st_size for path in here if path.is_file()), 0)
        needed += 2 * (archive.bytes or 0) - min(size, archive.bytes or 0)
    return needed


def _marker(archive: Archive, root: Path) -> Path:
    return root / DOWNLOADS / f"{file_name(archive)}.unpacked.json"


def _mark(archive: Archive, root: Path, unpacked: Unpacked) -> None:
    write_json(_marker(archive, root), {"url": archive.url, "folder": archive.folder, **asdict(unpacked)})


def _is_unpacked(archive: Archive, root: Path) -> bool:
    try:
        marker = json.loads(_marker(archive, root).read_text(encoding="utf-8"))
        same = (marker["url"], marker["folder"]) == (archive.url, archive.folder)
        return same and all((root / archive.folder / entry).exists() for entry in marker["entries"])
    except (OSError, ValueError, LookupError, TypeError):
        return False
