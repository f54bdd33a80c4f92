"""Images and labels in folders of their own, paired by what their names begin with, told apart by how they end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.data.read.files import FilePair
from bench.data.read.labels import Labels

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class EndingLabels:
    """Label files of several encodings, which the end of a file's name tells.

    Attributes:
        encodings: endings and how such files are read; the first ending that fits counts.
    """

    encodings: tuple[tuple[str, Labels], ...]

    def identity(self) -> Any:
        """Return every ending with what tells its way of reading."""
        return [[ending, labels.identity()] for ending, labels in self.encodings]

    def read(self, path: Path) -> NDArray[np.uint8]:
        """Return class indices and the ignore index, H x W.

        Raises:
            BenchError: an ending without a meaning, an unreadable file, or pixels that belong to no class.
        """
        for ending, labels in self.encodings:
            if path.name.endswith(ending):
                return labels.read(path)
        raise BenchError(f"{path}: expected a name that ends in {_either([ending for ending, _ in self.encodings])}")


def pairs_of_folders(
    images: Path, labels: Path, image_endings: Sequence[str], label_endings: Sequence[str], layout: str
) -> list[FilePair]:
    """Pair the images and labels of two folders, in order of their names.

    A name that only one of the folders has yields a pair all the same, so that its absent half can be named.

    Args:
        images: the folder of images.
        labels: the folder of labels; may be the same.
        image_endings: endings of image files, the most wanted first.
        label_endings: endings of label files, the most wanted first.
        layout: told where a folder is missing.

    Raises:
        BenchError: a folder is missing or cannot be read.
    """
    image_files, label_files = _stems(images, image_endings, layout), _stems(labels, label_endings, layout)
    return [
        FilePair(
            stem,
            image_files.get(stem, images / f"{stem}{image_endings[0]}"),
            label_files.get(stem, labels / f"{stem}{label_endings[0]}"),
        )
        for stem in sorted({*image_files, *label_files})
    ]


def subfolders(folder: Path) -> set[str]:
    """Return the names of the folders in a folder, the hidden ones left out; none where it does not exist."""
    if not folder.is_dir():
        return set()
    return {entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")}


def _stems(folder: Path, endings: Sequence[str], layout: str) -> dict[str, Path]:
    """Return files by what comes before their ending.

    The longest ending that fits a name is cut off it, as one may be the end of another; of several files with one stem
    the one of the earliest ending is kept.
    """
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        raise BenchError(f"{folder}: no such folder. {layout}") from None
    except OSError as error:
        raise BenchError(f"{folder}: {error.strerror or error}") from error
    longest_first = sorted(endings, key=len, reverse=True)
    found: dict[str, str] = {}
    for name in names:
        ending = next((ending for ending in longest_first if name.endswith(ending)), None)
        if ending is None or name.startswith("."):  # some systems leave hidden companions of copied files
            continue
        stem = name.removesuffix(ending)
        if stem not in found or endings.index(ending) < endings.index(found[stem]):
            found[stem] = ending
    return {stem: folder / f"{stem}{ending}" for stem, ending in found.items()}


def _either(words: Sequence[str]) -> str:
    return " or ".join(words)
