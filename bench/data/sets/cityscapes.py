"""Cityscapes with its 19 scored classes."""

from __future__ import annotations

from pathlib import Path

from bench.base.errors import BenchError, capped
from bench.data.base import datasets
from bench.data.facts import DatasetInfo
from bench.data.read.endings import EndingLabels, pairs_of_folders, subfolders
from bench.data.read.files import FilePair
from bench.data.read.labels import IndexLabels, Labels
from bench.data.read.standard import StandardData

_CLASSES = (
    (7, "road", (128, 64, 128)),
    (8, "sidewalk", (244, 35, 232)),
    (11, "building", (70, 70, 70)),
    (12, "wall", (102, 102, 156)),
    (13, "fence", (190, 153, 153)),
    (17, "pole", (153, 153, 153)),
    (19, "traffic light", (250, 170, 30)),
    (20, "traffic sign", (220, 220, 0)),
    (21, "vegetation", (107, 142, 35)),
    (22, "terrain", (152, 251, 152)),
    (23, "sky", (70, 130, 180)),
    (24, "person", (220, 20, 60)),
    (25, "rider", (255, 0, 0)),
    (26, "car", (0, 0, 142)),
    (27, "truck", (0, 0, 70)),
    (28, "bus", (0, 60, 100)),
    (31, "train", (0, 80, 100)),
    (32, "motorcycle", (0, 0, 230)),
    (33, "bicycle", (119, 11, 32)),
)
"""Label id, name and colour; the position is the train id."""
_IDS = range(34)
_CAST_MINUS_ONE = 255
_IMAGE, _LABEL_IDS, _TRAIN_IDS = "_leftImg8bit.png", "_gtFine_labelIds.png", "_gtFine_labelTrainIds.png"


@datasets.register("cityscapes")
class Cityscapes(StandardData):
    """Cityscapes, 2975/500 finely labelled street frames of 2048 x 1024, 19 classes (Cordts et al., CVPR 2016).

    Labels are read from ``*_gtFine_labelIds.png``, whose 34 ids become the 19 train ids by the publishers' table, or
    from ``*_gtFine_labelTrainIds.png`` where the former is absent, file by file. Ids that are not scored become the
    ignore label, as does 255, which is the -1 of licence plates in 8 bits.

    The test split is not offered: its published label files are dummies without content, and only the publishers'
    server scores it.

    Args:
        locations: data roots to look in: ``<root>/cityscapes``, ``<root>/Cityscapes``, then the root itself.
        folder: look for ``<root>/<folder>`` alone, for example a copy at another size.
    """

    name = "cityscapes"
    places = ("cityscapes", "Cityscapes", "CityScapes", "CITYSCAPES", ".")
    layout = (
        "Expected in it: leftImg8bit/train/CITY/*_leftImg8bit.png and gtFine/train/CITY/*_gtFine_labelIds.png (or "
        "*_gtFine_labelTrainIds.png), and the same for val."
    )
    manual = (
        "1. Register at https://www.cityscapes-dataset.com; the publishers give no download without it.\n"
        "2. Download leftImg8bit_trainvaltest.zip (11 GB) and gtFine_trainvaltest.zip (241 MB) there.\n"
        "3. Unzip both into ROOT/cityscapes, which then holds leftImg8bit and gtFine.\n"
        "4. python -m bench data check cityscapes --data-root ROOT"
    )
    help = (
        "Register at https://www.cityscapes-dataset.com, download leftImg8bit_trainvaltest.zip and "
        "gtFine_trainvaltest.zip, and unzip both into a folder cityscapes. Then name the folder that holds it with "
        "--data-root or the environment variable BENCH_DATA."
    )
    info = DatasetInfo(
        class_names=tuple(name for _, name, _ in _CLASSES),
        palette=tuple(colour for _, _, colour in _CLASSES),
        mean=(0.485, 0.456, 0.406),  # ImageNet's, with which papers normalise
        std=(0.229, 0.224, 0.225),
        splits=("train", "val"),
        source="Cityscapes (Cordts et al.), after registration at www.cityscapes-dataset.com; non-commercial use, no "
        "redistribution",
    )
    published_counts = {"train": 2975, "val": 500}
    label_values = (
        dict.fromkeys([*_IDS, _CAST_MINUS_ONE], info.ignore_index)
        | {label_id: index for index, (label_id, _, _) in enumerate(_CLASSES)}
    )  # fmt: skip
    train_id_values = {index: index for index in range(len(_CLASSES))} | {_CAST_MINUS_ONE: info.ignore_index}

    def is_here(self, place: Path) -> bool:
        """Tell whether a folder is Cityscapes."""
        return (place / "leftImg8bit").is_dir() and (place / "gtFine").is_dir()

    def labels(self, name: str) -> Labels:
        """Return how ids and train ids are read."""
        ignored = self.info.ignore_index
        return EndingLabels(
            (
                (_LABEL_IDS, IndexLabels(self.label_values, ignored)),
                (_TRAIN_IDS, IndexLabels(self.train_id_values, ignored)),
            )
        )

    def pairs(self, name: str) -> list[FilePair]:
        """List the cities of a split and their files."""
        images, labels = self.root / "leftImg8bit" / name, self.root / "gtFine" / name
        problems = [f"{folder}: no such folder. {self.layout}" for folder in (images, labels) if not folder.is_dir()]
        if problems:
            raise BenchError(*problems)
        pairs = []
        for city in sorted(subfolders(images) | subfolders(labels)):
            try:
                pairs += pairs_of_folders(
                    images / city, labels / city, (_IMAGE,), (_LABEL_IDS, _TRAIN_IDS), self.layout
                )
            except BenchError as error:
                problems += error.problems
        if problems:
            raise BenchError(*capped(problems))
        return pairs
