"""Published weights of a model or of its encoder: where they come from, whether they are here, how they are loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.errors import BenchError
from bench.weights import load_into, read_weights


def _unchanged(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return dict(weights)


@dataclass(frozen=True)
class Pretrained:
    """Weights that a model starts from when it is built with ``pretrained: true``.

    Attributes:
        part: dotted name of the submodule that they are for; empty for the whole model.
        url: where the file is published.
        file: name of the file in the cache; it ends in the first digits of its SHA-256 where the publisher says so.
        convert: turns the file's tensors into the submodule's, by name: drops a classifier, renames.
    """

    part: str
    url: str
    file: str
    convert: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] = _unchanged

    @property
    def path(self) -> Path:
        """Where the file is kept: torch's own cache of checkpoints."""
        return Path(torch.hub.get_dir()) / "checkpoints" / self.file

    def missing(self) -> str:
        """Return what to do where the file is not here; empty where it is."""
        if self.path.is_file():
            return ""
        return f"{self.file} is not in the cache: fetch {self.url} and put it at {self.path}, or set pretrained: false"

    def load(self, model: nn.Module) -> None:
        """Fetch the file where it is not here, and load it strictly.

        Raises:
            BenchError: it cannot be fetched, or does not fit.
        """
        if not self.path.is_file():
            self._fetch()
        weights = self.convert(read_weights(self.path))
        load_into(model.get_submodule(self.part), weights, f"{self.path} ({self.part or 'model'})")

    def _fetch(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(self.url, str(self.path), progress=False)
        except OSError as error:
            raise BenchError(f"{self.url} could not be fetched ({error}). {self.missing()}") from error
