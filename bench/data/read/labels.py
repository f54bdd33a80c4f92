"""How label files say which class a pixel has: numbers or colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.data.read.reading import read_colours, read_mask

UNKNOWN = -1
SHOWN_VALUES = 5
Colour = tuple[int, int, int]


class Labels(Protocol):
    """Reads label files as class indices."""

    def read(self, path: Path) -> NDArray[np.uint8]:
        """Return class indices and the ignore index, H x W.

        Raises:
            BenchError: an unreadable file, or pixels that belong to no class; the file is named.
        """

    def identity(self) -> Any:
        """Return what tells two ways of reading apart, as JSON values."""


@dataclass(frozen=True)
class IndexLabels:
    """One number a pixel: grey levels, palette indices or matrices.

    Attributes:
        classes: class index, or the ignore index, for every raw value that may occur; raw values from 0.
        ignore_index: label value after loading that is neither trained on nor scored, 0..255.
    """

    classes: Mapping[int, int]
    ignore_index: int

    @cached_property
    def _table(self) -> NDArray[np.int16]:
        table = np.full(max(self.classes) + 2, UNKNOWN, dtype=np.int16)  # the last stands for all that is beyond
        table[list(self.classes)] = list(self.classes.values())
        return table

    def identity(self) -> Any:
        """Return the table and the ignore index."""
        return [sorted(self.classes.items()), self.ignore_index]

    def read(self, path: Path) -> NDArray[np.uint8]:
        """Return class indices and the ignore index, H x W.

        Raises:
            BenchError: an unreadable file, or a value that is not in the table.
        """
        raw = read_mask(path)
        mapped = self._table[np.clip(raw, 0, len(self._table) - 1)]
        outside = (mapped == UNKNOWN) | (raw < 0)
        if outside.any():
            raise BenchError(self._outside(path, raw, outside))
        return mapped.astype(np.uint8)

    def _outside(self, path: Path, raw: NDArray[np.int64], outside: NDArray[np.bool_]) -> str:
        values, counts = np.unique(raw[outside], return_counts=True)
        found = _counted([str(value) for value in values], counts)
        scored = [value for value, index in self.classes.items() if index != self.ignore_index]
        one_based = values.tolist() == [max(scored) + 1] and raw.min() > 0
        hint = (
            "The labels look 1-based: subtract one, so that classes begin at 0."
            if one_based
            else "No number below 0 can be named: store another one there, such as 255, and name it as ignored."
            if raw.min() < 0
            else "If that value marks unlabelled pixels, name it as ignored; else correct the labels."
        )
        return f"{path}: label values outside the classes {spans(scored)}: {found}. {hint}"


@dataclass(frozen=True)
class ColourLabels:
    """One colour a pixel, by a table.

    Attributes:
        colours: class index, or the ignore index, for every RGB colour that may occur.
        ignore_index: label value after loading that is neither trained on nor scored, 0..255.
    """

    colours: Mapping[Colour, int]
    ignore_index: int

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        packed = np.array([_packed(np.array(colour)) for colour in self.colours], dtype=np.int64)
        order = np.argsort(packed)
        return packed[order], np.array(list(self.colours.values()), dtype=np.uint8)[order]

    def identity(self) -> Any:
        """Return the table and the ignore index."""
        return [sorted([list(colour), index] for colour, index in self.colours.items()), self.ignore_index]

    def read(self, path: Path) -> NDArray[np.uint8]:
        """Return class indices and the ignore index, H x W.

        Raises:
            BenchError: an unreadable file, or a colour that is not in the table.
        """
        keys, indices = self._sorted
        packed = _packed(read_colours(path).astype(np.int64))
        position = np.searchsorted(keys, packed).clip(max=len(keys) - 1)
        outside = keys[position] != packed
        if outside.any():
            values, counts = np.unique(packed[outside], return_counts=True)
            found = _counted([str((v >> 16, v >> 8 & 255, v & 255)) for v in values.tolist()], counts)
            raise BenchError(
                f"{path}: colours that are not in the table: {found}. Add them to the colours of the dataset; where "
                "there are many, the file was stored with loss or drawn with smooth edges."
            )
        mapped: NDArray[np.uint8] = indices[position]
        return mapped


def _packed(colours: NDArray[Any]) -> Any:
    return (colours[..., 0] << 16) | (colours[..., 1] << 8) | colours[..., 2]


def _counted(names: Sequence[str], counts: NDArray[np.int64]) -> str:
    order = np.argsort(-counts, kind="stable")[:SHOWN_VALUES] if len(names) > SHOWN_VALUES else range(len(names))
    found = ", ".join(f"{names[index]} ({counts[index]} pixels)" for index in order)
    left_out = len(names) - SHOWN_VALUES
    return found + (f" and {left_out} other values" if left_out > 0 else "")


def spans(values: Sequence[int]) -> str:
    """Return ``0..10`` or ``1..8, 12`` for sorted or unsorted numbers."""
    found: list[list[int]] = []
    for value in sorted(values):
        if found and value == found[-1][1] + 1:
            found[-1][1] = value
        else:
            found.append([value, value])
    return ", ".join(f"{low}" if low == high else f"{low}..{high}" for low, high in found)
