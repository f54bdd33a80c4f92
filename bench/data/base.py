"""What a dataset is: its classes, known without the files, and its splits of image and label pairs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch.utils.data import Dataset
from torchvision import tv_tensors

from bench.base.errors import BenchError
from bench.base.registry import datasets
from bench.data.facts import Archive, DatasetInfo, Locations

__all__ = ["Archive", "DatasetInfo", "Locations", "Samples", "SegmentationData", "datasets"]


class Samples(Dataset[tuple[tv_tensors.Image, tv_tensors.Mask]], ABC):
    """One split: image and label pairs by position.

    ``samples[i]`` is ``(image, mask)``: a uint8 ``tv_tensors.Image`` of 3 x H x W and a uint8 ``tv_tensors.Mask`` of
    H x W that holds class indices and the ignore index.

    Attributes:
        names: a short name for each sample, as shown to users (usually the file stem).
    """

    names: Sequence[str]

    @property
    def is_decoded(self) -> bool:
        """Whether reading needs no decoding, so that worker processes of its own would cost more than they save."""
        return False

    def stamp(self) -> str | None:
        """Return what tells the files behind the samples from changed ones, without reading them; None without files.

        Raises:
            BenchError: files are missing; all are named.
        """
        return None

    def __len__(self) -> int:
        return len(self.names)

    @abstractmethod
    def __getitem__(self, index: int) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
        """Return the pair at ``index``.

        Raises:
            BenchError: an unreadable file, sizes that differ, a label outside 0..K-1; the file is named.
        """


class SegmentationData(ABC):
    """A dataset. Subclasses register with ``@datasets.register(name)``.

    The constructor takes ``locations`` and keyword-only options, whose names, types, bounds and defaults are read from
    the signature like a method's hyperparameters. It must not need the files: those are looked for by :meth:`require`.
    Everything below concerns the named splits alone: what others lack does no harm.

    Attributes:
        info: facts; a class attribute where they hold for every choice of options, as they do for a public dataset.
        paths: names of the options that only say where files lie; they are no part of a cell's key.
        archives: what :mod:`bench.data.get.obtain` downloads and unpacks into a data root.
        manual: what a user does by hand, where nothing or not all can be downloaded.
    """

    info: DatasetInfo
    paths: ClassVar[frozenset[str]] = frozenset()
    archives: ClassVar[tuple[Archive, ...]] = ()
    manual: ClassVar[str] = ""

    def __init__(self, locations: Locations) -> None:
        self.locations = locations

    @abstractmethod
    def require(self, names: Sequence[str]) -> None:
        """Find or make the files of the named splits.

        Raises:
            BenchError: something is missing; what, where it was looked for, and how to get it.
        """

    def key_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what of the options takes part in a cell's key, as JSON values.

        Args:
            given: all options, defaults filled in.
        """
        return {name: value for name, value in given.items() if name not in self.paths}

    def missing(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return what keeps the named splits from being used, without making or fetching anything."""
        try:
            self.require(names)
        except BenchError as error:
            return error.problems
        return ()

    @abstractmethod
    def split(self, name: str) -> Samples:
        """Return one split; ``name`` is one of ``info.splits``."""

    @abstractmethod
    def fingerprint(self, names: Sequence[str]) -> str:
        """Digest of the named splits' content, the same wherever the files lie; results of other content are stale."""

    @abstractmethod
    def check(self, splits: Mapping[str, Samples]) -> None:
        """Verify splits before anything trains; all faults at once.

        Args:
            splits: samples by split name, as :meth:`split` gives them or kept decoded; to read them all fills a cache.

        Raises:
            BenchError: unreadable, missing or mismatched files, labels out of range, an empty split, a shared sample.
        """
