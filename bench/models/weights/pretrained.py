"""Published weights: where a file comes from, whether it is here, how it is loaded."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.models.weights.reading import load_into, read_weights


@dataclass(frozen=True)
class PublishedFile:
    """A file of weights on the network.

    Attributes:
        url: where it is published.
        file: its name in the cache; where it holds the first digits of its SHA-256, as in ``name-0676ba61.pth``, they
            are checked.
    """

    url: str
    file: str

    @property
    def path(self) -> Path:
        """Where the file is kept: torch's own cache of checkpoints (``TORCH_HOME``)."""
        return Path(torch.hub.get_dir()) / "checkpoints" / self.file

    def missing(self) -> str:
        """Return what to do where the file is not here; empty where it is."""
        if self.path.is_file():
            return ""
        return f"{self.file} is not here: fetch {self.url} and put it at {self.path}"

    def fetch(self) -> None:
        """Download the file where it is not here; it is there whole or not at all.

        Raises:
            BenchError: it cannot be had.
        """
        if self.path.is_file():
            return
        digits = re.search(r"-([0-9a-f]{8,})\.", self.file)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(self.url, str(self.path), digits and digits[1], progress=False)
        except (OSError, RuntimeError) as error:
            raise BenchError(f"{self.missing()} (the download failed: {error})") from error


def _unchanged(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
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
        convert: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] = _unchanged,
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
        weights = self.convert(read_weights(self.path))
        load_into(model.get_submodule(self.part), weights, f"{self.path} ({self.part or 'model'})")


def classifier_features(weights: Mapping[str, Tensor], keep: int | None = None) -> dict[str, Tensor]:
    """Return the ``features`` of a published torchvision classifier without that prefix.

    Args:
        weights: tensors of the whole classifier.
        keep: how many of its blocks are taken; None for all.
    """
    inner = {name.removeprefix("features."): tensor for name, tensor in weights.items() if name.startswith("features.")}
    return {name: tensor for name, tensor in inner.items() if keep is None or int(name.partition(".")[0]) < keep}


def without_top(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a published timm EfficientNet without its last convolution and classifier."""
    top = ("conv_head.", "bn2.", "classifier.")
    return {name: tensor for name, tensor in weights.items() if not name.startswith(top)}
