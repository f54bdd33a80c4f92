"""Class numbers that were stored as floats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError

_SAFE = 2**31


def whole_numbers(values: NDArray[Any], path: Path) -> NDArray[np.int64]:
    """Return floats that are whole as integers; integers as they are.

    Args:
        values: H x W numbers of a label file.
        path: the file, for messages.

    Returns:
        H x W int64.

    Raises:
        BenchError: numbers that are not whole, not finite, or too large for a class.
    """
    if values.dtype.kind != "f":
        return values.astype(np.int64)
    require_finite(values, path)
    if (broken := values[values != np.floor(values)]).size:
        level = (float(values.min()) + float(values.max())) / 2
        raise BenchError(
            f"{path}: {broken.size} pixels hold numbers that are not whole, such as {broken[0]:g}; class numbers are. "
            "Round them and store whole numbers; where a level divides two classes, as in a map of probabilities, give "
            f"a threshold: `threshold: {level:g}` under dataset, --threshold {level:g} to init."
        )
    if np.abs(values).max(initial=0) >= _SAFE:
        raise BenchError(f"{path}: holds {values.max():g}, which is too large for a class. Correct the labels.")
    return values.astype(np.int64)


def require_finite(values: NDArray[Any], path: Path) -> None:
    """Refuse pixels that hold no number.

    Raises:
        BenchError: naming how many and the file.
    """
    if values.dtype.kind == "f" and (n_lost := int((~np.isfinite(values)).sum())):
        raise BenchError(
            f"{path}: {n_lost} pixels hold no number (nan or infinity). Store a number of its own there, such as 255, "
            "and name it as ignored."
        )
