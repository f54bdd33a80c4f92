"""Weights at an address that stands in a matrix, which may be a stranger's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from bench.base.files import digest, file_digest, write_json
from bench.models.weights.pretrained import PublishedFile

SAFETENSORS, CHECKPOINT = ".safetensors", ".pth"


@dataclass(frozen=True)
class AddressedFile(PublishedFile):
    """A file at an address, kept under the digest of its address: no part of that becomes a path, and no two share one.

    Attributes:
        home: the folder that such files are kept in.
    """

    home: Path = Path()

    @property
    def place(self) -> Path:
        """Where the file is kept, or is to be put by hand."""
        suffix = SAFETENSORS if self.file.endswith(SAFETENSORS) else CHECKPOINT
        return self.home / f"{digest(self.url, 32)}{suffix}"

    @property
    def is_open(self) -> bool:
        """Whether what is sent can be changed on its way without a notice."""
        return self.url.startswith("http://") and self.sha256 is None

    def changed(self, found: str) -> str:
        """Return what is wrong where the file is not what was downloaded from its address; empty where it is.

        Args:
            found: SHA-256 of the file.
        """
        try:
            noted = json.loads(self._memo.read_text(encoding="utf-8"))["sha256"]
        except (OSError, ValueError, LookupError, TypeError):  # put there by hand
            return ""
        if noted == found:
            return ""
        return f"{self.place} is not what was downloaded from {self.url}: delete it and {self._memo.name}"

    @property
    def _memo(self) -> Path:
        return self.place.with_suffix(".json")

    def _note(self, path: Path) -> None:
        write_json(self._memo, {"url": self.url, "sha256": file_digest(path)})
