"""Result folders: atomic, versioned, mergeable by copying.

A cell's folder holds::

    config.json           what the cell is; written first
    checkpoint.pt         what resume needs, while training; checkpoint.prev.pt is the one before
    counts.npz            per-image confusion counts of the final evaluation
    history.json          loss terms and scores over the iterations
    student.safetensors   final weights of the student, without adapters
    failure.json          why the cell ended without a result
    result.json           the result; written last: a valid one is what makes a cell done

Nothing here imports torch: tables are made on machines without it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from filelock import FileLock, Timeout

from bench.errors import BenchError

SCHEMA = 1
Record = dict[str, Any]

RESULT, CONFIG, FAILURE = "result.json", "config.json", "failure.json"
CHECKPOINT, PREVIOUS = "checkpoint.pt", "checkpoint.prev.pt"
COUNTS, HISTORY, STUDENT = "counts.npz", "history.json", "student.safetensors"
FAILED = ("failed", "diverged")


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any, length: int = 64) -> str:
    """Return the first ``length`` hex digits of the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:length]


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomic(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file so that a reader sees the old content or the new, never half.

    Args:
        path: the file.
        write: called with the temporary binary file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:  # with the permissions of any new file, which mkstemp would narrow
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system syncs folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    write_atomic(path, lambda file: file.write(text.encode()))


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically; NaN and infinities become null."""
    write_text(path, json.dumps(_finite(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def seal(record: Record) -> Record:
    """Return the record with the digest of its own content."""
    body = _finite({key: value for key, value in record.items() if key != "digest"})
    return {**body, "digest": digest(body)}


@dataclass(frozen=True)
class Counts:
    """Confusion counts of every image, sparse.

    Attributes:
        image: (E,) position of the image in the split.
        target: (E,) true class.
        prediction: (E,) predicted class.
        count: (E,) number of pixels.
        n_images: number of images evaluated.
        num_classes: K.
        boundary: n_images x 2 x K: pixels in the intersection and in the union of true and predicted boundaries; None
            in results of versions that did not take them.
    """

    image: np.ndarray
    target: np.ndarray
    prediction: np.ndarray
    count: np.ndarray
    n_images: int
    num_classes: int
    boundary: np.ndarray | None = None

    @classmethod
    def from_dense(cls, matrices: np.ndarray, boundary: np.ndarray | None = None) -> Counts:
        """Build from an n_images x K x K array, rows true, columns predicted, and the boundary counts."""
        image, target, prediction = np.nonzero(matrices)
        count = matrices[image, target, prediction]
        return cls(image, target, prediction, count, matrices.shape[0], matrices.shape[1], boundary)

    def total(self) -> np.ndarray:
        """Return the K x K confusion matrix over all images, rows true, columns predicted."""
        matrix = np.zeros((self.num_classes, self.num_classes), dtype=np.int64)
        np.add.at(matrix, (self.target, self.prediction), self.count.astype(np.int64))
        return matrix

    def save(self, path: Path) -> None:
        """Write compressed, atomically."""

        extra: dict[str, Any] = {} if self.boundary is None else {"boundary": self.boundary.astype(np.uint32)}

        def write(file: IO[bytes]) -> None:
            np.savez_compressed(
                file,
                image=self.image.astype(np.uint32),
                target=self.target.astype(np.uint16),
                prediction=self.prediction.astype(np.uint16),
                count=self.count.astype(np.uint32),
                shape=np.array([self.n_images, self.num_classes], dtype=np.int64),
                **extra,
            )

        write_atomic(path, write)

    @classmethod
    def load(cls, path: Path) -> Counts:
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            n_images, num_classes = (int(value) for value in arrays["shape"])
            entries = [arrays[key] for key in ("image", "target", "prediction", "count")]
            boundary = arrays.get("boundary")
            return cls(entries[0], entries[1], entries[2], entries[3], n_images, num_classes, boundary)

    def boundary_total(self) -> np.ndarray | None:
        """Return the 2 x K boundary counts over all images."""
        return None if self.boundary is None else self.boundary.astype(np.int64).sum(axis=0)


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

    def finish(self, record: Record) -> None:
        """Write the result, last of all files, and drop what only resume needed."""
        files = {
            name: file_digest(self.path / name) for name in (COUNTS, HISTORY, STUDENT) if (self.path / name).exists()
        }
        write_json(self.path / RESULT, seal({"schema": SCHEMA, **record, "files": files}))
        for name in (FAILURE, CHECKPOINT, PREVIOUS):
            (self.path / name).unlink(missing_ok=True)

    def fail(self, record: Record) -> None:
        """Write why the cell ended without a result."""
        write_json(self.path / FAILURE, {"schema": SCHEMA, **record})

    def set_aside(self, reason: str) -> Path:
        """Move the folder out of the way under ``superseded/``; nothing computed is deleted."""
        shelf = self.path.parent.parent / "superseded"
        shelf.mkdir(exist_ok=True)
        number = 1
        while (target := shelf / f"{self.path.name}.{reason}-{number}").exists():
            number += 1
        self.path.rename(target)
        return target

    def sweep(self) -> None:
        """Remove temporary files that a kill left behind."""
        for leftover in self.path.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)


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
        CorruptRecord: unreadable, of a newer schema, or not matching its own digest or its files' digests.
    """
    record = _read_record(folder / RESULT)
    if type(record.get("schema")) is not int or record["schema"] < 1:
        raise CorruptRecord(f"{RESULT} is not a result: it has no schema version")
    if record["schema"] > SCHEMA:
        raise CorruptRecord(f"{RESULT} has schema {record['schema']}, this version reads up to {SCHEMA}: upgrade bench")
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
    return record


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run: ``cells/<cell id>/`` and the files derived from them."""

    path: Path

    def cell(self, cell_id: str) -> CellFolder:
        """Return the folder of a cell, which need not exist."""
        return CellFolder(self.path / "cells" / cell_id)

    def cells(self) -> Iterator[CellFolder]:
        """Yield every cell folder, in the order of their names."""
        root = self.path / "cells"
        if root.is_dir():
            yield from (CellFolder(path) for path in sorted(root.iterdir()) if path.is_dir())

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the folder for one writing process.

        Raises:
            BenchError: another process is writing to it, or it cannot be written to.
        """
        require_writable(self.path)
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=1, poll_interval=0.05)  # `status` holds it for an instant to see whether it is held
        except Timeout:
            raise BenchError(
                f"another process is running a matrix in {self.path}. Wait for it, or choose another --results folder."
            ) from None
        try:
            yield
        finally:
            lock.release()


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
    """Return the sentence for a failed write, with the free space where the disk is full."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
        free_mib = shutil.disk_usage(existing).free / 2**20
        return f"no disk space for {path}: {free_mib:.1f} MiB free. Free some, or choose another --results folder."
    return f"cannot write to {path}: {error.strerror or error}. Choose another --results folder."


def require_space(folder: Path, needed_bytes: int) -> None:
    """Refuse a run that cannot fit.

    Raises:
        BenchError: less than ``needed_bytes`` is free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise BenchError(
            f"not enough disk space in {folder}: {free / 2**20:.0f} MiB free, "
            f"about {needed_bytes / 2**20:.0f} MiB needed. "
            "Free some, or choose another --results folder."
        )
