"""Reading label files of every usual kind, and telling what is wrong with them."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from bench.base.errors import BenchError
from bench.data.read.images import raw_mode, rgb_of
from bench.data.read.opening import opened, readable

MAX_RAW = 2**16
# What scipy raises on truncated and damaged files besides its own error, found by damaging some; the last is a slip of
# its parser.
_NO_MATRIX = (
    OSError, ValueError, TypeError, KeyError, IndexError, NotImplementedError, zlib.error, UnboundLocalError,
)  # fmt: skip
_INDEX_MODES = {"1", "L", "P", "I", "I;16", "I;16B", "I;16L"}
# Pillow spreads grey levels of shallow files over 0..255; labels have to be the stored numbers.
_SPREAD = {"L;2": 85, "L;4": 17}
_TURNED = {5, 6, 7, 8}
"""EXIF orientations that exchange height and width."""


def _to_rgb(image: Image.Image, path: Path) -> NDArray[np.uint8]:
    if image.mode.startswith("I"):
        deep = np.asarray(image).astype(np.int64)
        if deep.min() < 0 or deep.max() >= MAX_RAW:
            raise BenchError(f"{path}: 32-bit images are not supported. Convert it to 8 or 16 bits a channel.")
        return np.repeat((deep >> 8).astype(np.uint8)[..., None], 3, axis=2)
    if image.mode == "F":
        raise BenchError(f"{path}: floating-point images are not supported. Convert it to 8 or 16 bits a channel.")
    return rgb_of(image)


def read_mask(path: Path) -> NDArray[np.int64]:
    """Read a label file as the numbers stored in it: grey levels, or the indices of a palette rather than its colours.

    A MATLAB file (``.mat``) holds them as the matrix ``S`` (COCO-Stuff) or ``GTcls.Segmentation`` (SBD).

    Returns:
        H x W int64.

    Raises:
        BenchError: missing, empty, truncated, stored with loss, or with several channels.
    """
    if path.suffix.lower() == ".mat":
        return _read_matrix(path)
    with opened(path) as image:
        if image.format == "JPEG":
            raise BenchError(f"{path}: JPEG changes label values. Store labels in a lossless format such as PNG.")
        if image.mode not in _INDEX_MODES:
            raise BenchError(
                f"{path}: a label file must have one channel of class indices, this one is {image.mode}. "
                "Convert its colours to indices first, or give the dataset 'folder' a table of colours."
            )
        levels = _SPREAD.get(raw_mode(image), 1)
        values = np.asarray(ImageOps.exif_transpose(image)).astype(np.int64)
    return values // levels


def _read_matrix(path: Path) -> NDArray[np.int64]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    with readable(path, "MATLAB file", (*_NO_MATRIX, MatReadError)):
        content = loadmat(str(path), appendmat=False, variable_names=("S", "GTcls"))
        if "S" in content:
            matrix = np.asarray(content["S"])
        elif "GTcls" in content:
            matrix = np.asarray(content["GTcls"]["Segmentation"].item())
        else:
            raise BenchError(f"{path}: holds neither the matrix S nor GTcls. Expected labels of COCO-Stuff or SBD.")
    if matrix.ndim != 2 or matrix.size == 0 or matrix.dtype.kind not in "uif" or (matrix != np.floor(matrix)).any():
        raise BenchError(
            f"{path}: labels must be a matrix of whole numbers, these are {matrix.dtype} of shape {matrix.shape}"
        )
    return matrix.astype(np.int64)


def read_colours(path: Path) -> NDArray[np.uint8]:
    """Read a label file as the colours drawn in it; those of a palette are looked up.

    Returns:
        H x W x 3 uint8.

    Raises:
        BenchError: missing, empty, truncated or stored with loss.
    """
    with opened(path) as image:
        if image.format == "JPEG":
            raise BenchError(f"{path}: JPEG changes label colours. Store labels in a lossless format such as PNG.")
        return _to_rgb(ImageOps.exif_transpose(image), path)


def read_size(path: Path) -> tuple[int, int]:
    """Return height and width from a file's header, turned as its EXIF tag says; nothing is decoded.

    Raises:
        BenchError: missing, empty or of no known format.
    """
    with opened(path) as image:
        width, height = image.size
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) in _TURNED
    return (width, height) if turned else (height, width)
