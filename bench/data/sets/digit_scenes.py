"""Digit scenes: a small dataset of real pixels that needs no download."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray

from bench.base.errors import BenchError, unknown
from bench.base.files import digest, file_digest, read_into, write_atomic, write_json
from bench.data.base import Samples, SegmentationData, datasets
from bench.data.facts import DatasetInfo, Locations
from bench.data.read.checking import check_samples
from bench.data.sets.scenes import GENERATOR, SPLITS, make_scenes

if TYPE_CHECKING:
    from torchvision import tv_tensors

__all__ = ["DigitScenes", "SceneSamples", "make_scenes"]

_KINDS = ("images", "labels", "instances")
_DIGESTS = "digests.json"
_Count = Annotated[int, Gt(0)]


class _Scenes:
    """The array of a file, read a scene at a time; each scene must be what it was when the array was opened first.

    Args:
        path: the file.
        sums: checksum of every scene; taken now where not given.
    """

    def __init__(self, path: Path, sums: Sequence[int] | None = None) -> None:
        self._path = path
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            shape, _, _ = np.lib.format.read_array_header_1_0(file)
            self._start = file.tell()
        self._shape = shape[1:]
        self.sums = sums or [zlib.crc32(scene.data) for scene in map(self._read, range(shape[0])) if scene is not None]

    def __reduce__(self) -> tuple[type[_Scenes], tuple[Path, Sequence[int]]]:
        return _Scenes, (self._path, self.sums)  # an open file cannot be sent to a worker

    @cached_property
    def _file(self) -> IO[bytes]:
        return self._path.open("rb", buffering=0)

    def _read(self, index: int) -> NDArray[np.uint8] | None:
        scene = np.empty(self._shape, dtype=np.uint8)
        return scene if read_into(self._file, scene.data.cast("B"), self._start + index * scene.nbytes) else None

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Return a scene.

        Raises:
            BenchError: its bytes changed.
        """
        scene = self._read(index)
        if scene is None or zlib.crc32(scene.data) != self.sums[index]:
            raise BenchError(
                f"{self._path}: scene {index} changed while it was in use. Look whether that disk is sound, then run "
                "the same command again, which makes the file anew."
            )
        return scene


class SceneSamples(Samples):
    """One split of generated scenes.

    Args:
        folder: where the arrays lie.
        split: name of the split.
    """

    def __init__(self, folder: Path, split: str) -> None:
        self._arrays = {kind: _Scenes(_array_file(folder, split, kind)) for kind in _KINDS}
        self.names = tuple(f"{split}/{index:06d}" for index in range(len(self._arrays["labels"].sums)))

    @property
    def is_decoded(self) -> bool:
        """They are kept as pixels."""
        return True

    def __getitem__(self, index: int) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
        """Return the pair at ``index``.

        Raises:
            BenchError: its bytes changed.
        """
        from bench.data.read.tensors import image_of, mask_of

        image, labels = (self._arrays[kind][index] for kind in ("images", "labels"))
        return image_of(image), mask_of(labels)

    def instances(self, index: int) -> NDArray[np.uint8]:
        """Return the instance numbers of a scene, H x W uint8, 0 for the background."""
        return self._arrays["instances"][index]


