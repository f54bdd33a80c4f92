"""One image under several names, told from the files' own pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from bench.base.errors import BenchError
from bench.data.read.files import FileSamples
from bench.data.read.images import own_values

if TYPE_CHECKING:
    from torchvision import tv_tensors


class Print(NamedTuple):
    """What tells an image from others.

    Attributes:
        digest: of its size and pixels, 16 bytes.
        constant: whether all of its pixels are one colour, as in a blank page or a covered lens.
    """

    digest: bytes
    constant: bool


class Duplicate(BaseModel):
    """One image under several names.

    Attributes:
        samples: split and name of each.
        constant: whether it is of one colour.
    """

    model_config = ConfigDict(frozen=True)

    samples: tuple[tuple[str, str], ...]
    constant: bool = False

    @property
    def across(self) -> list[tuple[tuple[str, str], tuple[str, str]]]:
        """Pairs of samples in two splits: the first one, with each that is in another split."""
        first, *others = self.samples
        return [(first, other) for other in others if other[0] != first[0]]


class Seen(NamedTuple):
    """A sample that was read.

    Attributes:
        place: its position in the split.
        name: its name.
        print: of its image, as it was read.
    """

    place: int
    name: str
    print: Print


def print_of(image: tv_tensors.Image) -> Print:
    """Return what tells a 3 x H x W uint8 image from others."""
    return _print(image.numpy())


def _print(values: NDArray[Any]) -> Print:
    shape = repr(tuple(values.shape)).encode()
    colours = values.reshape(3, -1) if values.ndim == 3 and len(values) == 3 else values.reshape(1, -1)
    few = colours[:, :: max(1, colours.shape[1] // 64)]  # tells nearly all images that are not of one colour
    constant = bool((few == few[:, :1]).all() and (colours == colours[:, :1]).all())
    return Print(hashlib.blake2b(shape + values.tobytes(), digest_size=16).digest(), constant)


def find_duplicates(seen: Mapping[str, Iterable[Seen]], files: Mapping[str, FileSamples | None]) -> list[Duplicate]:
    """Return the images that are there under several names, in the order of the samples.

    Images of more than 8 bits a channel may look alike once they are read: their files are looked at again.

    Args:
        seen: samples that were read, by split.
        files: the files of each split, where it has some.
    """
    owners: dict[bytes, dict[tuple[str, str], Seen]] = {}
    for split, samples in seen.items():
        for sample in samples:
            owners.setdefault(sample.print.digest, {})[split, sample.name] = sample
    alike = (group for group in owners.values() if len(group) > 1)
    return [duplicate for group in alike for duplicate in _told_apart(group, files)]


def _told_apart(group: Mapping[tuple[str, str], Seen], files: Mapping[str, FileSamples | None]) -> Iterator[Duplicate]:
    again: dict[bytes, list[tuple[str, str]]] = {}
    constant: dict[bytes, bool] = {}
    for owner, sample in group.items():
        own = _own_print(files.get(owner[0]), sample)
        again.setdefault(own.digest, []).append(owner)
        constant[own.digest] = own.constant
    for digest, samples in again.items():
        if len(samples) > 1:
            yield Duplicate(samples=tuple(samples), constant=constant[digest])


def _own_print(files: FileSamples | None, sample: Seen) -> Print:
    """Return the print of the values that a file of more than 8 bits stores; that of the pixels for others."""
    try:
        if files is None or files.facts(sample.place).levels is None:
            return sample.print
        values = own_values(files.pairs[sample.place].image)
    except BenchError:  # told where the samples are read
        return sample.print
    return _print(np.ascontiguousarray(values.transpose(2, 0, 1)) if values.ndim == 3 else values)
