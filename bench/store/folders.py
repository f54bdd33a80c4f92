"""Result folders: atomic, versioned, mergeable by copying.

A cell's folder holds::

    config.json           what the cell is; written first
    checkpoint.pt         what resume needs, while training; checkpoint.prev.pt is the one before
    counts.npz            records of every image of the final evaluation, from which its score follows
    history.json          loss terms and scores over the iterations
    student.safetensors   final weights of the student, without adapters
    failure.json          why the cell ended without a result
    result.json           the result; written last: a valid one is what makes a cell done

Nothing here imports torch: tables are made on machines without it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bench.base.errors import BenchError
from bench.base.files import (
    _finite,
    digest,
    file_digest,
    numbered,
    require_own_inside,
    require_writable,
    write_json,
    write_problem,
)
from bench.base.temporary import sweep
from bench.base.text import is_text, not_text
from bench.store.evidence import contradiction

STORE_SCHEMA = 1
Record = dict[str, Any]

RESULT, CONFIG, FAILURE = "result.json", "config.json", "failure.json"
CHECKPOINT, PREVIOUS = "checkpoint.pt", "checkpoint.prev.pt"
COUNTS, HISTORY, STUDENT = "counts.npz", "history.json", "student.safetensors"
FAILED = ("failed", "diverged")


def seal(record: Record) -> Record:
    """Return the record with the digest of its own content."""
    body = _finite({key: value for key, value in record.items() if key != "digest"})
    return {**body, "digest": digest(body)}


@dataclass(frozen=True)
class CellFolder:
    """The folder of one cell."""

    path: Path

    @property
    def cell_id(self) -> str:
        """The cell's id."""
        return self.path.name

    def state(self) -> tuple[str, Record]:
        """Return the state and the record that goes with it.

        Returns:
            ``("done", result)``, ``("failed" | "diverged", failure)``, ``("corrupt", {"reason": ...})``,
            ``("interrupted", {})`` where a checkpoint waits, or ``("planned", {})``.
        """
        if (self.path / RESULT).exists():
            try:
                return "done", read_result(self.path)
            except CorruptRecord as error:
                return "corrupt", {"reason": str(error)}
        if (self.path / FAILURE).exists():
            try:
                record = _read_record(self.path / FAILURE)
            except CorruptRecord as error:
                return "corrupt", {"reason": str(error)}
            if record.get("status") in FAILED:
                return str(record["status"]), record
            return "corrupt", {"reason": f"{FAILURE} tells no failure: its status is none of {', '.join(FAILED)}"}
        waiting = any((self.path / name).exists() for name in (CHECKPOINT, PREVIOUS))
        return ("interrupted" if waiting else "planned"), {}

    def config(self) -> Record:
        """Return config.json, or an empty record where it is absent or unreadable."""
        try:
            return _read_record(self.path / CONFIG)
        except CorruptRecord:
            return {}

    def finish(self, record: Record, digests: Mapping[str, str] | None = None) -> None:
        """Write the result, last of all files, and drop what only resume needed.

        Args:
            record: the result.
            digests: of those of its files whose digest is known from writing them.
        """
        known = digests or {}
        files = {
            name: known.get(name) or file_digest(self.path / name)
            for name in (COUNTS, HISTORY, STUDENT)
            if (self.path / name).exists()
        }
        write_json(self.path / RESULT, seal({"schema": STORE_SCHEMA, **record, "files": files}))
        for name in (FAILURE, CHECKPOINT, PREVIOUS):
            (self.path / name).unlink(missing_ok=True)

    def fail(self, record: Record) -> None:
        """Write why the cell ended without a result."""
        write_json(self.path / FAILURE, {"schema": STORE_SCHEMA, **record})

    def set_aside(self, reason: str) -> Path:
        """Move the folder out of the way under ``superseded/``; nothing computed is deleted."""
        shelf = self.path.parent.parent / "superseded"
        shelf.mkdir(exist_ok=True)
        return self.path.rename(numbered(shelf / f"{self.path.name}.{reason}"))

    def sweep(self) -> None:
        """Remove temporary files that a kill left behind."""
        sweep(self.path)


