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
from bench.data.look.classoptions import ClassOptions
from bench.data.look.fitting import require_fit
from bench.data.look.headers import turn_remarks
from bench.data.look.masktally import IGNORED, spread
from bench.data.read.checking import content_fingerprint
from bench.data.read.depth import ImageRange, range_key, span_of_option
from bench.data.read.filedata import FileData
from bench.data.read.files import FilePair, FileSamples
from bench.data.read.foldertree import FolderTree
from bench.data.read.labels import Labels
from bench.data.read.reading import MAX_RAW

Byte = Annotated[int, Ge(0), Le(255)]
RawValue = Annotated[int, Ge(0), Lt(MAX_RAW)]
RGB = tuple[Byte, Byte, Byte]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Those of torchvision's ImageNet weights."""
MOST_HEADERS = 500
"""Files of a split whose headers are looked at before a run."""


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
        threshold: the grey level from which on a pixel is the second of two classes, for masks with smooth edges; such
            masks may be JPEG.
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
        threshold: Annotated[float, Gt(0), Lt(MAX_RAW)] | None = None,
        lists: Annotated[str, Len(1)] | None = None,
        val_share: Annotated[float, Gt(0), Lt(1)] = 0.2,
        split_seed: Annotated[int, Ge(0)] = 0,
        image_range: ImageRange = None,
        title: Annotated[str, Len(1)] = "folder",
    ) -> None:
        super().__init__(locations)
        self.title = title
        self.span = span_of_option(image_range, title)
        self.tree = FolderTree(
            images=locations.find(images),
            masks=locations.find(masks),
            mask_suffix=mask_suffix,
            lists=None if lists is None else locations.find(lists),
            val_share=val_share,
            split_seed=split_seed,
            lossy_masks=threshold is not None,
        )
        level = None if threshold is None else float(threshold)
        self.options = ClassOptions(
            title, self.tree, locations, classes, values, ignore, colours, ignore_colours, level
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The classes' names, in order.

        Raises:
            BenchError: no option tells the classes, or the options contradict each other.
        """
        return self.options.names

    @_OfInstance
    def info(self) -> DatasetInfo:
        """Facts that follow from the options and the folders' names.

        Raises:
            BenchError: no option tells the classes, or the options contradict each other.
        """
        splits = self.tree.splits
        return DatasetInfo(
            class_names=self.names,
            palette=self.options.palette,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            ignore_index=IGNORED,
            source=f"{self.title}: images and masks in folders",
            splits=splits,
            eval_split="val" if "val" in splits else "test",
        )

    @cached_property
    def labels(self) -> Labels:
        """How masks are read."""
        return self.options.labels

    def key_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the options come to without where files lie: a table or list of a file counts by its content."""
        table, threshold = self.options.drawn, self.options.threshold
        drawn = None if table is None else [[name, list(colour)] for name, colour in table.items()]
        return {
            "classes": list(self.names),
            "labels": self.labels.identity(),
            "colours": drawn,
            "mask_suffix": self.tree.mask_suffix,
            "val_share": None if self.tree.divided else self.tree.val_share,
            "split_seed": None if self.tree.divided else self.tree.split_seed,
            "title": self.title,
            **({} if threshold is None else {"threshold": threshold}),
            **range_key(self.span),
        }

    def located(self) -> tuple[Path, ...]:
        """Return the folders of images, masks and lists."""
        return tuple(place for place in (self.tree.images, self.tree.masks, self.tree.lists) if place is not None)

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

    def faults(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return how masks of the named splits do not fit the options, with the lines to write.

        Raises:
            BenchError: files are missing, or a split is empty.
        """
        masks = [pair.label for pairs in self._pairs(names).values() for pair in pairs]
        try:
            require_fit(self.options.told, masks)
        except BenchError as error:
            return error.problems
        return ()

    def remarks(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return what is worth a second look: masks that an EXIF tag turns otherwise than their images.

        Raises:
            BenchError: files are missing, or a split is empty.
        """
        found = self._pairs(names).items()
        return tuple(f"{name}: {told}" for name, pairs in found for told in turn_remarks(spread(pairs, MOST_HEADERS)))

    def check(self, splits: Mapping[str, Samples]) -> tuple[str, ...]:
        """Look whether the masks fit the options, then read every sample; return what is worth knowing.

        Raises:
            BenchError: the masks do not fit the options, with the lines to write; else all faults together.
        """
        if faults := self.faults(tuple(splits)):
            raise BenchError(*faults)
        return super().check(splits)
