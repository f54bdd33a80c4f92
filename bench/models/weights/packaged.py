"""Weights that a package of the package index carries: its file is found and read, none of its code is run."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from bench.base.errors import BenchError
from bench.base.progress import Report
from bench.base.text import install_hint
from bench.models.weights.pretrained import Pretrained, PublishedFile, unchanged

Convert = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


@dataclass(frozen=True)
class Package:
    """A package that is installed for the file of weights in it.

    Attributes:
        name: as the package index has it; with underscores it is the folder that is installed.
        file: path of the weights in that folder.
    """

    name: str
    file: str

    @property
    def address(self) -> str:
        """What stands where other weights have their URL; nothing is fetched from it."""
        return f"package:{self.name}"

    @property
    def remedy(self) -> str:
        """How the weights are had, as part of a sentence."""
        return f"install the package {self.name}, which carries the weights: {install_hint('pretrained')}"

    def path(self) -> Path | None:
        """Return where the file is, None where the package is not installed or lacks it."""
        found = importlib.util.find_spec(self.name.replace("-", "_"))  # of a top-level name it imports nothing
        folders = (found and found.submodule_search_locations) or ()
        return next((path for folder in folders if (path := Path(folder) / self.file).is_file()), None)


@dataclass(frozen=True, init=False)
class Packaged(Pretrained):
    """Weights of a package, for a part of a model that may start from a file on the network instead.

    Where that file is here already, it is taken, whether or not the package is installed.

    Attributes:
        package: carries the weights.
    """

    package: Package

    def __init__(
        self, part: str, package: Package, convert: Convert = unchanged, instead: PublishedFile | None = None
    ) -> None:
        url, file = (instead.url, instead.file) if instead else (package.address, Path(package.file).name)
        super().__init__(part, url, file, convert)
        object.__setattr__(self, "package", package)

    @property
    def can_be_fetched(self) -> bool:
        """Whether a run downloads the file: what is installed is the user's to decide."""
        return self.url != self.package.address

    @property
    def path(self) -> Path:
        """Where the file is, or where it may be put by hand."""
        known = super().path
        return known if known.is_file() else self.package.path() or known

    def missing(self) -> str:
        """Return what to do where the weights are not here; empty where they are."""
        if self.path.is_file():
            return ""
        if self.can_be_fetched:
            return f"{PublishedFile.missing(self)}, or {self.package.remedy}, or set pretrained: false"
        return f"{self.file} is not here: {self.package.remedy}, or set pretrained: false"

    def fetch(self, report: Report | None = None) -> None:
        """Download the file where the weights are not here.

        Args:
            report: told the bytes.

        Raises:
            BenchError: it cannot be had, or a package is to be installed instead.
        """
        if not self.can_be_fetched and (sentence := self.missing()):
            raise BenchError(sentence)
        super().fetch(report)
