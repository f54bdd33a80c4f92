"""Whether masks with palettes mean the same by a number: value and colour have to go together alike in all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.base.errors import BenchError
from bench.base.threads import reading_threads
from bench.data.look.masktally import palette_of
from bench.data.read.labels import Colour
from bench.data.read.reading import read_mask

Palette = Mapping[int, Colour]
"""Colours by value."""


def palette_clash(masks: Sequence[Path]) -> str:
    """Return the sentence for a value with two colours, or a colour with two values, in two masks; empty without one.

    Headers are compared first; pixels are read where palettes differ alone, as unused entries may hold anything.
    """
    with reading_threads() as pool:
        found = zip(masks, pool.map(palette_of, masks), strict=True)
        palettes = {path: palette for path, palette in found if palette}
        told = _first_clash((path, palette, palette) for path, palette in palettes.items())
        if told:
            used = pool.map(_used, palettes.values(), palettes)
            told = _first_clash(zip(palettes, palettes.values(), used, strict=True))
            pool.shutdown(cancel_futures=True)
    if not told:
        return ""
    return f"the palettes of the masks differ: {told}, so that a number does not tell a class"


def _first_clash(masks: Iterable[tuple[Path, Palette, Palette]]) -> str:
    """Return the first clash in words.

    Args:
        masks: path, palette, and the part of it that occurs in the pixels.
    """
    by_value: dict[int, tuple[Path, Colour]] = {}
    by_colour: dict[Colour, tuple[Path, int, Palette]] = {}
    for path, palette, used in masks:
        for value, colour in used.items():
            first, known = by_value.setdefault(value, (path, colour))
            if known != colour:
                return f"the value {value} is the colour {known} in {first} and {colour} in {path}"
            first, number, other = by_colour.setdefault(colour, (path, value, palette))
            # One palette may well give a colour to several values.
            if other.get(value) != colour and palette.get(number) != colour:
                return f"the colour {colour} is the value {number} in {first} and {value} in {path}"
    return ""


def _used(palette: Palette, path: Path) -> Palette:
    """Return the colours of the values that occur; none of a mask that cannot be read, which reading tells."""
    try:
        values = np.flatnonzero(np.bincount(read_mask(path).ravel()))
    except BenchError:
        return {}
    return {value: palette[value] for value in values.tolist() if value in palette}
