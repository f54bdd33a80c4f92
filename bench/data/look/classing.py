"""Which classes masks show: by number, by colour or by a threshold, with the names that a file gives them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.base.errors import BenchError
from bench.data.look.beside import class_files
from bench.data.look.masktally import IGNORED, MAX_CLASSES, MaskTally, likely_classes, numbered
from bench.data.look.palettes import palette_clash
from bench.data.look.softedges import SoftEdges, soft_edges
from bench.data.read.classfiles import read_colour_table, read_names
from bench.data.read.labels import Colour, spans
from bench.data.read.reading import MAX_RAW


@dataclass(frozen=True)
class ScoredClass:
    """A class as it stands in the masks.

    Attributes:
        name: given, or made up.
        key: its number, its colour, or in words the levels that it has.
        share: of the pixels that were read, 0..1.
    """

    name: str
    key: int | Colour | str
    share: float


@dataclass(frozen=True)
class Asked:
    """How classes are to be told, as the user asks for it.

    Attributes:
        classes: file of names.
        colours: table of colours.
        by_colour: tell classes by colour, where masks have palettes too.
        threshold: the level that divides two classes.
    """

    classes: Path | None = None
    colours: Path | None = None
    by_colour: bool = False
    threshold: float | None = None

    @property
    def drawn(self) -> bool:
        """Whether colours are looked at rather than numbers."""
        return self.by_colour or self.colours is not None

    def problems(self) -> list[str]:
        """Return what contradicts itself."""
        if self.threshold is not None and self.drawn:
            return ["--threshold divides grey levels, --colours and --by-colour are of coloured masks. Give one."]
        return []


@dataclass(frozen=True)
class Classing:
    """The classes that masks show.

    Attributes:
        classes: in the order of their numbers or of the table.
        named_by: the file that the names come from; None where they are made up.
        notes: why files with names are not used.
        looked_at: all files of names, used or told of in the notes.
    """

    classes: tuple[ScoredClass, ...]
    named_by: Path | None = None
    notes: tuple[str, ...] = ()
    looked_at: tuple[Path, ...] = ()


def classing(found: MaskTally, folder: Path, masks: Sequence[Path], asked: Asked) -> Classing:
    """Return the classes and where their names come from.

    Args:
        found: what the masks hold.
        folder: of the masks.
        masks: all of them.
        asked: by the user.

    Raises:
        BenchError: the masks are of several kinds, hold too many values, have smooth edges, have palettes that differ,
            or differ from the given files.
    """
    if asked.threshold is not None:
        return _divided(found, folder, asked.threshold, asked.classes)
    if len(found.kinds) > 1 and found.kinds["colour"] and asked.colours is None:
        kinds = ", ".join(f"{count} {kind}" for kind, count in found.kinds.items())
        raise BenchError(f"the masks are of several kinds: {kinds}. Convert them to one, or give --colours FILE.")
    if asked.colours is not None:
        return _coloured(found, folder, asked.colours)
    if asked.by_colour and found.kinds["index"]:
        raise BenchError(f"{found.kinds['index']} masks hold numbers without colours. Leave --by-colour out.")
    if soft := soft_edges(masks):
        raise BenchError(_soft(found, soft))
    if found.kinds["palette"] and not asked.by_colour and (told := palette_clash(masks)):
        raise BenchError(
            f"{told}. Where the colours tell the classes, add to the command:\n    --by-colour\n  Where the numbers "
            "are right and the colours mean nothing, save the masks as grey levels."
        )
    if found.colours and (found.grey_values is None or len(found.colours) < 2):
        return _drawn(found, folder, asked.classes)
    return _numbered(found, folder, asked.classes)


def numbers_of(classes: Sequence[ScoredClass]) -> list[int] | None:
    """Return the numbers that stand for classes, grey colours by their level; None for others."""
    keys = [item.key for item in classes]
    levels = [key[0] if isinstance(key, tuple) and len(set(key)) == 1 else key for key in keys]
    numbers = [level for level in levels if isinstance(level, int)]
    return numbers if len(numbers) == len(keys) else None


def _soft(found: MaskTally, soft: SoftEdges) -> str:
    told = f"{found.sampled} have smooth edges: {soft.told}"
    if soft.threshold is None:
        return f"{told}. Export the masks again without, with the nearest value where they are resized."
    return (
        f"{told}. Where light and dark tell two classes, add to the command:\n    --threshold {soft.threshold}\n"
        "  What is darker is the first class, the rest the second. Or export the masks again without smooth edges."
    )


def _divided(found: MaskTally, folder: Path, threshold: float, given: Path | None) -> Classing:
    """Return the two sides of a threshold."""
    if len(found.values) < 2:
        side = "below" if 0 in found.values else "at or above"
        raise BenchError(f"--threshold {threshold:g}: all pixels of {found.sampled} are {side} it. Give another level.")
    named = _names([0, 1], folder, given, most=2)
    total = sum(found.values.values())
    keys = (f"below {threshold:g}", f"{threshold:g} and more")
    names = named.names or numbered([0, 1])
    rows = zip(names, keys, (0, 1), strict=True)
    return named.of(tuple(ScoredClass(name, key, found.values[side] / total) for name, key, side in rows))


def _numbered(found: MaskTally, folder: Path, given: Path | None) -> Classing:
    """Return a class a number, or a level of grey drawings."""
    drawn = found.grey_values
    counts = found.values if drawn is None else drawn
    values = likely_classes(counts)
    if values and not 0 <= values[0] <= values[-1] < MAX_RAW:
        wrong = values[0] if values[0] < 0 else values[-1]
        where = f" in {found.where[wrong]}" if wrong in found.where else ""
        raise BenchError(
            f"the masks hold {wrong}{where}: numbers of classes go from 0 to {MAX_RAW - 1}. Store another one there; "
            "255 stands for unlabelled pixels."
        )
    if len(values) == 1:
        rest = f"; {IGNORED} is taken for unlabelled" if IGNORED in counts and values != [IGNORED] else ""
        raise BenchError(
            f"{found.sampled} hold one value alone ({values[0]}){rest}. Two classes at least are needed, as there is "
            "nothing to tell apart. Look whether these are masks of classes: --masks DIR."
        )
    if not values or len(values) > MAX_CLASSES:
        raise BenchError(
            f"{found.sampled} hold {len(values)} values ({spans(values) or 'none'}); 2 to {MAX_CLASSES} are needed. "
            "Look whether these are masks of classes: --masks DIR."
        )
    named = _names(values, folder, given)
    total = sum(counts[value] for value in values) or 1
    if named.names is not None and len(named.names) > len(values):
        values = list(range(len(named.names)))
    pairs = zip(named.names or numbered(values), values, strict=True)
    return named.of(
        tuple(
            ScoredClass(name, value if drawn is None else (value, value, value), counts[value] / total)
            for name, value in pairs
        )
    )


@dataclass(frozen=True)
class _Named:
    """Names for values, if any file gives them, and the files that were looked at."""

    names: tuple[str, ...] | None = None
    source: Path | None = None
    notes: tuple[str, ...] = ()
    looked_at: tuple[Path, ...] = ()

    def of(self, classes: tuple[ScoredClass, ...]) -> Classing:
        return Classing(classes, self.source, self.notes, self.looked_at)


def _names(values: list[int], folder: Path, given: Path | None, most: int = MAX_CLASSES) -> _Named:
    """Return names for values, in order, and their file: one name a value found, or one for each number from 0."""
    beside = class_files(folder)
    if given is not None:
        names = read_names(given)
        if not _fit(names, values, most):
            raise BenchError(f"{given}: {len(names)} names do not fit the masks, which hold {spans(values)}.")
        others = [path for path in beside if path.resolve() != given.resolve()]
        return _Named(names, given, _left(others, f"the names come from {given}"), (given, *others))
    notes: list[str] = []
    for position, path in enumerate(beside):
        try:
            names = read_names(path)
        except BenchError as error:
            notes.append(f"not used: {error}")
            continue
        if _fit(names, values, most):
            left = _left(beside[position + 1 :], f"the names come from {path}")
            return _Named(names, path, (*notes, *left), tuple(beside))
        notes.append(f"{path} is not used: {len(names)} names do not fit the masks, which hold {spans(values)}")
    return _Named(None, None, tuple(notes), tuple(beside))


def _fit(names: Sequence[str], values: Sequence[int], most: int) -> bool:
    return len(names) == len(values) or max(values) < len(names) <= most


def _left(files: Sequence[Path], reason: str) -> tuple[str, ...]:
    """Return the notes on files with names that are not used."""
    return tuple(f"{path} is not used: {reason}" for path in files)


def _drawn(found: MaskTally, folder: Path, classes: Path | None) -> Classing:
    """Return a class a colour, the commonest first."""
    if not 2 <= len(found.colours) <= MAX_CLASSES:
        many = " or more: they were stored with loss or drawn with smooth edges" if len(found.colours) > 1 else ""
        raise BenchError(
            f"{found.sampled} hold {len(found.colours)} colours{many}; 2 to {MAX_CLASSES} are needed. Give the table "
            "of the classes' colours, --colours FILE (a CSV of name,r,g,b), or export the masks again."
        )
    if classes is not None:
        raise BenchError(
            f"{classes}: names alone do not tell the colours of the masks. Give --colours FILE: name,r,g,b"
        )
    total = sum(found.colours.values())
    order = [colour for colour, _ in found.colours.most_common()]
    pairs = zip(numbered(range(len(order))), order, strict=True)
    scored = tuple(ScoredClass(name, colour, found.colours[colour] / total) for name, colour in pairs)
    reason = "names alone do not tell the colours of the masks; give --colours FILE: name,r,g,b"
    beside = tuple(class_files(folder))
    return Classing(scored, None, _left(beside, reason), beside)


def _coloured(found: MaskTally, folder: Path, colours: Path) -> Classing:
    table = read_colour_table(colours)
    outside = Counter({colour: count for colour, count in found.colours.items() if colour not in table.values()})
    if outside:
        shown = ", ".join(f"{colour} ({count} pixels)" for colour, count in outside.most_common(5))
        raise BenchError(f"{colours}: {len(outside)} colours of the masks are not in the table: {shown}. Add them.")
    total = sum(found.colours.values()) or 1
    classes = (ScoredClass(name, colour, found.colours[colour] / total) for name, colour in table.items())
    others = tuple(class_files(folder))
    return Classing(tuple(classes), colours, _left(others, f"the names come from {colours}"), (colours, *others))
