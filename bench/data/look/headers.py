"""What headers of images and masks tell that is worth a second look: further pages, tags that turn one of the two."""

from __future__ import annotations

from collections.abc import Sequence

from bench.base.threads import reading_threads
from bench.data.read.files import FilePair
from bench.data.read.pages import n_pages
from bench.data.read.turns import doubtful_turn


def header_remarks(pairs: Sequence[FilePair]) -> list[str]:
    """Return a sentence for masks of several pages, and one for masks that may lie otherwise than their images."""
    with reading_threads() as pool:
        pages = list(pool.map(lambda pair: n_pages(pair.label), pairs))
    several = [(pair, count) for pair, count in zip(pairs, pages, strict=True) if count > 1]
    if not several:
        return turn_remarks(pairs)
    pair, count = several[0]
    whose = f"masks have several pages, such as {pair.label} with {count}"
    return [f"{len(several)} {whose}: only the first page is read", *turn_remarks(pairs)]


def turn_remarks(pairs: Sequence[FilePair]) -> list[str]:
    """Return a sentence for masks that may lie otherwise than their images by their EXIF tags."""
    with reading_threads() as pool:
        turns = list(pool.map(lambda pair: doubtful_turn(pair.image, pair.label), pairs))
    doubtful = [(pair, told) for pair, told in zip(pairs, turns, strict=True) if told]
    if not doubtful:
        return []
    pair, told = doubtful[0]
    whose = f"masks may lie otherwise than their images, such as {pair.label}: {told}"
    return [f"{len(doubtful)} {whose}. Look at them with `data show`, and take the tag out if they do"]
