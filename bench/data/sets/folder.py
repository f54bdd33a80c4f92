"""The user's own images and masks, in two folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, Len, Lt

from bench.base.errors import BenchError, capped
from bench.base.files import digest
from bench.data.base import Samples, datasets
from bench.data.facts import DatasetInfo, Locations
from bench.data.look.masktally import IGNORED, MAX_CLASSES, MaskTally, option_lines, palette_of, tally
from bench.data.read.checking import content_fingerprint
from bench.data.read.classfiles import read_colour_table, read_names
from bench.data.read.depth import ImageRange, range_key, span_of_option
from bench.data.read.filedata import FileData
from bench.data.read.files import FilePair, FileSamples
from bench.data.read.foldertree import FolderTree
from bench.data.read.labels import Colour, ColourLabels, IndexLabels, Labels, spans
from bench.data.read.palette import voc_colormap
from bench.data.read.reading import MAX_RAW

Byte = Annotated[int, Ge(0), Le(255)]
RawValue = Annotated[int, Ge(0), Lt(MAX_RAW)]
RGB = tuple[Byte, Byte, Byte]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Those of torchvision's ImageNet weights."""
PROBED_MASKS = 20
SUGGESTED_FROM = 100


class _OfInstance(cached_property[DatasetInfo]):
    """Facts that depend on the options: of the class itself none can be had."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            raise AttributeError("the facts depend on the options: ask an instance")
        return super().__get__(instance, owner)


@datasets.register("folder")
class FolderData(FileData):
    """Your own images and masks, in two folders.

    A mask has its image's path and name below the masks' folder, with ``mask_suffix`` after the name; it holds one
    number a pixel or, with ``colours``, one colour. The splits are those of ``lists``; else the subfolders train and
    val or test of the images; else a share of all images becomes val.

    Args:
        locations: a relative path among the options is looked up in the current folder, then in the matrix's.
        images: folder of the images.
        masks: folder of the masks.
        mask_suffix: what a mask's name has after its image's, such as ``_mask``.
        classes: names in order, or a text file with a name a line; ``class 0``, ... where only ``values`` are given.
        values: the number that stands for each class in the masks; 0, 1, ... where not given.
        ignore: numbers that are neither trained on nor scored; one that stands for a class is none of them.
        colours: the colour of each class, or a CSV file of name, r, g, b; for masks that are drawings.
        ignore_colours: colours that are neither trained on nor scored.
        lists: folder with train.txt and val.txt or test.txt, an image a line.
        val_share: share of the images that become val where no list and no subfolder tells.
        split_seed: of that division.
        image_range: the values read as black and as white, in images of more than 8 bits; 0 and 65535 if left out.
        title: the name shown in tables.
    """

    paths = frozenset({"images", "masks", "lists"})

    def __init__(
        self,
        locations: Locations,
        *,
        images: Annotated[str, Len(1)],
        masks: Annotated[str, Len(1)],
        mask_suffix: str = "",
        classes: tuple[str, ...] | str | None = None,
        values: tuple[RawValue, ...] | None = None,
        ignore: tuple[RawValue, ...] = (IGNORED,),
        colours: dict[str, RGB] | str | None = None,
        ignore_colours: tuple[RGB, ...] = (),
        lists: Annotated[str, Len(1)] | None = None,
        val_share: Annotated[float, Gt(0), Lt(1)] = 0.2,
        split_seed: Annotated[int, Ge(0)] = 0,
        image_range: ImageRange = None,
        title: Annotated[str, Len(1)] = "folder",
    ) -> None:
        super().__init__(locations)
        self.classes, self.values, self.ignore = classes, values, ignore
        self.colours, self.ignore_colours, self.title = colours, ignore_colours, title
        self.span = span_of_option(image_range, title)
        self.tree = FolderTree(
            images=locations.find(images),
            masks=locations.find(masks),
            mask_suffix=mask_suffix,
            lists=None if lists is None else locations.find(lists),
            val_share=val_share,
            split_seed=split_seed,
        )

    @cached_property
    def _drawn(self) -> dict[str, Colour] | None:
        """The table of colours in the order of the classes, from the file where it is one."""
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
        if self._drawn is not None:
            names = tuple(self._drawn)
        elif names is None and self.values is not None:
            names = tuple(f"class {index}" for index in range(len(self.values)))
        if names is None:
            raise BenchError(_untold(self.title, self.tree))
        problems = [f"{what} given twice" for what in _repeated(names, self.values, self._drawn)]
        if not 2 <= len(names) <= MAX_CLASSES:
            problems.append(f"2 to {MAX_CLASSES} classes are needed, {len(names)} given")
        if self._drawn is not None and self.values is not None:
            problems.append("values are of masks with numbers, colours of masks that are drawings: give one of them")
        elif self.values is not None and len(self.values) != len(names):
            problems.append(f"{len(names)} classes but {len(self.values)} values: one value for each class is needed")
        if problems:
            raise BenchError(*(f"{self.title}: {problem}. Correct the dataset's options." for problem in problems))
        return names

    @_OfInstance
    def info(self) -> DatasetInfo:
        """Facts that follow from the options and the folders' names.

        Raises:
            BenchError: no option tells the classes, or the options contradict each other.
        """
        splits = self.tree.splits
        return DatasetInfo(
            class_names=self.names,
            palette=self._palette(),
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            ignore_index=IGNORED,
            source=f"{self.title}: images and masks in folders",
            splits=splits,
            eval_split="val" if "val" in splits else "test",
        )

    def _palette(self) -> tuple[Colour, ...]:
        if self._drawn is not None:
            return tuple(self._drawn.values())
        try:
            table = palette_of(self.tree.pairs(self.tree.splits[0])[0].label)
        except (BenchError, IndexError):  # drawing in other colours is no reason to stop
            table = {}
        colours = tuple(table[value] for value in self.class_values if value in table)
        distinct = len(set(colours)) == len(self.names)
        return colours if distinct else voc_colormap(len(self.names))

    @property
    def class_values(self) -> tuple[int, ...]:
        """The number that stands for each class in the masks."""
        return tuple(range(len(self.names))) if self.values is None else tuple(self.values)

    @cached_property
    def labels(self) -> Labels:
        """How masks are read."""
        if self._drawn is not None:
            colours: dict[Colour, int] = {_rgb(colour): IGNORED for colour in self.ignore_colours}
            return ColourLabels(colours | {self._drawn[name]: i for i, name in enumerate(self.names)}, IGNORED)
        values = dict.fromkeys(self.ignore, IGNORED)
        return IndexLabels(values | {value: i for i, value in enumerate(self.class_values)}, IGNORED)

    def key_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the options come to without where files lie: a table or list of a file counts by its content."""
        drawn = None if self._drawn is None else [[name, list(colour)] for name, colour in self._drawn.items()]
        return {
            "classes": list(self.names),
            "labels": self.labels.identity(),
            "colours": drawn,
            "mask_suffix": self.tree.mask_suffix,
            "val_share": None if self.tree.divided else self.tree.val_share,
            "split_seed": None if self.tree.divided else self.tree.split_seed,
            "title": self.title,
            **range_key(self.span),
        }

    def _pairs(self, names: Sequence[str]) -> dict[str, list[FilePair]]:
        problems: list[str] = []
        found: dict[str, list[FilePair]] = {}
        for name in names:
            try:
                found[name] = self.tree.pairs(name)
            except BenchError as error:
                problems += error.problems
                continue
            if not found[name]:
                problems.append(f"{self.title}: the {name} split is empty. Add images to it, or train on other splits.")
        shared = [] if self.shared_allowed else self.tree.shared(found)
        if problems := [*dict.fromkeys(problems), *shared]:
            raise BenchError(*capped(problems))
        return found

    def require(self, names: Sequence[str]) -> None:
        """Find image and mask of every sample of the named splits.

        Raises:
            BenchError: folders, lists or masks are missing, a split is empty, a sample stands in two splits.
        """
        self._pairs(names)

    def split(self, name: str) -> FileSamples:
        """Return one split.

        Raises:
            BenchError: there is no such split, or its files do not fit together.
        """
        return FileSamples(self.tree.pairs(name), self.labels, self.span)

    def fingerprint(self, names: Sequence[str]) -> str:
        """Return the digest of the named splits, names and bytes of images and masks, and of how masks are read."""
        content = content_fingerprint({name: self.split(name) for name in names}, self.locations.cache)
        return digest([content, list(self.names), self.labels.identity()])

    def check(self, splits: Mapping[str, Samples]) -> tuple[str, ...]:
        """Look whether the masks fit the options, then read every sample; return what is worth knowing.

        Raises:
            BenchError: the masks do not fit the options, with the lines to write; else all faults together.
        """
        masks = [pair.label for pairs in self._pairs(tuple(splits)).values() for pair in pairs]
        if self._drawn is None:
            require_fitting_values(self, masks)
        return super().check(splits)


