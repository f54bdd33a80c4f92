"""ADE20K with the 150 classes of the scene parsing challenge."""

from __future__ import annotations

from pathlib import Path

from bench.data.base import datasets
from bench.data.facts import Archive, DatasetInfo
from bench.data.read.endings import IMAGE_ENDINGS, pairs_of_folders
from bench.data.read.files import FilePair
from bench.data.read.standard import StandardData
from bench.data.sets.classes import class_table

_CLASSES = [(name, (red, green, blue)) for name, (red, green, blue) in class_table("ade20k")]
_OTHER = 0
_FOLDERS = {"train": "training", "val": "validation"}


@datasets.register("ade20k")
class Ade20k(StandardData):
    """ADE20K, 20,210/2000 scenes, 150 classes of the 2016 scene parsing challenge (Zhou et al., CVPR 2017).

    Label files hold 1..150 for the classes and 0 for everything else: 0 becomes the ignore label and every class its
    value less one. Give the published files, not ones that were already shifted.

    Args:
        locations: data roots to look in: ``<root>/ADEChallengeData2016`` and such, then the root itself.
        folder: look for ``<root>/<folder>`` alone, for example a copy at another size.
    """

    name = "ade20k"
    places = (
        "ADEChallengeData2016",
        "ade/ADEChallengeData2016",
        "ade20k/ADEChallengeData2016",
        "ADE20K/ADEChallengeData2016",
        "ade20k",
        "ADE20K",
        ".",
    )
    layout = (
        "Expected in it: images/training/ADE_train_*.jpg with annotations/training/ADE_train_*.png, and "
        "images/validation/ADE_val_*.jpg with annotations/validation/ADE_val_*.png."
    )
    help = (
        "Get it with 'python -m bench data prepare ade20k --root FOLDER', or unzip ADEChallengeData2016.zip from "
        "http://sceneparsing.csail.mit.edu in FOLDER. Then name FOLDER with --data-root or the environment variable "
        "BENCH_DATA."
    )
    info = DatasetInfo(
        class_names=tuple(name for name, _ in _CLASSES),
        palette=tuple(colour for _, colour in _CLASSES),
        mean=(0.485, 0.456, 0.406),  # ImageNet's, with which papers normalise
        std=(0.229, 0.224, 0.225),
        splits=("train", "val"),
        source="ADE20K (Zhou et al.), files of the scene parsing challenge 2016; images for non-commercial research "
        "and education, annotations BSD-3-Clause",
    )
    published_counts = {"train": 20_210, "val": 2000}
    label_values = {_OTHER: info.ignore_index} | {index + 1: index for index in range(len(_CLASSES))}
    archives = (
        Archive(
            "http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip",
            checksum="sha1:219e1696abb36c8ba3a3afe7fb2f4b4606a897c7",
            licence="images for non-commercial research and education; annotations BSD-3-Clause",
        ),
    )

    def is_here(self, place: Path) -> bool:
        """Tell whether a folder is ADE20K."""
        return any(
            (place / "images" / part).is_dir() and (place / "annotations" / part).is_dir() for part in _FOLDERS.values()
        )

    def pairs(self, name: str) -> list[FilePair]:
        """List the files of a split."""
        part = _FOLDERS[name]
        images, labels = self.root / "images" / part, self.root / "annotations" / part
        return pairs_of_folders(images, labels, IMAGE_ENDINGS, (".png",), self.layout)
