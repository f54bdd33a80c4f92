"""What a file holds beyond its first page."""

from __future__ import annotations

import contextlib
from pathlib import Path

from PIL import Image

from bench.base.errors import BenchError
from bench.data.read.opening import UNDECODABLE, opened

PAGED = frozenset({"TIFF", "GIF", "WEBP", "PNG"})
"""Formats whose further pages are images like the first; a telephone's JPEG has previews there."""
_REDUCED = 254
"""TIFF's tag NewSubfileType, whose lowest bit marks a smaller copy of another page."""


def pages_of(image: Image.Image) -> int:
    """Return how many pages an opened file has; a TIFF's of other sizes and smaller copies do not count."""
    if image.format not in PAGED:
        return 1
    size, found = image.size, 1
    with contextlib.suppress(*UNDECODABLE):  # a damaged further page does not matter
        count = int(getattr(image, "n_frames", 1))
        if image.format != "TIFF":
            return count
        for page in range(1, count):
            image.seek(page)
            found += image.size == size and not int(getattr(image, "tag_v2", {}).get(_REDUCED, 0)) & 1
    return found


def n_pages(path: Path) -> int:
    """Return how many pages a file has, as :func:`pages_of` counts them; 1 where it cannot be opened."""
    try:
        with opened(path) as image:
            return pages_of(image)
    except BenchError:
        return 1  # a fault that reading tells
