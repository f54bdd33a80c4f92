"""Verifying the samples of a dataset before anything trains, and the digest of their content."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.data.base import Samples
from bench.data.files import FileSamples
from bench.errors import BenchError, capped
from bench.store import digest, file_digest, write_text


def check_samples(splits: Mapping[str, Samples], cache: Path | None = None) -> None:
    """Read every sample of every split, so that no fault appears in the middle of a training.

    Splits of files that passed once are not read again until a name, size or modification time changes.

    Args:
        splits: samples by split name.
        cache: folder where passed checks are remembered; None remembers nothing.

    Raises:
        BenchError: all faults together, at most 20 of them written out: samples that cannot be read, empty splits, a
            name used twice in a split, the same image in two splits.
    """
    problems = [f"the {name} split is empty" for name, samples in splits.items() if len(samples) == 0]
    for split, samples in splits.items():
        problems += _repeated_names(split, samples)
    marker = None if problems else _marker(splits, cache)
    if marker is not None and marker.exists():
        return
    owners: dict[bytes, tuple[str, str]] = {}
    for split, samples in splits.items():
        for name, outcome in zip(samples.names, _examine_all(samples), strict=True):
            if isinstance(outcome, BenchError):
                problems += outcome.problems
                continue
            owner = owners.setdefault(outcome, (split, name))
            if owner[0] != split:
                problems.append(
                    f"the same image is in two splits: {owner[0]} ('{owner[1]}') and {split} ('{name}'). "
                    "Remove it from one of them."
                )
    if problems:
        raise BenchError(*capped(problems))
    if marker is not None:
        _remember(marker, "passed")


def _repeated_names(split: str, samples: Samples) -> list[str]:
    repeated = [name for name, count in Counter(samples.names).items() if count > 1]
    return [f"the {split} split lists '{name}' more than once" for name in repeated]


def _examine_all(samples: Samples) -> list[bytes | BenchError]:
    """Return the digest of every image, or what is wrong with the sample, in order."""

    def examine(index: int) -> bytes | BenchError:
        try:
            image, _ = samples[index]
        except BenchError as error:
            return error
        shape = repr(tuple(image.shape)).encode()
        return hashlib.blake2b(shape + image.numpy().tobytes(), digest_size=16).digest()

    pool = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
    try:
        return list(pool.map(examine, range(len(samples))))
    finally:
        pool.shutdown(cancel_futures=True)


def _marker(splits: Mapping[str, Samples], cache: Path | None) -> Path | None:
    """Return the file that tells that these very files passed; None where nothing can be remembered."""
    if cache is None:
        return None
    stamps = []
    for split, samples in sorted(splits.items()):
        if not isinstance(samples, FileSamples):
            return None
        try:
            stamps.append([split, samples.stamp()])
        except BenchError:  # missing files are told, with all other faults, by reading them
            return None
    return cache / "checked" / digest(stamps, 32)


def content_fingerprint(splits: Mapping[str, FileSamples], cache: Path) -> str:
    """Return the digest of which files a dataset has in which split and of their bytes.

    It is computed once and remembered until a name, size or modification time changes.

    Args:
        splits: samples by split name.
        cache: folder where the digest is remembered.

    Raises:
        BenchError: a file is missing or cannot be read.
    """
    remembered = cache / "fingerprints" / digest([[name, splits[name].stamp()] for name in sorted(splits)], 32)
    try:
        text = remembered.read_text()
    except OSError:
        text = ""
    if len(text) == 64 and set(text) <= set("0123456789abcdef"):
        return text
    whole = hashlib.sha256()
    for split in sorted(splits):
        for pair in sorted(splits[split].pairs, key=lambda pair: pair.name):
            whole.update(f"{split}/{pair.name}/{_file_digest(pair.label)}/{_file_digest(pair.image)}\n".encode())
    _remember(remembered, whole.hexdigest())
    return whole.hexdigest()


def _file_digest(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror or error}") from error


def _remember(path: Path, text: str) -> None:
    # A cache that cannot be written costs time at the next call and changes no result.
    with contextlib.suppress(OSError):
        write_text(path, text)
