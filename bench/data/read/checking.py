"""Verifying the samples of a dataset before anything trains, and the digest of their content."""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from bench.base.errors import BenchError, capped
from bench.base.files import digest, file_digest, write_text
from bench.base.text import is_text, not_text
from bench.base.threads import reading_threads
from bench.data.base import Samples
from bench.data.facts import DatasetInfo
from bench.data.read.depth import NoRangeError, Span
from bench.data.read.duplicates import Seen, find_duplicates, print_of
from bench.data.read.files import FileSamples
from bench.data.read.findings import LABEL_VALUES, Findings, SplitFindings, count_labels, split_findings
from bench.data.read.verdict import judge, unranged

if TYPE_CHECKING:
    from torchvision import tv_tensors

T = TypeVar("T")


def check_samples(
    splits: Mapping[str, Samples],
    cache: Path | None = None,
    info: DatasetInfo | None = None,
    shared_allowed: bool = False,
) -> tuple[str, ...]:
    """Read every sample of every split, so that no fault appears in the middle of a training.

    Splits of files that passed once are not read again until a name, size or modification time changes.

    Args:
        splits: samples by split name; the one that is trained on first, then the one that is scored.
        cache: folder where passed checks are remembered; None remembers nothing.
        info: of the dataset; without it nothing is said of the labels' classes.
        shared_allowed: whether one image may be in two splits.

    Returns:
        What is worth knowing though the samples can be used, a sentence each.

    Raises:
        BenchError: all faults together, at most 20 of them written out: samples that cannot be read, empty splits, a
            name used twice in a split, the same image in two splits, a split without any labelled pixel.
    """
    problems = [f"the {name} split is empty" for name, samples in splits.items() if len(samples) == 0]
    for split, samples in splits.items():
        problems += faulty_names(split, samples)
    marker = None if problems else _marker(splits, cache)
    findings = _remembered(marker)
    if findings is None:
        findings, faults = _read_findings(splits)
        problems += faults
        if marker is not None and not faults:
            remember(marker, findings.model_dump_json())
    verdict = judge(findings, info, span_of(splits.values()), shared_allowed)
    if problems := [*problems, *verdict.problems]:
        raise BenchError(*capped(problems))
    return verdict.remarks


def span_of(splits: Iterable[Samples]) -> Span | None:
    """Return the range of values by which an option has images of more than 8 bits read; None without one."""
    return next((samples.files.span for samples in splits if samples.files is not None), None)


def known_findings(splits: Mapping[str, Samples], cache: Path) -> Findings | None:
    """Return what a check of these very files found; None where there was none since a file changed."""
    return _remembered(_marker(splits, cache))


def _remembered(marker: Path | None) -> Findings | None:
    if marker is not None:
        with contextlib.suppress(OSError, ValueError):  # damaged or of another form: read again
            return Findings.model_validate_json(marker.read_text(encoding="utf-8"))
    return None


def _read_findings(splits: Mapping[str, Samples]) -> tuple[Findings, list[str]]:
    """Read every sample; return what was found, and what is wrong with those that cannot be used."""
    faults: list[str] = []
    unread: list[NoRangeError] = []
    seen: dict[str, list[Seen]] = {}
    found: dict[str, SplitFindings] = {}
    for split, samples in splits.items():
        labels, seen[split] = np.zeros(LABEL_VALUES, np.int64), []
        outcomes = read_all(samples, lambda image, mask: (print_of(image), count_labels(mask.numpy())))
        for index, (name, outcome) in enumerate(zip(samples.names, outcomes, strict=True)):
            if isinstance(outcome, NoRangeError):
                unread.append(outcome)
            elif isinstance(outcome, BenchError):
                faults += outcome.problems
            else:
                seen[split].append(Seen(index, name, outcome[0]))
                labels += outcome[1]
        found[split] = split_findings(labels.tolist(), samples.files, [one.place for one in seen[split]])
    files = {split: samples.files for split, samples in splits.items()}
    return Findings(splits=found, duplicates=tuple(find_duplicates(seen, files))), [*faults, *unranged(unread)]


def faulty_names(split: str, samples: Samples) -> list[str]:
    """Return a sentence for every name that a split lists more than once, or that is no text."""
    repeated = [name for name, count in Counter(samples.names).items() if count > 1]
    return [
        *(f"the {split} split lists '{name}' more than once" for name in repeated),
        *(not_text(f"'{name}' of the {split} split") for name in samples.names if not is_text(str(name))),
    ]


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

    pool = reading_threads()
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
    order = list(splits)  # which one is trained on decides what is told
    return cache / "checked" / digest(["findings", 1, order, stamps], 32)


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
    remember(remembered, whole.hexdigest())
    return whole.hexdigest()


def _file_digest(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror or error}") from error


def remember(path: Path, text: str) -> None:
    """Keep a text in a cache, where that can be written to."""
    # A cache that cannot be written costs time at the next call and changes no result.
    with contextlib.suppress(OSError):
        write_text(path, text)
