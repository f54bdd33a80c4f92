"""Masks with smooth edges: drawn anti-aliased, resized by averaging or stored with loss, so that edges hold no class.

A level is taken for one of an edge where it covers no area and lies between darker and lighter neighbours. Masks are
soft where most borders between areas run through such levels. What is a class has area in some mask, or borders on
others directly, as thin classes do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.data.look.masktally import kind_of, spread
from bench.data.read.reading import MOST_TINT, read_colours, read_mask

LOOKED_AT = 20
"""Masks that are looked at, evenly spaced."""
WINDOW = 2048
"""Side of the middle part that is looked at, in pixels."""
AREA = 0.2
"""Share of a level's pixels that lie among their like, from which on it is an area."""
BETWEEN = 0.6
"""Share of the other pixels that lie between darker and lighter ones."""
OVERSHOT, SURE = 0.4, 4
"""That share where so many times more borders run through edges than not: sharp resizing overshoots beside them."""
MANY = 12
"""Levels of edges from which on a single area is enough: an object may be too thin to have one."""
FEW = 8
"""Fewer levels of edges have to be spread like grey levels to be taken for such."""
SPAN, STEPS = 32, 16
"""Such a spread, and the share of it by which levels of one area may differ."""
GREY = 0x10101
"""The number that the colour (1, 1, 1) is packed into."""
FAINT = 128
"""Spread from which on levels close to the areas are what storing with loss leaves."""


@dataclass(frozen=True)
class SoftEdges:
    """What was seen of masks with smooth edges.

    Attributes:
        areas: the levels that cover areas, one of each group of neighbouring levels, darkest first.
        between: the levels that stand at edges alone; a colour is packed into one number.
        grey: whether all are grey levels.
        n_levels: of all kinds.
        highest: the lightest level.
    """

    areas: tuple[int, ...]
    between: frozenset[int]
    grey: bool
    n_levels: int
    highest: int

    @property
    def told(self) -> str:
        """What is wrong, in words."""
        what = "grey levels" if self.grey else "colours"
        ends = self.areas if self.grey else [(packed >> 16, packed >> 8 & 255, packed & 255) for packed in self.areas]
        if len(ends) == 1:
            return (
                f"{len(self.between)} of {self.n_levels} {what} cover no area and lie between darker and lighter ones"
            )
        last = f"{', '.join(map(str, ends[:-1]))} and {ends[-1]}"
        return f"{len(self.between)} of {self.n_levels} {what} stand only at edges of the areas of {last}"

    @property
    def threshold(self) -> int | None:
        """The level halfway between two classes; None where there are more, or they are coloured."""
        if not self.grey or len(self.areas) > 2:
            return None
        low, high = (*self.areas, self.highest)[:2]
        return (low + high + 1) // 2


@dataclass
class _Seen:
    """Counts over masks, by level."""

    pixels: Counter[int] = field(default_factory=Counter)
    inner: Counter[int] = field(default_factory=Counter)
    between: Counter[int] = field(default_factory=Counter)
    borders: Counter[tuple[int, int]] = field(default_factory=Counter)

    @property
    def grey(self) -> bool:
        """Whether red, green and blue are equal everywhere; numbers are packed as grey colours."""
        return all(level % GREY == 0 for level in self.pixels)


def soft_edges(masks: Sequence[Path]) -> SoftEdges | None:
    """Return what makes masks soft; None where they are not, or where that cannot be told.

    Masks that cannot be read are left out.
    """
    seen = _Seen()
    chosen = spread(masks, LOOKED_AT)
    try:
        drawn = any(kind_of(path) != "index" for path in chosen)
    except BenchError:
        return None
    for path in chosen:
        try:
            raw = read_colours(path) if drawn else read_mask(path)[..., None]
        except BenchError:
            continue
        _look(_middle(raw).astype(np.int64), seen)
    return _judged(seen)


