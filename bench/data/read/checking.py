"""Verifying the samples of a dataset before anything trains, and the digest of their content."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bench.base.errors import BenchError, capped
from bench.base.files import digest, file_digest, write_text
from bench.base.text import is_text, not_text
from bench.data.base import Samples
from bench.data.read.files import FileSamples

if TYPE_CHECKING:
    from torchvision import tv_tensors

T = TypeVar("T")


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
        problems += faulty_names(split, samples)
    marker = None if problems else _marker(splits, cache)
    if marker is not None and marker.exists():
        return
    owners: dict[bytes, tuple[str, str]] = {}
    for split, samples in splits.items():
        outcomes = read_all(samples, lambda image, _: image_digest(image))
        for name, outcome in zip(samples.names, outcomes, strict=True):
            if isinstance(outcome, BenchError):
                problems += outcome.problems
                continue
            owner = owners.setdefault(outcome, (split, name))
            if owner[0] != split:
                problems.append(shared_image(owner, (split, name)))
    if problems:
        raise BenchError(*capped(problems))
    if marker is not None:
        _remember(marker, "passed")


def faulty_names(split: str, samples: Samples) -> list[str]:
    """Return a sentence for every name that a split lists more than once, or that is no text."""
    repeated = [name for name, count in Counter(samples.names).items() if count > 1]
    return [
        *(f"the {split} split lists '{name}' more than once" for name in repeated),
        *(not_text(f"'{name}' of the {split} split") for name in samples.names if not is_text(str(name))),
    ]


def shared_image(first: tuple[str, str], second: tuple[str, str]) -> str:
    """Return the sentence for an image that is in two splits; both are given as split and name."""
    return (
        f"the same image is in two splits: {first[0]} ('{first[1]}') and {second[0]} ('{second[1]}'). "
        "Remove it from one of them."
    )


def image_digest(image: tv_tensors.Image) -> bytes:
    """Return the digest of a decoded image, 16 bytes."""
    shape = repr(tuple(image.shape)).encode()
    return hashlib.blake2b(shape + image.numpy().tobytes(), digest_size=16).digest()


def read_all(samples: Samples, look: Callable[[tv_tensors.Image, tv_tensors.Mask], T]) -> Iterator[T | BenchError]:
    """Read every sample, several at a time.

    Args:
        samples: one split.
        look: called with each pair, in any thread; may raise BenchError.

    Yields:
        What ``look`` returned, or what is wrong with the sample, in the order of the split.
    """

    def examine(index: int) -> T | BenchError:
        try:
            return look(*samples[index])
        except BenchError as error:
            return error

    pool = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
    try:
        yield from pool.map(examine, range(len(samples)))
    finally:
        pool.shutdown(cancel_futures=True)


def _marker(splits: Mapping[str, Samples], cache: Path | None) -> Path | None:
    """Return the file that tells that these very files passed; None where nothing can be remembered."""
    if cache is None:
        return None
    stamps = []
    for split, samples in sorted(splits.items()):
        try:
            stamp = samples.stamp()
        except BenchError:  # missing files are told, with all other faults, by reading them
            return None
        if stamp is None:
            return None
        stamps.append([split, stamp])
    return cache / "checked" / digest(stamps, 32)


def content_fingerprint(splits: Mapping[str, FileSamples], cache: Path) -> str:
    """Return the digest of which files a dataset has in which split and of their bytes.

    That of each split is computed once and remembered until a name, size or modification time changes.

    Args:
        splits: samples by split name.
        cache: folder where the digest is remembered.

    Raises:
        BenchError: a file is missing or cannot be read.
    """
    whole = hashlib.sha256()
    for name in sorted(splits):
        whole.update(f"{name}/{_split_digest(splits[name], cache)}\n".encode())
    return whole.hexdigest()


def _split_digest(samples: FileSamples, cache: Path) -> str:
    remembered = cache / "fingerprints" / digest(samples.stamp(), 32)
    try:
        text = remembered.read_text()
    except OSError:
        text = ""
    if len(text) == 64 and set(text) <= set("0123456789abcdef"):
        return text
    whole = hashlib.sha256()
    for pair in sorted(samples.pairs, key=lambda pair: pair.name):
        whole.update(f"{pair.name}/{_file_digest(pair.label)}/{_file_digest(pair.image)}\n".encode())
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
