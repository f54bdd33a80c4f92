"""Downloading an archive of a dataset, from where it is published or from a mirror."""

from __future__ import annotations

import urllib.parse
from pathlib import Path, PurePosixPath

from bench.base.download import DownloadFailed, Patience, Remote, download, mismatch
from bench.base.errors import BenchError
from bench.base.progress import Report
from bench.data.facts import Archive


def fetch(
    archive: Archive, folder: Path, report: Report, mirror: str | None = None, patience: Patience | None = None
) -> Path:
    """Download an archive where it is not here, going on where an earlier download ended.

    Args:
        archive: what to download; size and checksum are verified where they are known.
        folder: where to put it.
        report: told the bytes.
        mirror: a URL or a folder that stands for everything before the file name.
        patience: when to give up.

    Returns:
        The file.

    Raises:
        BenchError: it cannot be had, is not the expected one, or does not fit on the disk.
    """
    source = Remote(address(archive, mirror), archive.bytes, archive.checksum)
    target = folder / file_name(archive)
    if target.is_file():
        report.message(f"{target} is here already")
        if problem := mismatch(target, source, target.name, report):
            raise BenchError(f"{target}: {problem}. Delete it, then run the same command again.")
        return target
    try:
        download(source, target, report, patience or Patience())
    except DownloadFailed as failure:
        kept = failure.kept_bytes
        on = f"run the same command again, which goes on after {kept} bytes" if kept else "try a --mirror"
        raise BenchError(
            f"{source.url}: {failure}. Either {on}, or fetch the file by other means and put it at {target}"
        ) from failure
    return target


def file_name(archive: Archive) -> str:
    """Return the name of an archive's file."""
    parts = urllib.parse.urlsplit(archive.url)
    return urllib.parse.unquote(PurePosixPath(parts.path).name) or parts.netloc


def address(archive: Archive, mirror: str | None = None) -> str:
    """Return where an archive is fetched from.

    Args:
        archive: the archive.
        mirror: a URL or a folder that stands for everything before the file name.
    """
    if mirror is None:
        return archive.url
    prefix = mirror if "://" in mirror else Path(mirror).expanduser().resolve().as_uri()
    return f"{prefix.rstrip('/')}/{urllib.parse.quote(file_name(archive))}"
