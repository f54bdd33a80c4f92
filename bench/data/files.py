"""Image and label files: reading, verifying, and telling what is wrong with them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torchvision import tv_tensors

from bench.data.base import Samples
from bench.errors import BenchError
from bench.store import digest, file_digest, write_text

SHOWN_PROBLEMS = 20
_UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
_INDEX_MODES = {"1", "L", "P", "I", "I;16", "I;16B", "I;16L"}
_MAX_RAW = 2**16
_UNKNOWN = -1
# Pillow spreads grey levels of shallow files over 0..255; labels have to be the stored numbers.
_SPREAD = {"L;2": 85, "L;4": 17}


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image file; whatever makes it undecodable becomes one sentence that names it."""
    try:
        if path.stat().st_size == 0:
            raise BenchError(f"{path}: the file is empty (0 bytes). Copy it again.")
        with Image.open(path) as image:
            yield image
    except FileNotFoundError:
        raise BenchError(f"{path}: no such file") from None
    except _UNDECODABLE as error:
        reason = " ".join(str(error).replace(repr(str(path)), "it").split()) or type(error).__name__
        raise BenchError(f"{path}: not a readable image ({reason}). Copy it again, or check its format.") from error


def read_image(path: Path) -> tv_tensors.Image:
    """Read an image as RGB, turned as its EXIF tag says.

    Grey, palette and CMYK files are converted, an alpha channel is dropped, 16-bit files keep their upper 8 bits.

    Returns:
        3 x H x W uint8.

    Raises:
        BenchError: missing, empty, truncated or of another format.
    """
    with _opened(path) as image:
        pixels = _to_rgb(ImageOps.exif_transpose(image), path)
    return tv_tensors.Image(torch.from_numpy(pixels).permute(2, 0, 1).contiguous())


def _to_rgb(image: Image.Image, path: Path) -> NDArray[np.uint8]:
    if image.mode.startswith("I"):
        deep = np.asarray(image).astype(np.int64)
        if deep.min() < 0 or deep.max() >= _MAX_RAW:
            raise BenchError(f"{path}: 32-bit images are not supported. Convert it to 8 or 16 bits a channel.")
        return np.repeat((deep >> 8).astype(np.uint8)[..., None], 3, axis=2)
    if image.mode == "F":
        raise BenchError(f"{path}: floating-point images are not supported. Convert it to 8 or 16 bits a channel.")
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"))


def read_mask(path: Path) -> NDArray[np.int64]:
    """Read a label file as the numbers stored in it: grey levels, or the indices of a palette rather than its colours.

    Returns:
        H x W int64.

    Raises:
        BenchError: missing, empty, truncated, stored with loss, or with several channels.
    """
    with _opened(path) as image:
        if image.format == "JPEG":
            raise BenchError(f"{path}: JPEG changes label values. Store labels in a lossless format such as PNG.")
        if image.mode not in _INDEX_MODES:
            raise BenchError(
                f"{path}: a label file must have one channel of class indices, this one is {image.mode}. "
                "Convert its colours to indices first."
            )
        levels = _SPREAD.get(_raw_mode(image), 1)
        values = np.asarray(ImageOps.exif_transpose(image)).astype(np.int64)
    return values // levels


