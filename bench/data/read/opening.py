"""Opening image files: how many pixels one may have, and one sentence for every way in which a file cannot be read."""

from __future__ import annotations

import contextlib
import os
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from bench.base.errors import BenchError

LIMIT = "BENCH_MAX_MEGAPIXELS"
"""The environment variable that raises the limit: a machine's memory, and no dataset, decides how much is too much."""
MEGA = 10**6
UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# Pillow warns at half of its limit, of odd metadata and of how palettes are converted: nothing that a user can act on.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


@contextlib.contextmanager
def readable(path: Path, kind: str, faults: tuple[type[Exception], ...]) -> Iterator[None]:
    """Turn whatever makes a file undecodable into one sentence that names it.

    Args:
        path: the file.
        kind: what it should be, for the message.
        faults: what reading it raises where it cannot be decoded.

    Raises:
        BenchError: the sentence.
    """
    try:
        if path.stat().st_size == 0:
            raise BenchError(f"{path}: the file is empty (0 bytes). Copy it again.")
        yield
    except FileNotFoundError:
        raise BenchError(f"{path}: no such file") from None
    except MemoryError:
        raise BenchError(f"{path}: there is too little memory to read it. Cut it into tiles.") from None
    except Image.DecompressionBombError as error:
        raise BenchError(_too_large(path, str(error))) from None
    except faults as error:
        if isinstance(error, UnidentifiedImageError) and _is_tiff(path):
            raise BenchError(
                f"{path}: a TIFF of a kind that is not read, such as floating-point colours, 64 bits or five channels. "
                "Convert it to 8 or 16 bits a channel."
            ) from error
        reason = " ".join(str(error).replace(repr(str(path)), "it").split()) or type(error).__name__
        raise BenchError(f"{path}: not a readable {kind} ({reason}). Copy it again, or check its format.") from error


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open an image file; its pixels are decoded when they are asked for.

    Raises:
        BenchError: missing, empty, truncated, of no known format, or of more pixels than are read.
    """
    if (most := _raised()) is not None:
        Image.MAX_IMAGE_PIXELS = most // 2  # Pillow refuses images of more than twice as many pixels
    with readable(path, "image", UNDECODABLE), Image.open(path) as image:
        yield image


def _raised() -> int | None:
    """Return how many pixels an image may have by the environment, which can only raise Pillow's limit."""
    text = os.environ.get(LIMIT, "").strip()
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise BenchError(f"{LIMIT}={text}: a whole number of megapixels is needed, such as {LIMIT}=400")
    return max(_most_pixels(), int(text) * MEGA)


def _most_pixels() -> int:
    return 2 * (Image.MAX_IMAGE_PIXELS or 0)


def _too_large(path: Path, told: str) -> str:
    """Return the sentence for an image beyond the limit, from Pillow's own, which gives its pixels first."""
    counted = re.search(r"\d+", told)
    megapixels = -(-int(counted[0]) // MEGA) if counted else 0
    return (
        f"{path}: {megapixels} megapixels are more than the {_most_pixels() // MEGA} that are read. Cut image and mask "
        f"into tiles; or, where there is memory for whole ones, set {LIMIT}={megapixels} in the environment."
    )


def _is_tiff(path: Path) -> bool:
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(4) in _TIFF
    return False
