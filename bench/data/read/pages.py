"""What a file holds beyond its first page."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

_REDUCED = 254
"""TIFF's tag NewSubfileType, whose lowest bit marks a smaller copy of another page."""


def n_pages(path: Path) -> int:
    """Return how many pages of the first one's size a file has; smaller copies of it do not count."""
    try:
        with Image.open(path) as image:
            count = getattr(image, "n_frames", 1)
            size, found = image.size, 1
            for page in range(1, count):
                image.seek(page)
                tags = getattr(image, "tag_v2", {})
                found += image.size == size and not int(tags.get(_REDUCED, 0)) & 1
            return found
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        return 1  # a fault that reading tells
