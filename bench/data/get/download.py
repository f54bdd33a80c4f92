"""Downloading a file: an interruption loses nothing, and a wrong file is never taken for the right one."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from bench import __version__
from bench.base.errors import BenchError
from bench.base.files import write_json
from bench.data.facts import Archive

_CHUNK = 2**18
_PASSING = {408, 425, 429, 500, 502, 503, 504}
"""HTTP answers that another attempt may not get."""


class Report(Protocol):
    """Receives how a download or an unpacking goes on."""

    def progress(self, task: str, done: int, total: int | None) -> None:
        """So many bytes of a task are done."""

    def message(self, text: str) -> None:
        """Something else worth a line."""


class Silent:
    """Tells nothing."""

    def progress(self, task: str, done: int, total: int | None) -> None:
        """Do nothing."""

    def message(self, text: str) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Patience:
    """How long a download is tried.

    Attributes:
        timeout_s: seconds without a byte after which a connection counts as lost.
        attempts: attempts in a row that bring nothing new.
        pause_s: seconds before the second of them; each further pause is twice as long.
    """

    timeout_s: float = 30.0
    attempts: int = 4
    pause_s: float = 1.0


class _Lost(Exception):  # noqa: N818
    """An attempt that failed for a reason that may pass."""


def fetch(
    archive: Archive, folder: Path, report: Report, mirror: str | None = None, patience: Patience | None = None
) -> Path:
    """Download a file, going on where an earlier download ended; it is there whole and verified, or not at all.

    Until then the bytes lie in ``NAME.part``, and beside it what the server told of the file, so that the rest is only
    ever added to the same file.

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
    url = address(archive, mirror)
    target = folder / file_name(archive)
    if target.is_file():
        report.message(f"{target} is here already")
        if problem := _mismatch(target, archive, report):
            raise BenchError(f"{target}: {problem}. Delete it, then run the same command again.")
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _Download(archive, url, target, report, patience or Patience()).run()
    except OSError as error:
        raise BenchError(
            f"cannot write {target}: {error.strerror or error}. What is there is kept; the same command goes on."
        ) from error
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


def require_free(folder: Path, needed_bytes: int) -> None:
    """Refuse what cannot fit on the disk.

    Raises:
        BenchError: less than ``needed_bytes`` is free.
    """
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise BenchError(
            f"not enough disk space in {folder}: {free / 2**20:.0f} MiB free, about {needed_bytes / 2**20:.0f} MiB "
            "needed. Free some, or choose another folder."
        )


def _mismatch(path: Path, archive: Archive, report: Report) -> str:
    """Return in which way a file is not the expected one; empty where it is."""
    size = path.stat().st_size
    if archive.bytes is not None and size != archive.bytes:
        return f"expected {archive.bytes} bytes, found {size}"
    if archive.checksum is None:
        return ""
    algorithm, _, expected = archive.checksum.partition(":")
    found = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        done = 0
        while chunk := file.read(2**22):
            found.update(chunk)
            report.progress(f"verify {file_name(archive)}", done := done + len(chunk), size)
    if found.hexdigest() == expected.lower():
        return ""
    return f"{algorithm} expected {expected.lower()}, found {found.hexdigest()}"


