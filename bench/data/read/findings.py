"""What reading all samples found besides faults, kept as JSON, so that nothing is read again to tell it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from bench.base.errors import BenchError
from bench.base.threads import reading_threads
from bench.data.read.depth import FULL, Span
from bench.data.read.duplicates import Duplicate
from bench.data.read.files import FileSamples
from bench.data.read.images import Facts
from bench.data.read.pages import n_pages

LABEL_VALUES = 256
DARK = 16 * 256
"""Images of 16 bits whose highest value is below this keep less than 16 grey levels."""
_PAGED_SUFFIXES = frozenset({".tif", ".tiff", ".gif", ".webp"})


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True)


class Deep(_Kept):
    """The images of a split that have more than 8 bits a channel.

    Attributes:
        n_images: how many.
        low: the lowest value of all.
        high: the highest.
        whole: whether all values are whole numbers.
        n_dark: how many of them have no value of 4096 or more.
        n_beyond: how many of them hold values outside of the range that they are read by.
    """

    n_images: int
    low: float
    high: float
    whole: bool = True
    n_dark: int = 0
    n_beyond: int = 0

    @property
    def levels(self) -> Span:
        """The lowest and the highest value."""
        return Span(self.low, self.high)


class Paged(_Kept):
    """Files of a split that hold several images.

    Attributes:
        n_files: how many.
        example: one of them.
        n_pages: how many images that one holds.
    """

    n_files: int
    example: str
    n_pages: int


class SplitFindings(_Kept):
    """What was found in a split.

    Attributes:
        labels: number of pixels by label value, 256 of them.
        deep: its images of more than 8 bits; None where it has none.
        images: images of several pages; None where it has none.
        masks: masks of several pages; None where it has none.
    """

    labels: tuple[int, ...]
    deep: Deep | None = None
    images: Paged | None = None
    masks: Paged | None = None


class Findings(_Kept):
    """What was found in all splits.

    Attributes:
        splits: by name; the one that is trained on comes first.
        duplicates: images under several names.
    """

    splits: dict[str, SplitFindings]
    duplicates: tuple[Duplicate, ...] = ()


def count_labels(labels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the number of pixels of each of the 256 label values."""
    return np.bincount(labels.ravel(), minlength=LABEL_VALUES)


def split_findings(labels: Sequence[int], files: FileSamples | None, indices: Sequence[int]) -> SplitFindings:
    """Return what is to be told of a split whose samples were read.

    Args:
        labels: number of pixels by label value.
        files: the files, where it has some; those that were decoded here are not opened again.
        indices: the samples that could be read.
    """
    if files is None:
        return SplitFindings(labels=tuple(labels))
    with reading_threads() as pool:
        facts = list(pool.map(lambda index: _facts(files, index), indices))
        masks = [files.pairs[index].label for index in indices]
        several = list(pool.map(lambda path: n_pages(path) if path.suffix.lower() in _PAGED_SUFFIXES else 1, masks))
    images = [files.pairs[index].image for index in indices]
    return SplitFindings(
        labels=tuple(labels),
        deep=_deep([fact for fact in facts if fact.levels is not None], files.span),
        images=_paged((str(path), fact.pages) for path, fact in zip(images, facts, strict=True)),
        masks=_paged((str(path), count) for path, count in zip(masks, several, strict=True)),
    )


def _facts(files: FileSamples, index: int) -> Facts:
    try:
        return files.facts(index)
    except BenchError:  # it was read a moment ago; what became of it is told at its next reading
        return Facts()


def _deep(facts: Sequence[Facts], span: Span | None) -> Deep | None:
    levels = [fact.levels for fact in facts if fact.levels is not None]
    if not levels:
        return None
    read_by = span or FULL
    return Deep(
        n_images=len(levels),
        low=min(level.low for level in levels),
        high=max(level.high for level in levels),
        whole=all(fact.whole for fact in facts),
        n_dark=sum(level.high < DARK for level in levels),
        n_beyond=sum(level.low < read_by.low or level.high > read_by.high for level in levels),
    )


def _paged(files: Iterable[tuple[str, int]]) -> Paged | None:
    several = [(path, count) for path, count in files if count > 1]
    return Paged(n_files=len(several), example=several[0][0], n_pages=several[0][1]) if several else None