def _raw_mode(image: Image.Image) -> str:
    """Return Pillow's name for how an opened, not yet decoded file stores its pixels."""
    tiles = getattr(image, "tile", [])
    arguments = tiles[0][3] if tiles else ""
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


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
        classes: class index, or ``ignore_index``, for every raw value that a label file may hold; raw values 0..65535.
        ignore_index: label value after loading that is neither trained on nor scored, 0..255.
    """

    def __init__(self, pairs: Sequence[FilePair], classes: Mapping[int, int], ignore_index: int) -> None:
        self.pairs = tuple(pairs)
        self.names = tuple(pair.name for pair in self.pairs)
        self.classes, self.ignore_index = dict(classes), ignore_index
        self._table = np.full(_MAX_RAW, _UNKNOWN, dtype=np.int16)
        self._table[list(self.classes)] = list(self.classes.values())

    def __getitem__(self, index: int) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
        """Return the pair at ``index``.

        Raises:
            BenchError: an unreadable file, sizes that differ, a label value that is not in the table.
        """
        pair = self.pairs[index]
        image, raw = _read(pair)
        if tuple(image.shape[-2:]) != raw.shape:
            height, width = image.shape[-2:]
            raise BenchError(
                f"{pair.label}: labels of {raw.shape[1]} x {raw.shape[0]} pixels do not fit the image of "
                f"{width} x {height} pixels, {pair.image}. Make both the same size."
            )
        mapped = self._table[np.clip(raw, 0, _MAX_RAW - 1)]
        unknown = (mapped == _UNKNOWN) | (raw < 0) | (raw >= _MAX_RAW)
        if unknown.any():
            raise BenchError(self._outside(pair.label, raw, unknown))
        return image, tv_tensors.Mask(torch.from_numpy(mapped.astype(np.uint8)))

    def _outside(self, path: Path, raw: NDArray[np.int64], unknown: NDArray[np.bool_]) -> str:
        values, counts = np.unique(raw[unknown], return_counts=True)
        found = ", ".join(f"{value} ({count} pixels)" for value, count in list(zip(values, counts, strict=True))[:5])
        more = f" and {len(values) - 5} other values" if len(values) > 5 else ""
        scored = [value for value, index in self.classes.items() if index != self.ignore_index]
        one_based = values.tolist() == [max(scored) + 1] and raw.min() > 0
        hint = (
            "The labels look 1-based: subtract one, so that classes begin at 0."
            if one_based
            else "Set ignore_index if that value marks unlabelled pixels, or correct the labels."
        )
        return f"{path}: label values outside the classes {_spans(scored)}: {found}{more}. {hint}"

    def stamp(self) -> str:
        """Return a digest of names, paths, sizes and modification times, and of how labels are read.

        Raises:
            BenchError: files are missing; all are named.
        """
        return digest([sorted(self.classes.items()), self.ignore_index, _stamps(self.pairs)])


def _read(pair: FilePair) -> tuple[tv_tensors.Image, NDArray[np.int64]]:
    """Read both files of a pair; the faults of both are told together."""
    image, raw = None, None
    problems: list[str] = []
    try:
        image = read_image(pair.image)
    except BenchError as error:
        problems += error.problems
    try:
        raw = read_mask(pair.label)
    except BenchError as error:
        problems += error.problems
    if image is None or raw is None:
        raise BenchError(*problems)
    return image, raw


def _spans(values: Sequence[int]) -> str:
    """Return ``0..10`` or ``1..8, 12`` for sorted or unsorted numbers."""
    spans: list[list[int]] = []
    for value in sorted(values):
        if spans and value == spans[-1][1] + 1:
            spans[-1][1] = value
        else:
            spans.append([value, value])
    return ", ".join(f"{low}" if low == high else f"{low}..{high}" for low, high in spans)


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
            rows.append([pair.name, str(path.resolve()), status.st_size, status.st_mtime_ns])
    if missing:
        raise BenchError(*capped(missing))
    return rows


def capped(problems: Sequence[str]) -> list[str]:
    """Return the first problems and, where there are more than fit a screen, how many were left out."""
    left_out = len(problems) - SHOWN_PROBLEMS
    return [*problems[:SHOWN_PROBLEMS], *([f"and {left_out} more"] if left_out > 0 else [])]


def check_samples(splits: Mapping[str, Samples], cache: Path | None = None) -> None:
    """Read every sample of every split, so that no fault appears in the middle of a training.

    Splits of files that passed once are not read again until a name, size or modification time changes.

    Args:
        splits: samples by split name.
        cache: folder where passed checks are remembered; None remembers nothing.

    Raises:
        BenchError: all faults together, at most 20 of them written out: samples that cannot be read, empty splits, a
            name used twice in a split, the same image in two splits.
    """
    problems = [f"the {name} split is empty" for name, samples in splits.items() if len(samples) == 0]
    for split, samples in splits.items():
        problems += _repeated_names(split, samples)
    marker = None if problems else _marker(splits, cache)
    if marker is not None and marker.exists():
        return
    owners: dict[bytes, tuple[str, str]] = {}
    for split, samples in splits.items():
        for name, outcome in zip(samples.names, _examine_all(samples), strict=True):
            if isinstance(outcome, BenchError):
                problems += outcome.problems
                continue
            owner = owners.setdefault(outcome, (split, name))
            if owner[0] != split:
                problems.append(
                    f"the same image is in two splits: {owner[0]} ('{owner[1]}') and {split} ('{name}'). "
                    "Remove it from one of them."
                )
    if problems:
        raise BenchError(*capped(problems))
    if marker is not None:
        _remember(marker, "passed")


def _repeated_names(split: str, samples: Samples) -> list[str]:
    repeated = [name for name, count in Counter(samples.names).items() if count > 1]
    return [f"the {split} split lists '{name}' more than once" for name in repeated]


def _examine_all(samples: Samples) -> list[bytes | BenchError]:
    """Return the digest of every image, or what is wrong with the sample, in order."""

    def examine(index: int) -> bytes | BenchError:
        try:
            image, _ = samples[index]
        except BenchError as error:
            return error
        shape = repr(tuple(image.shape)).encode()
        return hashlib.blake2b(shape + image.numpy().tobytes(), digest_size=16).digest()

    pool = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
    try:
        return list(pool.map(examine, range(len(samples))))
    finally:
        pool.shutdown(cancel_futures=True)


def _marker(splits: Mapping[str, Samples], cache: Path | None) -> Path | None:
    """Return the file that tells that these very files passed; None where nothing can be remembered."""
    if cache is None:
        return None
    stamps = []
    for split, samples in sorted(splits.items()):
        if not isinstance(samples, FileSamples):
            return None
        try:
            stamps.append([split, samples.stamp()])
        except BenchError:  # missing files are told, with all other faults, by reading them
            return None
    return cache / "checked" / digest(stamps, 32)


def content_fingerprint(splits: Mapping[str, FileSamples], cache: Path) -> str:
    """Return the digest of which files a dataset has in which split and of their bytes.

    It is computed once and remembered until a name, size or modification time changes.

    Args:
        splits: samples by split name.
        cache: folder where the digest is remembered.

    Raises:
        BenchError: a file is missing or cannot be read.
    """
    remembered = cache / "fingerprints" / digest([[name, splits[name].stamp()] for name in sorted(splits)], 32)
    try:
        text = remembered.read_text()
    except OSError:
        text = ""
    if len(text) == 64 and set(text) <= set("0123456789abcdef"):
        return text
    whole = hashlib.sha256()
    for split in sorted(splits):
        for pair in sorted(splits[split].pairs, key=lambda pair: pair.name):
            whole.update(f"{split}/{pair.name}/{_file_digest(pair.label)}/{_file_digest(pair.image)}\n".encode())
    _remember(remembered, whole.hexdigest())
    return whole.hexdigest()


def _file_digest(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror or error}") from error


def _remember(path: Path, text: str) -> None:
    # A cache that cannot be written costs time at the next call and changes no result.
    with contextlib.suppress(OSError):
        write_text(path, text)
