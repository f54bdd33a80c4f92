"""Reading image files of every usual kind as RGB, and what of a file its 8-bit pixels do not tell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.base.errors import BenchError
from bench.data.read.depth import FULL, Span, levels_of, to_bytes
from bench.data.read.opening import opened
from bench.data.read.pages import pages_of
from bench.data.read.turns import upright

if TYPE_CHECKING:
    from torchvision import tv_tensors

_OTHER_BYTE = {";16B": ";16L", ";16L": ";16B", ";16N": ";16B" if np.little_endian else ";16L"}
"""Pillow keeps the upper byte of a colour of 16 bits; read in the other order of bytes, it keeps the lower one."""
_BITS_PER_SAMPLE = 258


class Facts(NamedTuple):
    """What of an image file its 8-bit pixels do not tell.

    Attributes:
        levels: the lowest and the highest value, where it has more than 8 bits a channel; None for others.
        pages: how many images it holds; the first one is read.
        whole: whether its values are whole numbers.
    """

    levels: Span | None = None
    pages: int = 1
    whole: bool = True


def read_image(path: Path, span: Span | None = None) -> tv_tensors.Image:
    """Read an image as RGB, turned as its EXIF tag says.

    Grey, palette and CMYK files are converted, an alpha channel is dropped, of several pages the first is read.

    Args:
        path: the file.
        span: the values that become 0..255 in files of more than 8 bits a channel; None keeps the upper 8 of 16 bits.

    Returns:
        3 x H x W uint8.

    Raises:
        BenchError: missing, empty, truncated or of another format.
    """
    from bench.data.read.tensors import image_of

    return image_of(decode(path, span)[0])


def decode(path: Path, span: Span | None = None) -> tuple[NDArray[np.uint8], Facts]:
    """Read an image as RGB, with what its pixels do not tell.

    Args:
        path: the file.
        span: as for :func:`read_image`.

    Returns:
        H x W x 3 uint8 and the facts.

    Raises:
        NoRangeError: its values do not fit 0..65535, and there is no span.
        BenchError: missing, empty, truncated or of another format.
    """
    with opened(path) as image:
        values = _deep_values(image, path, exact=span not in (None, FULL))
        if values is None:
            return rgb_of(upright(image)), Facts(pages=pages_of(image))
        levels = levels_of(values, path)
        if values.dtype == np.uint8:  # upper bytes, of colours
            pixels, levels = values, Span(256 * levels.low, 256 * levels.high + 255)
        else:
            pixels = to_bytes(values, levels, span, path)
        pixels = np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels
        return np.ascontiguousarray(pixels), Facts(levels, pages_of(image), values.dtype.kind in "iu")


def look(path: Path) -> Facts:
    """Return what the pixels do not tell, by the header alone where the file has 8 bits a channel.

    Raises:
        BenchError: as :func:`decode`.
    """
    with opened(path) as image:
        if not _is_deep(image):
            return Facts(pages=pages_of(image))
    return decode(path, FULL)[1]


def own_values(path: Path) -> NDArray[Any]:
    """Return the numbers that a file of more than 8 bits a channel stores, H x W or H x W x 3.

    Raises:
        BenchError: as :func:`decode`.
    """
    with opened(path) as image:
        values = _deep_values(image, path, exact=True)
        return rgb_of(upright(image)) if values is None else values


def rgb_of(image: Image.Image) -> NDArray[np.uint8]:
    """Return an image of 8 bits a channel as H x W x 3; colours of a palette are looked up, alpha is dropped."""
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"))


def raw_mode(image: Image.Image) -> str:
    """Return Pillow's name for how an opened, not yet decoded file stores its pixels."""
    tiles = getattr(image, "tile", [])
    arguments = tiles[0][3] if tiles else ""
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F" or ";16" in raw_mode(image)


def _deep_values(image: Image.Image, path: Path, exact: bool) -> NDArray[Any] | None:
    """Return what a file of more than 8 bits a channel stores, turned as its EXIF tag says; None for other files.

    Args:
        image: opened, not yet decoded.
        path: its file.
        exact: whether colours are wanted whole; else their upper bytes, as uint8, will do.

    Raises:
        BenchError: colours that cannot be read right.
    """
    _require_understood(image, path)
    if not _is_deep(image):
        return None
    stored = raw_mode(image)
    turned = upright(image)
    if turned.mode == "F":
        return np.asarray(turned)
    if turned.mode.startswith("I"):
        values = np.asarray(turned)
        return values.view(np.uint32) if stored in ("I;32", "I;32N", "I;32B") else values.astype(np.int32)
    upper = rgb_of(turned)
    return _with_lower_bytes(upper, stored, path) if exact else upper


def _with_lower_bytes(upper: NDArray[np.uint8], stored: str, path: Path) -> NDArray[np.uint16]:
    """Return colours of 16 bits, H x W x 3, of which Pillow has read the upper bytes."""
    kind, order = stored[:-4], stored[-4:]
    if kind not in ("RGB", "RGBA", "RGBX") or order not in _OTHER_BYTE:
        raise BenchError(f"{path}: 16 bits with alpha are not spread over image_range. Save it without alpha.")
    with opened(path) as image:
        image.tile = [  # type: ignore[attr-defined]
            tile._replace(args=_swapped(tile.args, kind + _OTHER_BYTE[order]))
            for tile in image.tile  # type: ignore[attr-defined]
        ]
        lower = rgb_of(upright(image))
    both: NDArray[np.uint16] = upper.astype(np.uint16) * 256 + lower
    return both


def _swapped(arguments: Any, mode: str) -> Any:
    return (mode, *arguments[1:]) if isinstance(arguments, tuple) else mode


def _require_understood(image: Image.Image, path: Path) -> None:
    """Refuse colours of 16 bits that Pillow takes for 8: a TIFF that stores one channel after the other."""
    bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))
    if image.mode in ("RGB", "RGBA", "CMYK") and max(bits) > 8 and ";16" not in raw_mode(image):
        raise BenchError(
            f"{path}: a TIFF of {max(bits)} bits that stores one channel after the other is not read right. Save it "
            "with the channels of a pixel together, or with 8 bits."
        )