def _rgb(colour: Sequence[int]) -> Colour:
    red, green, blue = colour
    return red, green, blue


def _indented(lines: Sequence[str]) -> str:
    return "\n".join(f"    {line}" for line in lines)


def _drawn_hint(drawn: MaskTally, names: Sequence[str]) -> str:
    if len(drawn.colours) > MAX_CLASSES:
        return (
            f"They hold {len(drawn.colours)} colours or more, so they were stored with loss or drawn with smooth "
            "edges: export them again without."
        )
    lines = _indented(option_lines(drawn, names))
    return f"Add under dataset, each name beside its own colour (colours of {drawn.sampled}):\n{lines}"


def _repeated(
    names: Sequence[str], values: Sequence[int] | None, colours: Mapping[str, Colour] | None
) -> dict[str, None]:
    groups = (("class", names), ("value", values or ()), ("colour", tuple((colours or {}).values())))
    return {
        f"{what} {item!r}": None for what, items in groups for index, item in enumerate(items) if item in items[:index]
    }


def _untold(title: str, tree: FolderTree) -> str:
    """Return what to write where nothing tells the classes."""
    told = f"{title}: nothing tells the classes."
    helped = "`python -m bench init mine.yaml --images DIR --masks DIR` writes a matrix for your folders."
    try:
        pairs = [pair for name in tree.splits for pair in tree.pairs(name)]
        found = tally([pair.label for pair in pairs], SUGGESTED_FROM)
    except BenchError:
        return f"{told} Add their names under dataset:\n    classes: [background, ...]\n  {helped}"
    told = f"{told} Add under dataset, with names of your own (values of {found.sampled}):"
    return f"{told}\n{_indented(option_lines(found))}\n  or: {helped}"


