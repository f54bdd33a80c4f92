"""Published weights: where a file comes from, whether it is here, how it is loaded."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor, nn

from bench.base.download import DownloadFailed, Patience, Remote, download
from bench.base.errors import BenchError
from bench.base.files import file_digest
from bench.base.progress import Report, Silent
from bench.models.weights.hub import HubFile
from bench.models.weights.reading import load_into, read_weights

_DATE = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
"""Digits in a name that are no digest, as in ``net-20240131.pth``."""
_PATIENCE = Patience(attempts=2)
"""Less than for a data set: what a run needs is fetched while somebody waits for it to begin."""


@dataclass(frozen=True)
class PublishedFile:
    """A file of weights on the network.

    Attributes:
        url: where it is published; the hub's client takes care of addresses of the Hugging Face hub.
        file: its name among torch's checkpoints; where it is not the hub's and the name holds the first digits of its
            SHA-256, as in ``name-0676ba61.pth``, they are checked.
        sha256: what its content is to have, where somebody tells it; checked after a download.
    """

    url: str
    file: str
    sha256: str | None = field(default=None, kw_only=True)

    @property
    def place(self) -> Path:
        """Where the file is to be put by hand: torch's cache of checkpoints (``TORCH_HOME``)."""
        return Path(torch.hub.get_dir()) / "checkpoints" / self.file

    @property
    def can_be_fetched(self) -> bool:
        """Whether a run downloads the file where it is not here."""
        return True

    @property
    def path(self) -> Path:
        """Where the file is, or where it is to be put by hand."""
        by_hand = self.place
        hub = HubFile.at(self.url)
        if hub is None or by_hand.is_file():
            return by_hand
        return hub.cached() or by_hand

    def missing(self) -> str:
        """Return what to do where the file is not here; empty where it is. The network is not asked."""
        path = self.path
        if path.is_file():
            return ""
        hub = HubFile.at(self.url)
        name = f"{hub.file} of {hub.repository}" if hub else self.file
        return f"{name} is not here: fetch {self.url} and put it at {path}"

    def fetch(self, report: Report | None = None) -> None:
        """Download the file where it is not here; it is there whole or not at all.

        Args:
            report: told the bytes, unless the hub's client fetches it; None tells nobody.

        Raises:
            BenchError: it cannot be had.
        """
        if self.path.is_file():
            return
        try:
            if hub := HubFile.at(self.url):
                hub.fetch()
                self._require_content()
            else:
                self._download(self.path, report or Silent())
        except DownloadFailed as failure:
            kept = f"; the next one goes on after {failure.kept_bytes} bytes" if failure.kept_bytes else ""
            raise BenchError(f"{self.missing()} (the download failed: {failure}{kept})") from failure

    def _download(self, path: Path, report: Report) -> None:
        """Download to a place that other processes may be downloading to as well; they wait for the first one."""
        digits = re.search(r"-([0-9a-f]{8,})\.", self.file)
        checksum = self.sha256 or (digits and not _DATE.fullmatch(digits[1]) and digits[1])
        source = Remote(self.url, checksum=f"sha256:{checksum}" if checksum else None)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_name(f".{path.name}.lock")):
                if not path.is_file():
                    download(source, path, report, _PATIENCE, self.file)
                    self._note(path)
        except OSError as error:
            raise DownloadFailed(f"{error.strerror or error}") from error

    def _note(self, path: Path) -> None:
        """Note what was downloaded; a file of a library tells it by its name."""

    def _require_content(self) -> None:
        """Refuse what the hub gave where it is not what was told.

        Raises:
            DownloadFailed: it is another file.
        """
        if self.sha256 and (found := file_digest(self.path)) != self.sha256:
            raise DownloadFailed(f"sha256 expected {self.sha256}, found {found}")


def unchanged(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors of any shape under the names that they have."""
    return dict(weights)


@dataclass(frozen=True, init=False)
class Pretrained(PublishedFile):
    """Weights that a part of a model starts from when it is built with ``pretrained: true``.

    Attributes:
        part: dotted name of the submodule that they are for; empty for the whole model.
        convert: turns the file's tensors into the submodule's, by name: drops a classifier, renames.
    """

    part: str
    convert: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]

    def __init__(
        self,
        part: str,
        url: str,
        file: str,
        convert: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] = unchanged,
    ) -> None:
        for name, value in {"part": part, "url": url, "file": file, "convert": convert}.items():
            object.__setattr__(self, name, value)

    def missing(self) -> str:
        """Return what to do where the file is not here; empty where it is."""
        sentence = super().missing()
        return sentence and f"{sentence}, or set pretrained: false"

    def load(self, model: nn.Module) -> None:
        """Load the file strictly into its part of a model, fetching it where it is not here.

        Raises:
            BenchError: it cannot be had, or does not fit.
        """
        self.fetch()
        path = self.path
        try:
            weights = self.convert(read_weights(path))
        except BenchError as error:
            raise BenchError(*(text if str(path) in text else f"{path}: {text}" for text in error.problems)) from error
        load_into(model.get_submodule(self.part), weights, f"{path} ({self.part or 'model'})")


def classifier_features(weights: Mapping[str, Tensor], keep: int | None = None) -> dict[str, Tensor]:
    """Return the ``features`` of a published torchvision classifier without that prefix.

    Args:
        weights: tensors of the whole classifier by name, of any shape.
        keep: how many of its blocks are taken; None for all.
    """
    inner = {name.removeprefix("features."): tensor for name, tensor in weights.items() if name.startswith("features.")}
    return {name: tensor for name, tensor in inner.items() if keep is None or int(name.partition(".")[0]) < keep}


def without_top(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a published timm EfficientNet without its last convolution and classifier.

    Args:
        weights: tensors of the whole classifier by name, of any shape.
    """
    top = ("conv_head.", "bn2.", "classifier.")
    return {name: tensor for name, tensor in weights.items() if not name.startswith(top)}
