"""Samples that are kept as image and label files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.base.errors import BenchError, capped
from bench.base.files import digest
from bench.base.text import escaped, is_text, not_text
from bench.data.base import Samples
from bench.data.read.depth import NoRangeError, Span, range_key
from bench.data.read.images import Facts, decode, look
from bench.data.read.labels import Labels
from bench.data.read.turns import misfit

if TYPE_CHECKING:
    from torchvision import tv_tensors


@dataclass(frozen=True)
class FilePair:
    """An image, its labels, and the short name that users see."""

    name: str
    image: Path
    label: Path


class FileSamples(Samples):
    """One split kept as image and label files.

    Args:
        pairs: the files, in the order of the split.
        labels: how label files are read.
        span: the values that become 0..255 in images of more than 8 bits a channel; None keeps the upper 8 of 16.

    Raises:
        BenchError: names that are no UTF-8, which no result could hold.
    """

    def __init__(self, pairs: Sequence[FilePair], labels: Labels, span: Span | None = None) -> None:
        if problems := [not_text(str(pair.image)) for pair in pairs if not is_text(pair.name)]:
            raise BenchError(*capped(problems))
        self.pairs = tuple(pairs)
        self.names = tuple(pair.name for pair in self.pairs)
        self.labels, self.span = labels, span
        self._facts: dict[int, Facts] = {}

    @property
    def files(self) -> FileSamples:
        """These."""
        return self

    def facts(self, index: int) -> Facts:
        """Return what of an image its pixels do not tell; a file that was decoded here is not opened again.

        Raises:
            BenchError: it cannot be read.
        """
        if index not in self._facts:
            self._facts[index] = look(self.pairs[index].image)
        return self._facts[index]

    def identity(self) -> list[Any]:
        """Return what tells two ways of reading the same files apart, as JSON values."""
        return [self.labels.identity(), *range_key(self.span).values()]

    def __getitem__(self, index: int) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
        """Return the pair at ``index``.

        Raises:
            BenchError: an unreadable file, sizes that differ, a label that belongs to no class. The faults of both
                files are told together.
        """
        from bench.data.read.tensors import image_of, mask_of

        pair = self.pairs[index]
        image, mask = None, None
        problems: list[str] = []
        try:
            pixels, self._facts[index] = decode(pair.image, self.span)
            image = image_of(pixels)
        except NoRangeError:
            raise
        except BenchError as error:
            problems += error.problems
        try:
            mask = self.labels.read(pair.label)
        except BenchError as error:
            problems += error.problems
        if image is None or mask is None:
            raise BenchError(*problems)
        if tuple(image.shape[-2:]) != mask.shape:
            height, width = image.shape[-2:]
            raise BenchError(misfit(pair.image, pair.label, (height, width), (mask.shape[0], mask.shape[1])))
        return image, mask_of(mask)

    def stamp(self) -> str:
        """Return a digest of names, paths, sizes and modification times, and of how the files are read.

        Raises:
            BenchError: files are missing; all are named.
        """
        how, *others = self.identity()
        return digest([how, _stamps(self.pairs), *others])


def _stamps(pairs: Sequence[FilePair]) -> list[list[str | int]]:
    rows: list[list[str | int]] = []
    missing = []
    for pair in pairs:
        for path in (pair.image, pair.label):
            try:
                status = path.stat()
            except OSError as error:
                missing.append(f"{path}: {error.strerror or error}")
                continue
            rows.append([pair.name, escaped(str(path.resolve())), status.st_size, status.st_mtime_ns])
    if missing:
        raise BenchError(*capped(missing))
    return rows
