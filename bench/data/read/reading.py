"""Reading label files of every usual kind, and telling what is wrong with them."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.data.read.images import raw_mode, rgb_of
from bench.data.read.numbers import require_finite, whole_numbers
from bench.data.read.opening import opened, readable
from bench.data.read.turns import turned_size, upright

MAX_RAW = 2**16
# What scipy raises on truncated and damaged files besides its own error, found by damaging some; the last is a slip of
# its parser.
_NO_MATRIX = (
    OSError, ValueError, TypeError, KeyError, IndexError, NotImplementedError, zlib.error, UnboundLocalError,
)  # fmt: skip
_INDEX_MODES = {"1", "L", "P", "I", "I;16", "I;16B", "I;16L", "F"}
# Pillow spreads grey levels of shallow files over 0..255; labels have to be the stored numbers.
_SPREAD = {"L;2": 85, "L;4": 17}
MOST_TINT = 16
"""How far the channels of a grey pixel may lie apart; storing with loss tints some."""


def read_mask(path: Path) -> NDArray[np.int64]:
    """Read a label file as the numbers stored in it: grey levels, or the indices of a palette rather than its colours.

    Floats are read where they are whole. A MATLAB file (``.mat``) holds them as the matrix ``S`` (COCO-Stuff) or
    ``GTcls.Segmentation`` (SBD).

    Returns:
        H x W int64.

    Raises:
        BenchError: missing, empty, truncated, stored with loss, with several channels or with fractions.
    """
    if path.suffix.lower() == ".mat":
        return _read_matrix(path)
    with opened(path) as image:
        if image.format == "JPEG":
            raise BenchError(
                f"{path}: JPEG changes label values. Store labels in a lossless format such as PNG; or, where light "
                "and dark tell two classes, give a threshold: `threshold: 128` under dataset, --threshold 128 to init."
            )
        if image.mode not in _INDEX_MODES:
            raise BenchError(
                f"{path}: a label file must have one channel of class indices, this one is {image.mode}. "
                "Convert its colours to indices first, or give the dataset 'folder' a table of colours."
            )
        levels = _SPREAD.get(raw_mode(image), 1)
        values = whole_numbers(np.asarray(upright(image)), path)
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
        return rgb_of(upright(image))


def read_levels(path: Path) -> NDArray[Any]:
    """Read a label file as grey levels, however it is stored: with loss, as grey colours, with fractions.

    What is transparent counts as black; a palette is looked up.

    Returns:
        H x W numbers.

    Raises:
        BenchError: missing, empty, truncated, drawn in colours, or with pixels that hold no number.
    """
    with opened(path) as image:
        image = upright(image)
        if image.mode in _INDEX_MODES - {"P"}:
            levels = np.asarray(image.convert("L") if image.mode == "1" else image)
            require_finite(levels, path)
            return levels
        pixels = np.asarray(image.convert("RGBA")).astype(np.int32)
    tint = pixels[..., :3].max(axis=2) - pixels[..., :3].min(axis=2)
    if (n_coloured := int((tint > MOST_TINT).sum())) > 0:
        raise BenchError(
            f"{path}: {n_coloured} pixels are coloured, and a threshold divides grey levels. Convert the mask to grey, "
            "or give the dataset 'folder' a table of colours."
        )
    covered: NDArray[np.int32] = pixels[..., 1] * pixels[..., 3] // 255
    return covered


def read_size(path: Path) -> tuple[int, int]:
    """Return height and width from a file's header, turned as its EXIF tag says; nothing is decoded.

    Raises:
        BenchError: missing, empty or of no known format.
    """
    with opened(path) as image:
        return turned_size(image)
