"""Which of a user's images have more than 8 bits a channel or several pages, and what to write for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.base.errors import BenchError
from bench.base.threads import reading_threads
from bench.data.read.depth import FEW_LEVELS, FULL, Span, n_levels, suggested
from bench.data.read.images import Facts, look


@dataclass(frozen=True)
class ImageTally:
    """What images hold besides their colours.

    Attributes:
        n_read: how many were looked at.
        n_deep: how many of them have more than 8 bits a channel.
        levels: the lowest and the highest value of those; None where there are none.
        whole: whether their values are whole numbers.
        n_paged: how many images hold several pages.
    """

    n_read: int = 0
    n_deep: int = 0
    levels: Span | None = None
    whole: bool = True
    n_paged: int = 0

    @property
    def span(self) -> Span | None:
        """The range to read them by; None where the upper 8 of 16 bits do."""
        if self.levels is None:
            return None
        fits = self.whole and self.levels.low >= FULL.low and self.levels.high <= FULL.high
        return None if fits and n_levels(self.levels) >= FEW_LEVELS else suggested(self.levels, self.whole)

    @property
    def remarks(self) -> list[str]:
        """What is worth a look."""
        remarks = []
        if self.levels is not None:
            remarks.append(
                f"{self.n_deep} of {self.n_read} images have more than 8 bits a channel and use the values "
                f"{self.levels}; what becomes black and white is {(self.span or FULL).option}"
            )
        if self.n_paged:
            remarks.append(f"{self.n_paged} of {self.n_read} images hold several pages: the first of each is used")
        return remarks


def tally_images(images: Sequence[Path]) -> ImageTally:
    """Look at images: at headers, and at the values of those that have more than 8 bits a channel."""
    with reading_threads() as pool:
        facts = [one for one in pool.map(_looked, images) if one is not None]
    deep = [one for one in facts if one.levels is not None]
    levels = [one.levels for one in deep if one.levels is not None]
    return ImageTally(
        n_read=len(facts),
        n_deep=len(deep),
        levels=Span(min(one.low for one in levels), max(one.high for one in levels)) if levels else None,
        whole=all(one.whole for one in deep),
        n_paged=sum(one.pages > 1 for one in facts),
    )


def _looked(path: Path) -> Facts | None:
    try:
        return look(path)
    except BenchError:  # told where sizes are read
        return None
