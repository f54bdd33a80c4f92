"""Public datasets: image and label files in a layout of their own under a data root."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from bench.base.errors import BenchError, capped, unknown
from bench.base.textfile import read_utf8
from bench.data.facts import Locations
from bench.data.read.checking import content_fingerprint
from bench.data.read.filedata import FileData
from bench.data.read.files import FilePair, FileSamples
from bench.data.read.labels import IndexLabels, Labels


class StandardData(FileData):
    """Base class of the datasets with a published layout.

    Args:
        locations: data roots to look in: ``<root>/<place>`` for every one of :attr:`places`.
        folder: look for ``<root>/<folder>`` alone, for example a copy at another size.

    Attributes:
        name: the registered name.
        places: folders under a data root where the dataset usually lies; ``.`` is the root itself.
        layout: what is expected in the folder, in one sentence.
        help: how to get it, in one sentence.
        label_values: class index, or the ignore index, for every raw label value.
        published_counts: how many samples the publishers state for each split.
    """

    name: ClassVar[str]
    places: ClassVar[tuple[str, ...]]
    layout: ClassVar[str]
    help: ClassVar[str]
    label_values: ClassVar[Mapping[int, int]]
    published_counts: ClassVar[Mapping[str, int]]

    def __init__(self, locations: Locations, *, folder: str | None = None) -> None:
        super().__init__(locations)
        self.folder = folder

    @abstractmethod
    def is_here(self, place: Path) -> bool:
        """Tell whether a folder is the dataset's own, by files that no other layout has."""

    @abstractmethod
    def pairs(self, name: str) -> list[FilePair]:
        """Return the files of a split under :attr:`root`; they need not exist.

        Raises:
            BenchError: a list of the split is missing or cannot be understood.
        """

    @cached_property
    def root(self) -> Path:
        """The dataset's folder.

        Raises:
            BenchError: it is in none of the places.
        """
        folders = self.places if self.folder is None else (self.folder,)
        places = [root / folder for root in self.locations.data_roots for folder in folders]
        for place in places:
            if self.is_here(place):
                return place
        looked = ", ".join(str(place) for place in places) or "nowhere, as no data root was named"
        raise BenchError(f"{self.name} is not there. Looked in: {looked}. {self.layout} {self.help}")

    def located(self) -> tuple[Path, ...]:
        """Return the dataset's folder."""
        try:
            return (self.root,)
        except BenchError:
            return ()

    def labels(self, name: str) -> Labels:
        """Return how the label files of a split are read."""
        return IndexLabels(self.label_values, self.info.ignore_index)

    def split(self, name: str) -> FileSamples:
        """Return one split.

        Raises:
            BenchError: there is no such split, or its list cannot be read.
        """
        if name not in self.info.splits:
            raise BenchError(unknown(f"split of {self.name}", name, self.info.splits))
        return FileSamples(self.pairs(name), self.labels(name))

    def require(self, names: Sequence[str]) -> None:
        """Find the folder and every file of the named splits.

        Raises:
            BenchError: the folder, a list or a file is missing, or a line of a list cannot be understood.
        """
        problems: list[str] = []
        for name in names:
            try:
                pairs = self.pairs(name)
            except BenchError as error:
                problems += error.problems
                continue
            problems += [
                f"{path}: no such file" for pair in pairs for path in (pair.image, pair.label) if not path.is_file()
            ]
        if problems:
            raise BenchError(*capped(list(dict.fromkeys(problems))))

    def fingerprint(self, names: Sequence[str]) -> str:
        """Return the digest of the named splits: names and bytes of images and labels."""
        return content_fingerprint({name: self.split(name) for name in names}, self.locations.cache)


def read_lines(listing: Path, layout: str) -> list[str]:
    """Return the lines of a split's list.

    Raises:
        BenchError: it is missing, cannot be read, or is no UTF-8.
    """
    try:
        return read_utf8(listing).splitlines()
    except FileNotFoundError:
        raise BenchError(f"{listing}: no such file. {layout}") from None
    except OSError as error:
        raise BenchError(f"{listing}: cannot be read ({error})") from error


def with_suffix_that_exists(path: Path, suffixes: Sequence[str] = (".png", ".jpg", ".jpeg")) -> Path:
    """Return the path with its own suffix or the first of the others whose file exists; the path itself if none."""
    candidates = (path, *(path.with_suffix(suffix) for suffix in suffixes))
    return next((candidate for candidate in candidates if candidate.is_file()), path)
