"""Which values or colours a user's masks hold, and what to write for a dataset of them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from bench.base.errors import BenchError
from bench.base.threads import reading_threads
from bench.data.read.labels import Colour
from bench.data.read.opening import opened
from bench.data.read.reading import read_colours, read_mask
from bench.data.read.threshold import ThresholdLabels

T = TypeVar("T")
Kind = Literal["index", "palette", "colour"]
IGNORED = 255
MAX_CLASSES = 255
"""Labels after loading are 8-bit numbers, of which one is the ignore label."""
APART, UNEVEN = 32, 2.5
"""Grey levels that lie so far apart, and so evenly, were chosen to be seen: they are no running numbers of classes."""
MOST_COLOURS = 4096
"""More colours than any drawing has: a file stored with loss."""
_COLOUR_MODES = {"RGB", "RGBA", "RGBX", "LA", "PA", "La", "RGBa", "CMYK", "YCbCr", "HSV", "LAB"}


def kind_of(path: Path) -> Kind:
    """Return how a mask says which class a pixel has, by its header.

    Raises:
        BenchError: no readable image.
    """
    with opened(path) as image:
        mode = image.mode
    return "palette" if mode == "P" else "colour" if mode in _COLOUR_MODES else "index"


def palette_of(path: Path) -> dict[int, Colour]:
    """Return the colours of a palette file by value; none where it has no palette."""
    try:
        with opened(path) as image:
            flat = image.getpalette("RGB") or [] if image.mode == "P" else []
    except BenchError:
        return {}
    return {index: (flat[3 * index], flat[3 * index + 1], flat[3 * index + 2]) for index in range(len(flat) // 3)}


@dataclass
class MaskTally:
    """What masks hold.

    Attributes:
        kinds: number of masks of each kind.
        values: pixels of each value, over the masks of numbers.
        colours: pixels of each colour, over the drawn masks; at most 4096 colours.
        n_masks: how many masks there are.
        n_read: how many of them were read.
        where: a mask that holds a value.
        problems: masks that cannot be read.
    """

    kinds: Counter[Kind] = field(default_factory=Counter)
    values: Counter[int] = field(default_factory=Counter)
    colours: Counter[Colour] = field(default_factory=Counter)
    where: dict[int, Path] = field(default_factory=dict)
    n_masks: int = 0
    n_read: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def sampled(self) -> str:
        """How many masks were read, in words."""
        return f"all {self.n_masks} masks" if self.n_read == self.n_masks else f"{self.n_read} of {self.n_masks} masks"

    @property
    def scored_values(self) -> list[int]:
        """The values that are likely classes: 255 is one beside 0 alone, or as one of grey levels far apart."""
        return likely_classes(self.values)

    @property
    def grey_values(self) -> Counter[int] | None:
        """Pixels of each value of drawn masks whose red, green and blue are equal everywhere; None for others."""
        if not self.colours or any(len(set(colour)) > 1 for colour in self.colours):
            return None
        return Counter({colour[0]: count for colour, count in self.colours.items()})


def likely_classes(values: Iterable[int]) -> list[int]:
    """Return values in order, 255 only where it stands beside 0 alone or as one of grey levels far apart."""
    found = sorted(values)
    gaps = [high - low for low, high in pairwise(found)]
    levels = len(found) > 1 and min(gaps) >= APART and max(gaps) <= UNEVEN * min(gaps)
    levels = levels and not 0 < found[0] < APART  # such as 1 beside 255, a number rather than a grey level
    return found if levels or found == [IGNORED] else [value for value in found if value != IGNORED]


def spread(items: Sequence[T], limit: int) -> list[T]:
    """Return at most ``limit`` of the items, evenly spaced."""
    if len(items) <= limit:
        return list(items)
    return [items[round(index)] for index in np.linspace(0, len(items) - 1, limit)]


def tally(masks: Sequence[Path], limit: int, drawn: bool = False, threshold: float | None = None) -> MaskTally:
    """Count values and colours over at most ``limit`` masks, evenly spaced.

    Args:
        masks: label files.
        limit: the most to read, at least 1.
        drawn: count colours in all of them; those of a palette are looked up.
        threshold: count pixels below this level as 0 and the others as 1.
    """
    chosen = spread(masks, limit)
    result = MaskTally(n_masks=len(masks), n_read=len(chosen))
    with reading_threads() as pool:
        for path, outcome in zip(chosen, pool.map(lambda path: _counted(path, drawn, threshold), chosen), strict=True):
            if isinstance(outcome, BenchError):
                result.problems += outcome.problems
                continue
            kind, counts = outcome
            result.kinds[kind] += 1
            if threshold is not None or (kind != "colour" and not drawn):
                result.values.update(counts)
                result.where = dict.fromkeys(counts, path) | result.where
            elif len(result.colours) < MOST_COLOURS:
                some = list(counts.items())[:MOST_COLOURS]
                result.colours.update({(packed >> 16, packed >> 8 & 255, packed & 255): n for packed, n in some})
    return result


def _counted(path: Path, drawn: bool, threshold: float | None) -> tuple[Kind, dict[int, int]] | BenchError:
    """Return the kind of a mask and its pixels by value; a colour is packed into one number."""
    import pandas as pd

    try:
        kind = kind_of(path)
        if threshold is not None:
            raw = ThresholdLabels(threshold).read(path).astype(np.int64)
        elif kind != "colour" and not drawn:
            raw = read_mask(path)
        else:
            rgb = read_colours(path).astype(np.int64)
            raw = (rgb[..., 0] << 16) | (rgb[..., 1] << 8) | rgb[..., 2]
    except BenchError as error:
        return error
    counts = pd.Series(raw.ravel()).value_counts()  # by hashing; np.unique sorts all pixels
    return kind, dict(zip(counts.index.tolist(), counts.tolist(), strict=True))


def option_lines(found: MaskTally, names: Sequence[str] | None = None) -> list[str]:
    """Return the options of the dataset 'folder' that fit masks, a YAML line each.

    Args:
        found: what the masks hold.
        names: of the classes, in order; made up where not given or where their number does not fit.
    """
    if found.colours:
        colours = sorted(found.colours)
        called = names if names is not None and len(names) == len(colours) else numbered(range(len(colours)))
        if found.grey_values is not None and names is not None and colours[-1][0] < len(names):
            called = [names[colour[0]] for colour in colours]  # the level is the class's number
        pairs = zip(called, colours, strict=True)
        return ["colours:", *(f"  {yaml_text(name)}: {list(colour)}" for name, colour in pairs)]
    values = found.scored_values
    called = names if names is not None and len(names) == len(values) else numbered(values)
    lines = [f"classes: [{', '.join(map(yaml_text, called))}]"]
    return lines if values == list(range(len(values))) else [*lines, f"values: {values}"]


def numbered(values: Sequence[int]) -> list[str]:
    """Return names for classes that have none."""
    return [f"class_{value}" for value in values]


def yaml_text(text: str) -> str:
    """Return a text as YAML, in quotes where another reader of YAML may take it for something else."""
    plain = re.fullmatch(r"[A-Za-z_/.][\w/.-]*( [\w/.-]+)*", text, re.ASCII)
    special = text.lower() in ("y", "n", "yes", "no", "on", "off", "true", "false", "null") or text.startswith(".")
    return text if plain and not special else json.dumps(text, ensure_ascii=False)
