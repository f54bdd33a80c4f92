"""Images of more than 8 bits a channel: the range of values that they use, and how it becomes 0..255."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError


class Span(NamedTuple):
    """A range of values, both ends in it.

    Attributes:
        low: read as black.
        high: read as white.
    """

    low: float
    high: float

    def __str__(self) -> str:
        return f"{number(self.low)} to {number(self.high)}"

    @property
    def option(self) -> str:
        """The option that makes a dataset read its images by this range."""
        return f"image_range: [{number(self.low)}, {number(self.high)}]"

    def around(self, other: Span) -> Span:
        """Return the range that holds both."""
        return Span(min(self.low, other.low), max(self.high, other.high))


FULL = Span(0, 2**16 - 1)
"""What images are read by where no option tells: the upper 8 of 16 bits."""
FEW_LEVELS = 32
"""Fewer grey levels than so many are no photograph any more."""
_ENOUGH_LEVELS = 64
_USUAL = tuple(Span(0, 2**bits - 1) for bits in (8, 10, 12, 14, 16))
_USUAL_SHARES = (Span(0, 1), *_USUAL)


class NoRangeError(BenchError):
    """An image whose values do not fit 0..65535, and no option tells what is black and what is white.

    Args:
        problem: the sentence.
        levels: the values that it holds.
        whole: whether they are whole numbers.
    """

    def __init__(self, problem: str, levels: Span, whole: bool) -> None:
        super().__init__(problem)
        self.levels, self.whole = levels, whole


def number(value: float) -> str:
    """Return a number as a user writes it."""
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.6g}"


def levels_of(values: NDArray[Any], path: object) -> Span:
    """Return the lowest and the highest value.

    Raises:
        BenchError: some are no finite numbers.
    """
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise BenchError(f"{path}: some of its values are no finite numbers (nan or inf). Replace them by a number.")
    return Span(low, high)


def to_bytes(values: NDArray[Any], levels: Span, span: Span | None, path: object) -> NDArray[np.uint8]:
    """Return values as 0..255.

    Whole numbers are shared out evenly, so that 0..65535 keeps the upper 8 bits and 0..255 stays as it is; of
    floating-point numbers, both ends of the range are met and what is between is rounded.

    Args:
        values: of any shape.
        levels: the lowest and the highest of them.
        span: the range that becomes 0..255; what lies outside becomes black or white. None takes 0..65535.
        path: their file, for messages.

    Raises:
        NoRangeError: there is no span, and the values are no whole numbers from 0 to 65535.
    """
    whole = values.dtype.kind in "iu"
    if span is None:
        if not whole or levels.low < FULL.low or levels.high > FULL.high:
            raise NoRangeError(
                f"{path}: {'whole' if whole else 'floating-point'} numbers from {levels}, and nothing tells which are "
                f"black and white. Give the dataset {suggested(levels, whole).option}, or save it with 8 bits.",
                levels,
                whole,
            )
        span = FULL
    if whole:
        shared = np.floor((values.astype(np.float64) - span.low) * (256 / (span.high - span.low + 1)))
    else:
        shared = np.rint((values.astype(np.float64) - span.low) * (255 / (span.high - span.low)))
    return shared.clip(0, 255).astype(np.uint8)


def suggested(levels: Span, whole: bool) -> Span:
    """Return the range to read images by: a usual one that they fill well enough, else that of their values.

    Args:
        levels: the lowest and the highest value of all images.
        whole: whether they hold whole numbers.
    """
    for usual in _USUAL if whole else _USUAL_SHARES:
        filled = (levels.high - levels.low) / (usual.high - usual.low)
        if usual.low <= levels.low and levels.high <= usual.high and filled * 256 >= _ENOUGH_LEVELS:
            return usual
    if levels.low == levels.high:
        return Span(levels.low, levels.low + 1)
    return levels if whole else _rounded(levels)


def _rounded(levels: Span) -> Span:
    """Return a range of few digits that holds another."""
    step = 10.0 ** (math.floor(math.log10(levels.high - levels.low)) - 2)
    return Span(round(math.floor(levels.low / step) * step, 12), round(math.ceil(levels.high / step) * step, 12))


def n_levels(levels: Span) -> int:
    """Return how many of 256 grey levels are left of values that are read by their upper 8 of 16 bits."""
    return int(levels.high) // 256 - int(levels.low) // 256 + 1


ImageRange = tuple[float, float] | None
"""The option of datasets whose images may have more than 8 bits a channel."""


def span_of_option(given: ImageRange, title: str) -> Span | None:
    """Return the range that an option gives.

    Raises:
        BenchError: it holds nothing.
    """
    if given is None:
        return None
    span = Span(*given)
    if not span.low < span.high:
        raise BenchError(f"{title}: {span.option}: the value of black has to be below that of white")
    return span


def range_key(span: Span | None) -> dict[str, list[float]]:
    """Return what an option's range adds to a cell's key: nothing where images are read as without it."""
    return {} if span is None or span == FULL else {"image_range": list(span)}