def require_fitting_values(data: FolderData, masks: Sequence[Path]) -> None:
    """Refuse masks that hold other numbers than the options say.

    Args:
        data: the dataset, whose masks are no drawings in colours.
        masks: its files.

    Raises:
        BenchError: with the lines to write.
    """
    found = tally(masks, PROBED_MASKS)
    if found.kinds["colour"]:
        drawn = tally(masks, SUGGESTED_FROM)
        raise BenchError(
            f"{data.title}: {found.kinds['colour']} of {found.n_read} masks are drawings in colours, and no option "
            f"tells what they mean. {_drawn_hint(drawn, data.names)}"
        )
    scored = set(found.values) - set(data.ignore) | set(data.class_values) & set(found.values)
    outside = sorted(scored - set(data.class_values))
    if outside:
        raise BenchError(_outside(data, found, sorted(scored), outside))
    binary = data.values is None and len(data.names) == 2 and IGNORED in found.values and 1 not in found.values
    if binary and 1 not in tally(masks, len(masks)).values:
        raise BenchError(
            f"{data.title}: the masks hold 0 and 255 but never 1, so '{data.names[1]}' occurs nowhere. Add under "
            "dataset:\n    values: [0, 255]"
        )


def _outside(data: FolderData, found: MaskTally, scored: list[int], outside: list[int]) -> str:
    n, file = len(data.names), found.where[outside[0]]
    told = f"{data.title}: the masks hold {spans(scored)}, the {n} classes are {spans(data.class_values)}"
    told += f"; {outside[0]} is in {file}."
    one_based = list(range(1, n + 1))
    if data.values is None and outside == [n] and 0 not in scored:
        return f"{told} The labels look 1-based. Add under dataset:\n    values: {one_based}"
    if data.values is None and outside == [n]:
        return (
            f"{told} A class has no name in classes; or 0 marks unlabelled pixels, then add under dataset:\n"
            f"    values: {one_based}\n    ignore: [0, {IGNORED}]"
        )
    if data.values is None and len(scored) == n:
        return f"{told} Add under dataset:\n    values: {scored}"
    return f"{told} Add the class to classes and values, or the value of unlabelled pixels to ignore: {outside}"