def _middle(raw: NDArray[Any]) -> NDArray[Any]:
    top, left = (max(0, (side - WINDOW) // 2) for side in raw.shape[:2])
    return raw[top : top + WINDOW, left : left + WINDOW]


def _look(raw: NDArray[np.int64], seen: _Seen) -> None:
    """Count one mask of H x W x C."""
    import pandas as pd

    if np.ptp(raw, axis=2).max(initial=0) <= MOST_TINT:
        raw = raw[..., raw.shape[2] // 2, None]
    low, high = _around(raw, np.minimum), _around(raw, np.maximum)
    packed = raw[..., 0] * GREY if raw.shape[2] == 1 else (raw << np.array([16, 8, 0])).sum(axis=2)
    codes, levels = pd.factorize(packed.ravel())
    codes = codes.reshape(packed.shape)
    flat = (low == high).all(axis=2)
    strictly = ((low < raw) & (raw < high)).any(axis=2)
    for counter, chosen in ((seen.pixels, codes), (seen.inner, codes[flat]), (seen.between, codes[strictly])):
        found = np.bincount(chosen.ravel(), minlength=len(levels))
        counter.update({int(level): int(count) for level, count in zip(levels, found, strict=True) if count})
    for first, second in ((packed[:, :-1], packed[:, 1:]), (packed[:-1], packed[1:])):
        differ = first != second
        ends = np.stack([np.minimum(first, second)[differ], np.maximum(first, second)[differ]], axis=1)
        pairs, counts = np.unique(ends, axis=0, return_counts=True)
        seen.borders.update({(int(a), int(b)): int(n) for (a, b), n in zip(pairs, counts, strict=True)})


def _around(raw: NDArray[np.int64], pick: Callable[..., NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return the lowest or highest of each 3 x 3 neighbourhood, H x W x C."""
    padded = np.pad(raw, ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = pick(pick(padded[:-2], padded[1:-1]), padded[2:])
    return pick(pick(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])


def _judged(seen: _Seen) -> SoftEdges | None:
    counts, grey = seen.pixels, seen.grey
    if len(counts) < 3:
        return None
    areas = {level for level, n in counts.items() if seen.inner[level] >= AREA * n}
    unit = GREY if grey else 1
    reach = (max(counts) - min(counts)) // unit
    if grey:  # a thin object has no inner pixels, yet its own level is common
        usual = sorted(counts.values())[len(counts) // 4]
        areas |= {end for end in (min(counts), max(counts)) if counts[end] >= 5 * usual}
    groups = _grouped(sorted(areas), counts, reach // STEPS * unit if grey else 0)
    others = [level for level in counts if level not in areas]
    between = {level for level in others if 2 * seen.between[level] >= counts[level]}
    n_others = sum(counts[level] for level in others)
    soft = len(between) >= (2 if len(groups) > 1 else MANY) and bool(groups)
    soft = soft and (len(between) >= FEW or (grey and reach >= SPAN))
    through, direct = _through(seen.borders, areas), _direct(seen.borders, areas)
    needed = OVERSHOT if through > SURE * direct else BETWEEN
    soft = soft and through > direct and sum(seen.between[level] for level in others) >= needed * n_others
    rare = 2 * n_others < sum(counts.values())
    faint = grey and rare and len(groups) > 1 and reach >= FAINT and _faint(counts, others, groups)
    if not soft and not faint:
        return None
    edges = frozenset(level // unit for level in (between if soft else others))
    return SoftEdges(tuple(area // unit for area in groups), edges, grey, len(counts), max(counts) // unit)


def _grouped(areas: Sequence[int], counts: Counter[int], gap: int) -> list[int]:
    """Return the commonest of each group of areas whose levels are at most ``gap`` apart."""
    groups: list[list[int]] = []
    for level in areas:
        if groups and level - groups[-1][-1] <= gap:
            groups[-1].append(level)
        else:
            groups.append([level])
    return [max(group, key=lambda level: counts[level]) for group in groups]


def _through(borders: Counter[tuple[int, int]], areas: set[int]) -> int:
    return sum(n for ends, n in borders.items() if (ends[0] in areas) != (ends[1] in areas))


def _direct(borders: Counter[tuple[int, int]], areas: set[int]) -> int:
    return sum(n for ends, n in borders.items() if ends[0] in areas and ends[1] in areas)


def _faint(counts: Counter[int], others: Sequence[int], areas: Sequence[int]) -> bool:
    """Tell whether areas have levels close by: just below the lighter of two, or beside each of several."""
    near = STEPS * GREY
    if areas[0] - min(counts) >= near or max(counts) - areas[-1] >= near:
        return False
    beside = [any(abs(level - area) < near for level in others) for area in areas]
    return all(beside) if len(areas) > 2 else beside[-1]