class CorruptRecord(Exception):  # noqa: N818
    """A result that cannot be trusted, with the reason."""


def _read_record(path: Path) -> Record:
    """Read a JSON object.

    Raises:
        CorruptRecord: unreadable or of another kind.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CorruptRecord(f"{path.name} cannot be read: {error}") from error
    if not isinstance(record, dict):
        raise CorruptRecord(f"{path.name} is not a record")
    return record


def read_result(folder: Path) -> Record:
    """Read and verify a cell's result.

    Raises:
        CorruptRecord: unreadable, of a newer schema, not matching its own digest or its files' digests, or with metrics
            that are not those of its own records.
    """
    record = _read_record(folder / RESULT)
    if type(record.get("schema")) is not int or record["schema"] < 1:
        raise CorruptRecord(f"{RESULT} is not a result: it has no schema version")
    if record["schema"] > STORE_SCHEMA:
        raise CorruptRecord(
            f"{RESULT} has schema {record['schema']}, this version reads up to {STORE_SCHEMA}: upgrade bench"
        )
    try:
        intact = record.get("digest") == seal(record)["digest"]
    except (ValueError, RecursionError):  # such as half of a surrogate pair, which has no UTF-8 and so no digest
        intact = False
    if not intact:
        raise CorruptRecord(f"{RESULT} does not match its digest: it was changed after it was written")
    if not isinstance(record.get("files"), dict):
        raise CorruptRecord(f"{RESULT} does not list its files")
    for name, expected in record["files"].items():
        if not (folder / name).is_file():
            raise CorruptRecord(f"{name} is missing")
        if name == COUNTS and file_digest(folder / name) != expected:
            raise CorruptRecord(f"{name} does not match the digest in {RESULT}")
    if COUNTS in record["files"] and (found := contradiction(record, folder / COUNTS)):
        raise CorruptRecord(f"{RESULT} is not what {COUNTS} comes to: {found}")
    return record


def remembered(path: Path, make: Callable[[], Record]) -> Record:
    """Return what a file holds; make it and write it where that is absent or unreadable."""
    try:
        return _read_record(path)
    except CorruptRecord:
        record = make()
        write_json(path, record)
        return record


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run: ``cells/<cell id>/`` and the files derived from them."""

    path: Path

    def cell(self, cell_id: str) -> CellFolder:
        """Return the folder of a cell, which need not exist."""
        return CellFolder(self.path / "cells" / cell_id)

    def cells(self) -> Iterator[CellFolder]:
        """Yield every cell folder, in the order of their names.

        Raises:
            BenchError: a folder has a name that is no UTF-8, so it is no cell's.
        """
        root = self.path / "cells"
        folders = [path for path in sorted(root.iterdir()) if path.is_dir()] if root.is_dir() else []
        if problems := [not_text(str(path)) for path in folders if not is_text(path.name)]:
            raise BenchError(*problems)
        yield from map(CellFolder, folders)

    @contextlib.contextmanager
    def writing(self, waiting: Callable[[], object] | None = None) -> Iterator[None]:
        """Hold the folder for one writing process.

        Args:
            waiting: called about once a second while another process holds it; None refuses to wait.

        Raises:
            BenchError: another process is writing to it, it cannot be written to, or a link in it leads elsewhere.
        """
        require_writable(self.path)
        require_own_inside(self.path)
        lock = FileLock(self.path / ".lock")
        while not lock.is_locked:
            try:
                lock.acquire(timeout=1, poll_interval=0.05)  # `status` holds it for an instant to see if it is held
            except Timeout:
                if waiting is None:
                    raise BenchError(
                        f"another process is running a matrix in {self.path}. Wait for it, or choose another "
                        "--results folder."
                    ) from None
                waiting()
            except OSError as error:  # such as a lock that is a link
                raise BenchError(write_problem(self.path / ".lock", error)) from error
        try:
            yield
        finally:
            lock.release()
