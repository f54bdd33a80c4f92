"""What the options of the dataset 'folder' tell of the classes: names, and how masks say which class a pixel has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from bench.base.errors import BenchError
from bench.data.facts import Locations
from bench.data.look.fitting import Told, untold
from bench.data.look.masktally import IGNORED, MAX_CLASSES, palette_of
from bench.data.read.classfiles import read_colour_table, read_names
from bench.data.read.foldertree import FolderTree
from bench.data.read.labels import Colour, ColourLabels, IndexLabels, Labels
from bench.data.read.palette import voc_colormap
from bench.data.read.threshold import ThresholdLabels


@dataclass(frozen=True)
class ClassOptions:
    """The options as given; what they come to is worked out when it is asked for, as files may have to be read.

    Attributes:
        title: of the dataset, for messages.
        tree: where images and masks lie.
        locations: where files among the options are looked up.
        classes: names in order, or a text file with a name a line.
        values: the number that stands for each class.
        ignore: numbers that are not scored.
        colours: the colour of each class, or a CSV file.
        ignore_colours: colours that are not scored.
        threshold: the level that divides two classes.
    """

    title: str
    tree: FolderTree
    locations: Locations
    classes: Sequence[str] | str | None
    values: Sequence[int] | None
    ignore: Sequence[int]
    colours: Mapping[str, Sequence[int]] | str | None
    ignore_colours: Sequence[Sequence[int]]
    threshold: float | None

    @cached_property
    def drawn(self) -> dict[str, Colour] | None:
        """The table of colours in the order of the classes, from the file where it is one; None for masks of numbers.

        Raises:
            BenchError: a file cannot be read, or names and colours are of different classes.
        """
        if self.colours is None:
            return None
        table = read_colour_table(self.locations.find(self.colours)) if isinstance(self.colours, str) else self.colours
        drawn = {name: _rgb(colour) for name, colour in table.items()}
        names = self._given_names
        if names is None:
            return drawn
        if set(names) != set(drawn):
            differing = ", ".join(sorted(set(names) ^ set(drawn)))
            raise BenchError(f"{self.title}: only one of classes and colours names {differing}. Name them in both.")
        return {name: drawn[name] for name in names}

    @cached_property
    def _given_names(self) -> tuple[str, ...] | None:
        if isinstance(self.classes, str):
            return read_names(self.locations.find(self.classes))
        return None if self.classes is None else tuple(self.classes)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The classes' names, in order.

        Raises:
            BenchError: no option tells the classes, or the options contradict each other.
        """
        names = self._given_names
        if self.drawn is not None:
            names = tuple(self.drawn)
        elif names is None and (self.values is not None or self.threshold is not None):
            names = tuple(f"class {index}" for index in range(2 if self.values is None else len(self.values)))
        if names is None:
            raise BenchError(untold(self.title, self.tree))
        problems = [f"{what} given twice" for what in _repeated(names, self.values, self.drawn)]
        if not 2 <= len(names) <= MAX_CLASSES:
            problems.append(f"2 to {MAX_CLASSES} classes are needed, {len(names)} given")
        if self.threshold is not None:
            problems += self._beside_threshold(len(names))
        elif self.drawn is not None and self.values is not None:
            problems.append("values are of masks with numbers, colours of masks that are drawings: give one of them")
        elif self.values is not None and len(self.values) != len(names):
            problems.append(f"{len(names)} classes but {len(self.values)} values: one value for each class is needed")
        if problems:
            raise BenchError(*(f"{self.title}: {problem}. Correct the dataset's options." for problem in problems))
        return names

    def _beside_threshold(self, n_names: int) -> list[str]:
        """Return what has no place beside a threshold, which gives every pixel one of two classes."""
        given = {"values": self.values, "colours": self.drawn, "ignore_colours": self.ignore_colours or None}
        given["ignore"] = None if tuple(self.ignore) in ((), (IGNORED,)) else self.ignore
        problems = [
            f"{name} has no meaning beside threshold: give one of them" for name in given if given[name] is not None
        ]
        if n_names != 2:
            problems.append(f"a threshold divides two classes, {n_names} given")
        return problems

    @property
    def class_values(self) -> tuple[int, ...]:
        """The number that stands for each class in the masks."""
        return tuple(range(len(self.names))) if self.values is None else tuple(self.values)

    @cached_property
    def labels(self) -> Labels:
        """How masks are read."""
        if self.threshold is not None:
            return ThresholdLabels(self.threshold)
        if self.drawn is not None:
            colours: dict[Colour, int] = {_rgb(colour): IGNORED for colour in self.ignore_colours}
            return ColourLabels(colours | {self.drawn[name]: i for i, name in enumerate(self.names)}, IGNORED)
        values = dict.fromkeys(self.ignore, IGNORED)
        return IndexLabels(values | {value: i for i, value in enumerate(self.class_values)}, IGNORED)

    @property
    def palette(self) -> tuple[Colour, ...]:
        """Colours to draw classes in: those of the masks where they have distinct ones."""
        if self.drawn is not None:
            return tuple(self.drawn.values())
        try:
            table = {} if self.threshold is not None else palette_of(self.tree.pairs(self.tree.splits[0])[0].label)
        except (BenchError, IndexError):  # drawing in other colours is no reason to stop
            table = {}
        colours = tuple(table[value] for value in self.class_values if value in table)
        distinct = len(set(colours)) == len(self.names)
        return colours if distinct else voc_colormap(len(self.names))

    @property
    def told(self) -> Told:
        """What masks are compared with."""
        drawn = None if self.drawn is None else frozenset((*self.drawn.values(), *map(_rgb, self.ignore_colours)))
        given = self.values is not None or drawn is not None
        return Told(self.title, self.names, self.class_values, given, tuple(self.ignore), drawn, self.threshold)


def _rgb(colour: Sequence[int]) -> Colour:
    red, green, blue = colour
    return red, green, blue


def _repeated(
    names: Sequence[str], values: Sequence[int] | None, colours: Mapping[str, Colour] | None
) -> dict[str, None]:
    groups = (("class", names), ("value", values or ()), ("colour", tuple((colours or {}).values())))
    return {
        f"{what} {item!r}": None for what, items in groups for index, item in enumerate(items) if item in items[:index]
    }