@datasets.register("digit-scenes")
class DigitScenes(SegmentationData):
    """Real handwritten digits on discs over real photographs; background and 10 digits, nothing to download.

    The label of every pixel of a disc is its digit. Splits share neither digits nor pixels of photographs. Scenes are
    generated once, in seconds, and kept in the cache folder.

    Digits: UCI optical recognition of handwritten digits, as ``sklearn.datasets.load_digits``. Photographs inside
    scikit-learn: china.jpg by danielbuechele and flower.jpg by vultilion, both CC BY 2.0. Photographs inside
    scikit-image: astronaut (NASA), rocket (SpaceX), hubble_deep_field (NASA, ESA), public domain; chelsea (Stefan van
    der Walt), coffee (Rachel Michetti), motorcycle_left (Middlebury stereo benchmark 2014, Scharstein et al.), CC0.

    Args:
        locations: gives the cache folder.
        size: side of the square scenes in pixels.
        n_train: scenes of the training split; fewer of them are a prefix of more.
        n_val: scenes of the validation split.
        n_test: scenes of the test split.
        scene_seed: of the composition.
    """

    info = DatasetInfo(
        class_names=("background", *(f"digit {digit}" for digit in range(10))),
        palette=(
            (0, 0, 0),
            (230, 25, 75),
            (60, 180, 75),
            (255, 225, 25),
            (0, 130, 200),
            (245, 130, 48),
            (145, 30, 180),
            (70, 240, 240),
            (240, 50, 230),
            (210, 245, 60),
            (250, 190, 212),
        ),
        mean=(0.4668, 0.4093, 0.3832),
        std=(0.2627, 0.2376, 0.2408),
        source="generated from UCI handwritten digits (scikit-learn, CC BY 4.0) and photographs: china by "
        "danielbuechele and flower by vultilion (CC BY 2.0), astronaut, rocket, hubble_deep_field (public "
        "domain), chelsea, coffee, motorcycle_left (CC0)",
    )

    def __init__(
        self,
        locations: Locations,
        *,
        size: Annotated[int, Ge(32)] = 64,
        n_train: _Count = 1500,
        n_val: _Count = 300,
        n_test: _Count = 400,
        scene_seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0,
    ) -> None:
        super().__init__(locations)
        self.size, self.scene_seed = size, scene_seed
        self.counts = dict(zip(SPLITS, (n_train, n_val, n_test), strict=True))

    def require(self, names: Sequence[str] = SPLITS) -> None:
        """Generate the scenes, of all splits, where the cache lacks them or holds them damaged.

        Raises:
            BenchError: the cache folder cannot be written to.
        """
        self.fingerprint(names)

    def missing(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return nothing: what is not there is generated."""
        return ()

    def split(self, name: str) -> SceneSamples:
        """Return one split, generated where need be.

        Raises:
            BenchError: there is no such split, or the cache folder cannot be written to.
        """
        if name not in self.counts:
            raise BenchError(unknown("split of digit-scenes", name, self.counts))
        self.require()
        samples = SceneSamples(self._folder, name)
        if _intact(self._folder) != self._digests:  # or the checksums would be those of damaged scenes
            raise BenchError(
                f"the scenes in {self._folder} changed while they were opened. Run the same command again."
            )
        return samples

    def fingerprint(self, names: Sequence[str] = SPLITS) -> str:
        """Return the digest of all images, labels and instances of every split."""
        return digest(self._digests)

    def check(self, splits: Mapping[str, Samples]) -> tuple[str, ...]:
        """Verify splits; return what is worth knowing.

        Raises:
            BenchError: two splits share an image.
        """
        return check_samples(splits, None, self.info, self.shared_allowed)

    @property
    def _folder(self) -> Path:
        options = {"generator": GENERATOR, "size": self.size, "counts": self.counts, "seed": self.scene_seed}
        return self.locations.cache / "digit-scenes" / digest(options, 16)

    @cached_property
    def _digests(self) -> dict[str, str]:
        """Digest of every array's bytes, by file name; generates what is missing."""
        kept = _intact(self._folder)
        if kept is not None:
            return kept
        try:
            return self._generate()
        except OSError as error:
            reason = error.strerror or error
            raise BenchError(
                f"digit-scenes cannot be written to {self._folder}: {reason}. "
                "Make the cache folder writable or free space."
            ) from error

    def _generate(self) -> dict[str, str]:
        digests = {}
        for split, n in self.counts.items():
            arrays = make_scenes(split, n, size=self.size, seed=self.scene_seed)
            for kind, array in zip(_KINDS, arrays, strict=True):
                path = _array_file(self._folder, split, kind)
                write_atomic(path, lambda file, array=array: _save(file, array))  # type: ignore[misc]
                digests[path.name] = file_digest(path)
        write_json(self._folder / _DIGESTS, digests)
        return digests


def _save(file: IO[bytes], array: NDArray[np.uint8]) -> None:
    np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=False)


def _array_file(folder: Path, split: str, kind: str) -> Path:
    return folder / f"{split}-{kind}.npy"


def _intact(folder: Path) -> dict[str, str] | None:
    """Return the digests of a complete and undamaged cache folder, or None."""
    expected = {_array_file(folder, split, kind).name for split in SPLITS for kind in _KINDS}
    try:
        digests: Any = json.loads((folder / _DIGESTS).read_text())
        if not isinstance(digests, dict) or set(digests) != expected:
            return None
        intact = all(file_digest(folder / name) == value for name, value in digests.items())
    except (OSError, ValueError):
        return None
    return digests if intact else None