class _Download:
    """One file on its way."""

    def __init__(self, archive: Archive, url: str, target: Path, report: Report, patience: Patience) -> None:
        self.archive, self.url, self.target = archive, url, target
        self.report, self.patience = report, patience
        self.part = target.with_name(f"{target.name}.part")
        self.memo = target.with_name(f"{target.name}.part.json")

    def run(self) -> None:
        """Attempt until the file is whole, verify it, and give it its name."""
        most = self._have()
        fruitless = 0
        while True:
            try:
                self._attempt()
                break
            except _Lost as lost:
                reason = str(lost)
            have = self._have()
            fruitless = 0 if have > most else fruitless + 1
            most = max(most, have)
            if fruitless >= self.patience.attempts:
                raise BenchError(self._problem(reason))
            self.report.message(f"{self.url}: {reason}; trying again")
            time.sleep(self.patience.pause_s * 2 ** max(0, fruitless - 1))
        if problem := _mismatch(self.part, self.archive, self.report):
            self._forget()
            raise BenchError(self._problem(f"{problem}; the file was removed"))
        self.part.replace(self.target)
        self.memo.unlink(missing_ok=True)

    def _problem(self, reason: str) -> str:
        kept = self._have()
        on = f"run the same command again, which goes on after {kept} bytes" if kept else "try a --mirror"
        return f"{self.url}: {reason}. Either {on}, or fetch the file by other means and put it at {self.target}"

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.memo.unlink(missing_ok=True)

    def _have(self) -> int:
        """Return how many bytes are here of which it is known what file they belong to."""
        return self.part.stat().st_size if self.part.is_file() and self._known() else 0

    def _known(self) -> dict[str, Any]:
        """Return what the server told of the file that the first bytes are of."""
        try:
            known = json.loads(self.memo.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def _attempt(self) -> None:
        """Ask for what is missing and write it.

        Raises:
            _Lost: the connection failed, or what is here turned out to be of another file and was dropped.
            BenchError: another attempt would not help.
        """
        have = self._have()
        try:
            response = urllib.request.urlopen(self._request(have), timeout=self.patience.timeout_s)
        except urllib.error.HTTPError as error:
            with error:
                self._refused(error, have)
            return
        except urllib.error.URLError as error:
            reason = _sentence(error.reason)
            raise self._final(reason) if self.url.startswith("file:") else _Lost(reason) from error
        except ValueError as error:
            raise self._final(str(error)) from error
        except (OSError, http.client.HTTPException) as error:
            raise _Lost(_sentence(error)) from error
        with response:
            self._receive(response, have)

    def _request(self, have: int) -> urllib.request.Request:
        request = urllib.request.Request(self.url, headers={"User-Agent": f"bench/{__version__}"})
        if have:
            known = self._known()
            request.add_header("Range", f"bytes={have}-")
            etag = known.get("etag") or ""
            # A weak tag does not promise the same bytes, and servers ignore it here.
            condition = known.get("last_modified") if etag.startswith("W/") or not etag else etag
            if condition:
                request.add_header("If-Range", condition)
        return request

    def _final(self, reason: str) -> BenchError:
        return BenchError(self._problem(reason))

    def _refused(self, error: urllib.error.HTTPError, have: int) -> None:
        """Return where the refusal means that nothing is missing."""
        if error.code == 416 and have:
            told = re.search(r"\*/(\d+)", error.headers.get("Content-Range", ""))
            total = int(told[1]) if told else self._known().get("total")
            if total in (have, None):
                return
            self._forget()
            raise _Lost("the file on the server is another one now") from error
        reason = f"HTTP {error.code} {error.reason}".rstrip()
        raise _Lost(reason) if error.code in _PASSING else self._final(reason) from error

    def _receive(self, response: Any, have: int) -> None:
        told = {
            "etag": response.headers.get("ETag"),
            "last_modified": response.headers.get("Last-Modified"),
            "total": _total(response),
        }
        start = have if getattr(response, "status", None) == 206 else 0
        if start and not self._goes_on(response, told, have):
            self._forget()
            raise _Lost("the file on the server is another one now")
        total = told["total"]
        if self.archive.bytes is not None and total not in (None, self.archive.bytes):
            raise self._final(f"expected {self.archive.bytes} bytes, the server has {total}")
        require_free(self.target.parent, (total or 0) - start)
        if not start:
            self._forget()
            write_json(self.memo, told)
        done = self._copy(response, start, total)
        if total is not None and done < total:
            raise _Lost(f"the connection ended after {done} of {total} bytes")

    def _goes_on(self, response: Any, told: dict[str, Any], have: int) -> bool:
        """Tell whether a partial answer is the rest of the very file whose beginning is here."""
        span = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
        known = self._known()
        same = all(told[key] == known.get(key) for key in told if told[key] and known.get(key))
        return span is not None and int(span[1]) == have and same

    def _copy(self, response: Any, start: int, total: int | None) -> int:
        done = start
        with self.part.open("ab" if start else "wb") as file:
            while True:
                self.report.progress(file_name(self.archive), done, total)
                try:
                    chunk = response.read(_CHUNK)
                except (OSError, http.client.HTTPException) as error:
                    if isinstance(error, http.client.IncompleteRead):
                        file.write(error.partial)
                    raise _Lost(_sentence(error)) from error
                if not chunk:
                    break
                file.write(chunk)
                done += len(chunk)
            file.flush()
            with contextlib.suppress(OSError):
                os.fsync(file.fileno())
        return done


def _total(response: Any) -> int | None:
    """Return the size of the whole file, where the server tells it."""
    span = re.search(r"/(\d+)\s*$", response.headers.get("Content-Range") or "")
    length = response.headers.get("Content-Length") or ""
    if span:
        return int(span[1])
    return int(length) if length.isdecimal() else None


def _sentence(error: Any) -> str:
    """Return why a connection failed, in one line."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror)
    return " ".join(str(error).split()) or type(error).__name__
