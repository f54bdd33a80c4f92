"""What a dataset is: its facts, known without the files, and its splits of images with their targets. No torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from bench.base.errors import BenchError
from bench.base.registry import datasets
from bench.data.facts import Archive, DatasetInfo, Locations, Verdict

if TYPE_CHECKING:
    from torchvision import tv_tensors

    from bench.data.read.files import FileSamples

__all__ = ["Archive", "Data", "DatasetInfo", "Locations", "Samples", "SegmentationData", "TargetSamples", "datasets"]

Target = TypeVar("Target")


class TargetSamples(ABC, Generic[Target]):
    """One split: images with their targets, by position.

    ``samples[i]`` is ``(image, target)``: a uint8 ``tv_tensors.Image`` of 3 x H x W, and what the task learns from it,
    made of ``tv_tensors``, so that augmentation moves it with the image.

    Attributes:
        names: a short name for each sample, as shown to users (usually the file stem).
    """

    names: Sequence[str]

    @property
    def is_decoded(self) -> bool:
        """Whether reading needs no decoding, so that worker processes of its own would cost more than they save."""
        return False

    @property
    def files(self) -> FileSamples | None:
        """The image and label files behind the samples; None where they are not of files."""
        return None

    def stamp(self) -> str | None:
        """Return what tells the files behind the samples from changed ones, without reading them; None without files.

        Raises:
            BenchError: files are missing; all are named.
        """
        return None

    def __len__(self) -> int:
        return len(self.names)

    @abstractmethod
    def __getitem__(self, index: int) -> tuple[tv_tensors.Image, Target]:
        """Return the pair at ``index``.

        Raises:
            BenchError: an unreadable file, sizes that differ, a target that cannot be; the file is named.
        """


class Samples(TargetSamples["tv_tensors.Mask"]):
    """One split of a segmentation dataset: image and label pairs by position.

    ``samples[i]`` is ``(image, mask)``: a uint8 ``tv_tensors.Image`` of 3 x H x W and a uint8 ``tv_tensors.Mask`` of
    H x W that holds class indices and the ignore index.
    """


class Data(ABC):
    """A dataset of some task. Subclasses register with ``@datasets.register(name)``.

    The constructor takes ``locations`` and keyword-only options, whose names, types, bounds and defaults are read from
    the signature like a method's hyperparameters. It must not need the files: those are looked for by :meth:`require`.
    Everything below concerns the named splits alone: what others lack does no harm.

    Attributes:
        task: name of the task.
        info: facts; a class attribute where they hold for every choice of options, as they do for a public dataset.
        paths: names of the options that only say where files lie; they are no part of a cell's key.
        shared_allowed: whether the matrix allows one image in two splits; set by who builds the dataset of a matrix.
        archives: what :mod:`bench.data.get.obtain` downloads and unpacks into a data root.
        manual: what a user does by hand, where nothing or not all can be downloaded.
    """

    task: ClassVar[str]
    info: DatasetInfo
    paths: ClassVar[frozenset[str]] = frozenset()
    shared_allowed: bool = False
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

    def located(self) -> tuple[Path, ...]:
        """Return the files and folders that an option or a data root gives; empty where none does, or none is there.

        Two datasets that differ in their files and in these are not one whose files were corrected.
        """
        return ()

    def missing(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return what keeps the named splits from being used, without making or fetching anything."""
        try:
            self.require(names)
        except BenchError as error:
            return error.problems
        return ()

    @abstractmethod
    def split(self, name: str) -> TargetSamples[Any]:
        """Return one split; ``name`` is one of ``info.splits``."""

    @abstractmethod
    def fingerprint(self, names: Sequence[str]) -> str:
        """Digest of the named splits' content, the same wherever the files lie; results of other content are stale."""

    def faults(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return what is wrong with the files of the named splits taken together, as :meth:`check` refuses it.

        What is wrong with a single sample is told by reading it.

        Raises:
            BenchError: files are missing.
        """
        return ()

    def remarks(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return what is worth a second look before the named splits are trained on; seen from names and headers alone.

        Raises:
            BenchError: files are missing.
        """
        return ()

    @abstractmethod
    def check(self, splits: Mapping[str, Any]) -> Sequence[str] | None:
        """Verify splits before anything trains; all faults at once.

        Args:
            splits: samples by split name, the one that is trained on first, as :meth:`split` gives them or kept
                decoded; to read them all fills a cache.

        Returns:
            What is worth knowing though nothing is wrong, a sentence each; None is as good as nothing.

        Raises:
            BenchError: unreadable, missing or mismatched files, targets out of range, an empty split, a shared sample.
        """

    def outlook(self, names: Sequence[str]) -> Verdict:
        """Return what :meth:`check` will tell of the named splits, as far as it is known without reading all of them.

        Args:
            names: the split that is trained on, then the one that is scored.
        """
        return Verdict()


class SegmentationData(Data):
    """A dataset of images with a class for every pixel."""

    task = "segmentation"

    @abstractmethod
    def split(self, name: str) -> Samples:
        """Return one split; ``name`` is one of ``info.splits``."""
