"""Downloading a file: an interruption loses nothing, and a wrong file is never taken for the right one."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import __version__
from bench.base.errors import BenchError
from bench.base.files import require_space, unfollowed, write_json
from bench.base.progress import Report
from bench.base.temporary import sweep

_CHUNK = 2**18
_WATCH_EVERY, _KEPT_FREE = 2**26, 2**30
"""Bytes between two looks at the disk, and what a file of unknown size leaves free on it."""
_PASSING = {408, 425, 429, 500, 502, 503, 504}
"""HTTP answers that another attempt may not get."""


@dataclass(frozen=True)
class Remote:
    """A file on the network.

    Attributes:
        url: where it is.
        bytes: its size, where known.
        checksum: ``md5:...``, ``sha1:...`` or ``sha256:...``, where known; the first digits of a digest are enough.
    """

    url: str
    bytes: int | None = None
    checksum: str | None = None


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


class DownloadFailed(Exception):  # noqa: N818 - told by who asked for the file, with what to do
    """A file could not be had.

    Args:
        reason: why, in one line.
        kept_bytes: how many of its bytes are here; the next download goes on after them.
    """

    def __init__(self, reason: str, kept_bytes: int = 0) -> None:
        self.kept_bytes = kept_bytes
        super().__init__(reason)


def one_line(error: Any) -> str:
    """Return why something on the network failed, in one line.

    Args:
        error: an exception, or what one gives as its reason.
    """
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror)
    return " ".join(str(error).split()) or type(error).__name__


class _Lost(Exception):  # noqa: N818
    """An attempt that failed for a reason that may pass."""


def download(source: Remote, target: Path, report: Report, patience: Patience, name: str = "") -> None:
    """Download a file, going on where an earlier download ended; it is there whole and verified, or not at all.

    Until then the bytes lie in ``NAME.part``, and beside it what the server told of the file, so that the rest is only
    ever added to the same file. Two downloads to one place at a time would disturb each other: hold a lock.

    Args:
        source: what to download; size and checksum are verified where they are known.
        target: where to put it.
        report: told the bytes.
        patience: when to give up.
        name: what the file is called to the user; empty for the target's name.

    Raises:
        DownloadFailed: it cannot be had, or is not the expected one.
        BenchError: it does not fit on the disk, or cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target.parent)
        _Download(source, target, report, patience, name or target.name).run()
    except OSError as error:
        raise BenchError(
            f"cannot write {target}: {error.strerror or error}. What is there is kept; the same command goes on."
        ) from error


def mismatch(path: Path, expected: Remote, name: str, report: Report) -> str:
    """Return in which way a file is not the expected one; empty where it is.

    Args:
        path: the file.
        expected: its size and checksum, where they are known.
        name: what the file is called to the user.
        report: told the bytes that are verified.
    """
    size = path.stat().st_size
    if expected.bytes is not None and size != expected.bytes:
        return f"expected {expected.bytes} bytes, found {size}"
    if expected.checksum is None:
        return ""
    algorithm, _, digits = expected.checksum.lower().partition(":")
    found = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        done = 0
        while chunk := file.read(2**22):
            found.update(chunk)
            report.progress(f"verify {name}", done := done + len(chunk), size)
    if found.hexdigest().startswith(digits):
        return ""
    return f"{algorithm} expected {digits}, found {found.hexdigest()}"


class _Download:
    """One file on its way."""

    def __init__(self, source: Remote, target: Path, report: Report, patience: Patience, name: str) -> None:
        self.source, self.target, self.report, self.patience, self.name = source, target, report, patience, name
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
                raise self._failed(reason)
            self.report.message(f"{self.source.url}: {reason}; trying again")
            time.sleep(self.patience.pause_s * 2 ** max(0, fruitless - 1))
        if problem := mismatch(self.part, self.source, self.name, self.report):
            self._forget()
            raise self._failed(f"{problem}; the file was removed")
        self.part.replace(self.target)
        self.memo.unlink(missing_ok=True)

    def _failed(self, reason: str) -> DownloadFailed:
        return DownloadFailed(reason, self._have())

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
            DownloadFailed: another attempt would not help.
        """
        have = self._have()
        try:
            response = urllib.request.urlopen(self._request(have), timeout=self.patience.timeout_s)
        except urllib.error.HTTPError as error:
            with error:
                self._refused(error, have)
            return
        except urllib.error.URLError as error:
            reason = one_line(error.reason)
            raise self._failed(reason) if self.source.url.startswith("file:") else _Lost(reason) from error
        except ValueError as error:
            raise self._failed(str(error)) from error
        except (OSError, http.client.HTTPException) as error:
            raise _Lost(one_line(error)) from error
        with response:
            if self.source.url.startswith("https:") and response.url.startswith("http:") and not self.source.checksum:
                raise self._failed(f"it leads on to {response.url}, which comes without encryption")
            self._receive(response, have)

    def _request(self, have: int) -> urllib.request.Request:
        request = urllib.request.Request(self.source.url, headers={"User-Agent": f"bench/{__version__}"})
        if have:
            known = self._known()
            request.add_header("Range", f"bytes={have}-")
            etag = known.get("etag") or ""
            # A weak tag does not promise the same bytes, and servers ignore it here.
            condition = known.get("last_modified") if etag.startswith("W/") or not etag else etag
            if condition:
                request.add_header("If-Range", condition)
        return request

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
        raise _Lost(reason) if error.code in _PASSING else self._failed(reason) from error

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
        if self.source.bytes is not None and total not in (None, self.source.bytes):
            raise self._failed(f"expected {self.source.bytes} bytes, the server has {total}")
        require_space(self.target.parent, (total or 0) - start)
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
        done, watched = start, _WATCH_EVERY
        with open(self.part, "ab" if start else "wb", opener=unfollowed) as file:
            while True:
                self.report.progress(self.name, done, total)
                if total is None and done - start >= watched:  # a server that tells no size may never end
                    watched += _WATCH_EVERY
                    require_space(self.target.parent, _KEPT_FREE)
                try:
                    chunk = response.read(_CHUNK)
                except (OSError, http.client.HTTPException) as error:
                    if isinstance(error, http.client.IncompleteRead):
                        file.write(error.partial)
                    raise _Lost(one_line(error)) from error
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
