"""Facts of a dataset that hold without its files, and where its files lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

SHARED_ALLOWED = "shared_images: allowed"
"""What a matrix says of a dataset whose published splits share images."""


@dataclass(frozen=True)
class DatasetInfo:
    """Facts of a dataset that hold without its files.

    Attributes:
        class_names: K names; the position is the label value after loading.
        palette: K RGB colours, 0..255, for drawing.
        mean: RGB mean of the training pixels, 0..1; also what padding is filled with.
        std: RGB standard deviation of the training pixels, 0..1.
        ignore_index: label value after loading that is neither trained on nor scored.
        source: where it comes from and under which licence.
        splits: names of the splits that it has.
        eval_split: the split that papers report.
    """

    class_names: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    source: str
    ignore_index: int = 255
    splits: tuple[str, ...] = ("train", "val", "test")
    eval_split: str = "val"

    @property
    def num_classes(self) -> int:
        """Number of classes K, the ignore label not counted."""
        return len(self.class_names)


@dataclass(frozen=True)
class Verdict:
    """What is to be told of a dataset.

    Attributes:
        problems: what keeps it from being trained on.
        remarks: what is worth knowing though it can be trained on.
    """

    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(self.problems + other.problems, self.remarks + other.remarks)


@dataclass(frozen=True)
class Locations:
    """Folders that a dataset may use.

    Attributes:
        cache: where derived files may be written.
        data_roots: folders to look for the dataset's own folder in; never written to.
        base: the matrix's folder; a relative path among a dataset's options is looked up in the current folder, then
            here.
    """

    cache: Path
    data_roots: tuple[Path, ...] = field(default=())
    base: Path = Path()

    def find(self, text: str) -> Path:
        """Return the file or folder that a path among the options names; it need not exist."""
        given = Path(text).expanduser()
        places = (given, self.base / given)
        return next((place for place in places if place.exists()), given)


@dataclass(frozen=True)
class Archive:
    """A file to download and unpack.

    Attributes:
        url: where it is published.
        folder: the folder under the data root that it is unpacked into; empty for the root itself.
        bytes: its size, where known; told before the download.
        checksum: ``md5:...``, ``sha1:...`` or ``sha256:...``, where a source for it is known.
        licence: under which terms, in a few words.
        unpacked_bytes: the most that its files may take together; where not told, 20 times the archive, and 64 MiB at
            least. An archive that holds more is refused.
    """

    url: str
    folder: str = ""
    bytes: int | None = None
    checksum: str | None = None
    licence: str = ""
    unpacked_bytes: int | None = None
