"""Decoded images, kept as bytes in a file: decoding costs more than a small student's step."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import warnings
import zlib
from functools import cached_property
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torchvision import tv_tensors

from bench.base.errors import BenchError
from bench.base.files import digest, read_into, unfollowed, write_json
from bench.base.threads import reading_threads
from bench.data.base import Samples, TargetSamples
from bench.data.read.files import FileSamples
from bench.data.read.reading import read_size

GIB = 2**30
KEPT_FREE = GIB
"""Bytes of the disk that a cache never takes."""
_CHANNELS = 4
"""Bytes a pixel: red, green, blue and the label."""
_PRESENT = 1 << 32
_PIXELS, _SUMS, _SIZES = "pixels.bin", "sums.bin", "sizes.json"


class Decision(NamedTuple):
    """What became of the wish to keep a split decoded."""

    samples: TargetSamples[Any]
    message: str


class DecodedSamples(Samples):
    """One split whose decoded pixels are kept in a file; what is not there yet is decoded and added.

    Every sample carries a checksum that is written after its pixels and verified at each reading, so that a kill at any
    moment, a full disk, a damaged block or a program that writes to the files costs a decoding and never a wrong pixel.
    Any number of processes may read and fill the same files: all of them write the same bytes.

    Args:
        samples: what to decode.
        folder: where the files lie, made by :func:`prepare_folder`.
        sizes: n x 2 heights and widths.
    """

    def __init__(self, samples: FileSamples, folder: Path, sizes: NDArray[np.int64]) -> None:
        self.samples, self.folder, self.sizes = samples, folder, sizes
        self.names = samples.names
        self._offsets = np.concatenate([[0], np.cumsum(sizes.prod(axis=1) * _CHANNELS)])
        self._writable = True
        self._warned = False

    def __getstate__(self) -> dict[str, Any]:
        # a worker opens the files itself: an open one cannot be sent to it
        return {key: value for key, value in self.__dict__.items() if key not in ("_pixels", "_sums")}

    @cached_property
    def _pixels(self) -> IO[bytes]:
        return (self.folder / _PIXELS).open("rb", buffering=0)

    @cached_property
    def _sums(self) -> IO[bytes]:
        return (self.folder / _SUMS).open("rb", buffering=0)

    @property
    def files(self) -> FileSamples:
        """What is decoded."""
        return self.samples

    @property
    def is_decoded(self) -> bool:
        """Whether every sample is in the file."""
        sums = np.zeros(len(self.names), dtype=np.uint64)
        return self._read(_SUMS, sums, 0) and bool((sums != 0).all())

    def _read(self, name: str, values: NDArray[Any], offset: int) -> bool:
        try:
            file = self._pixels if name == _PIXELS else self._sums
        except OSError:  # gone since the folder was prepared
            return False
        return read_into(file, values.data.cast("B"), offset)

    def stamp(self) -> str:
        """Return what tells these files from changed ones."""
        return self.samples.stamp()

    def __getitem__(self, index: int) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
        """Return the pair at ``index``.

        Raises:
            BenchError: it is not kept and cannot be decoded.
        """
        kept = self._kept(index)
        if kept is not None:
            return kept
        image, mask = self.samples[index]
        self._keep(index, image, mask)
        return image, mask

    def _kept(self, index: int) -> tuple[tv_tensors.Image, tv_tensors.Mask] | None:
        checksum = np.zeros(1, dtype=np.uint64)
        if not self._read(_SUMS, checksum, index * checksum.nbytes) or not checksum[0]:
            return None
        height, width = (int(side) for side in self.sizes[index])
        pixels = np.empty((_CHANNELS, height, width), dtype=np.uint8)
        whole = self._read(_PIXELS, pixels, int(self._offsets[index]))
        if not whole or zlib.crc32(pixels.data) | _PRESENT != int(checksum[0]):
            self._warn(index)
            return None
        values = torch.from_numpy(pixels)
        return tv_tensors.Image(values[:3]), tv_tensors.Mask(values[3])

    def _warn(self, index: int) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"the decoded pixels of '{self.names[index]}' in {self.folder} are not those that were kept. They "
                "are decoded anew, as are others that changed. Look whether that disk is sound.",
                stacklevel=4,
            )

    def _keep(self, index: int, image: tv_tensors.Image, mask: tv_tensors.Mask) -> None:
        if not self._writable or tuple(mask.shape) != tuple(self.sizes[index]):
            return
        values = torch.cat([image.as_subclass(torch.Tensor), mask.as_subclass(torch.Tensor)[None]]).contiguous().numpy()
        checksum = np.uint64(zlib.crc32(values.data) | _PRESENT)
        try:
            # a write through the map would kill the process where the disk is full; this one raises
            _write_at(self.folder / _PIXELS, values.tobytes(), int(self._offsets[index]))
            _write_at(self.folder / _SUMS, checksum.tobytes(), index * checksum.nbytes)
        except OSError:
            self._writable = False


def _write_at(path: Path, content: bytes, offset: int) -> None:
    handle = unfollowed(str(path), os.O_WRONLY)
    try:
        view = memoryview(content)
        while view:
            written = os.pwrite(handle, view, offset)
            view, offset = view[written:], offset + written
    finally:
        os.close(handle)


def keep_decoded(samples: TargetSamples[Any], fingerprint: str, cache: Path, limit_bytes: int) -> Decision:
    """Return a split that keeps its decoded pixels, or the split as it is where that makes no sense.

    Args:
        samples: the split.
        fingerprint: digest of its content, so that the same content finds the same file wherever it lies.
        cache: folder of derived files.
        limit_bytes: the most that one split may take.

    Returns:
        The samples, and one sentence for the user: what is kept where, or why nothing is.
    """
    if not isinstance(samples, FileSamples) or not len(samples):
        return Decision(samples, "")
    how, *others = samples.identity()
    folder = cache / "decoded" / digest([fingerprint, how, list(samples.names), *others], 32)
    try:
        sizes = _sizes(folder, samples)
    except BenchError:  # told, with all other faults, by the check that reads every sample
        return Decision(samples, "")
    needed = int(sizes.prod(axis=1).sum()) * _CHANNELS
    shown = f"{needed / GIB:.2f} GiB"
    if needed > limit_bytes:
        return Decision(
            samples,
            f"decoded, it takes {shown}, more than --cache-gib {limit_bytes / GIB:g}: not kept",
        )
    try:
        free = prepare_folder(folder, sizes)
    except OSError as error:
        return Decision(samples, f"{folder} cannot be written to ({error.strerror or error}): not kept decoded")
    if free is not None:
        return Decision(samples, f"decoded, it takes {shown}, {free / GIB:.2f} GiB are free: not kept")
    return Decision(DecodedSamples(samples, folder, sizes), f"{shown} decoded, kept in {folder}")


def _sizes(folder: Path, samples: FileSamples) -> NDArray[np.int64]:
    """Return height and width of every image, from the cache or else from the files' headers."""
    try:
        stored = np.array(json.loads((folder / _SIZES).read_text(encoding="utf-8")), dtype=np.int64)
        if stored.shape == (len(samples), 2) and (stored > 0).all():
            return stored
    except (OSError, ValueError, TypeError):
        pass
    with reading_threads() as pool:
        return np.array(list(pool.map(read_size, (pair.image for pair in samples.pairs))), dtype=np.int64)


def prepare_folder(folder: Path, sizes: NDArray[np.int64]) -> int | None:
    """Make the files of a cache, empty where they are not there in the right length.

    Returns:
        None, or the free bytes where the disk has too few for what is still to come.

    Raises:
        OSError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {_PIXELS: int(sizes.prod(axis=1).sum()) * _CHANNELS, _SUMS: len(sizes) * 8}
    with FileLock(folder / ".lock"):
        if not all(_has_length(folder / name, length) for name, length in wanted.items()):
            for name in wanted:
                (folder / name).unlink(missing_ok=True)
        present = (folder / _PIXELS).stat().st_blocks * 512 if (folder / _PIXELS).exists() else 0
        free = shutil.disk_usage(folder).free
        if wanted[_PIXELS] - present > free - KEPT_FREE:
            return free
        for name, length in wanted.items():
            if not (folder / name).exists():
                with (folder / name).open("xb") as file:
                    file.truncate(length)
        if not (folder / _SIZES).exists():
            write_json(folder / _SIZES, sizes.tolist())
    return None


def _has_length(path: Path, length: int) -> bool:
    with contextlib.suppress(OSError):
        return path.lstat().st_size == length and not path.is_symlink()
    return False
