"""COCO-Stuff 10k and 164k with the 171 classes that occur."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from bench.data.base import datasets
from bench.data.facts import Archive, DatasetInfo
from bench.data.read.endings import IMAGE_ENDINGS, EndingLabels, pairs_of_folders
from bench.data.read.files import FilePair
from bench.data.read.labels import IndexLabels, Labels
from bench.data.read.palette import voc_colormap
from bench.data.read.standard import StandardData, read_lines, with_suffix_that_exists
from bench.data.sets.classes import class_table

IGNORED = 255
_NAMES = class_table("cocostuff")
_NEVER = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91}
"""Ids of things that have a name and no pixel."""
_IDS = [label_id for label_id in range(1, len(_NAMES) + 1) if label_id not in _NEVER]
"""The label id of every class; the position is the class index."""
_TRAIN_IDS = "_labelTrainIds.png"
_IMAGES_LICENCE = "images under Flickr's terms of use"
_LABELS_LICENCE = "annotations CC BY 4.0"
_COCO = "http://images.cocodataset.org/zips"
_CALVIN = "http://calvin.inf.ed.ac.uk/wp-content/uploads/data/cocostuffdataset"


def _info(source: str, splits: tuple[str, ...], eval_split: str) -> DatasetInfo:
    return DatasetInfo(
        class_names=tuple(_NAMES[label_id - 1] for label_id in _IDS),
        # Generated: too many classes for colours picked by hand. Black stays free for what is ignored.
        palette=voc_colormap(len(_IDS) + 1)[1:],
        mean=(0.485, 0.456, 0.406),  # ImageNet's, with which papers normalise
        std=(0.229, 0.224, 0.225),
        ignore_index=IGNORED,
        splits=splits,
        eval_split=eval_split,
        source=source,
    )


class CocoStuff(StandardData):
    """What both sizes of COCO-Stuff share.

    Attributes:
        converted_values: class index, or the ignore index, for every value of ``*_labelTrainIds.png``.
        published: the end of the published label files' names.
    """

    published: ClassVar[str]
    converted_values: ClassVar[Mapping[int, int]]

    def labels(self, name: str) -> Labels:
        """Return how published and converted label files are read."""
        return EndingLabels(
            (
                (_TRAIN_IDS, IndexLabels(self.converted_values, IGNORED)),
                (self.published, IndexLabels(self.label_values, IGNORED)),
            )
        )

    def _halves(self, part: str) -> tuple[Path, Path]:
        return self.root / "images" / part, self.root / "annotations" / part


def _has(place: Path, *parts: str) -> bool:
    return any((place / "images" / part).is_dir() and (place / "annotations" / part).is_dir() for part in parts)


@datasets.register("cocostuff10k")
class CocoStuff10k(CocoStuff):
    """COCO-Stuff 10k v1.1, 9000/1000 images, 171 classes (Caesar et al., CVPR 2018).

    Label files are the published ``annotations/*.mat`` (0 unlabelled, 1..182 label ids) or, where these are absent,
    the ``*_labelTrainIds.png`` of mmsegmentation's converter (0 unlabelled, 1..171 class index plus one). Unlabelled
    pixels become the ignore label.

    COCO-Stuff names 182 label ids, of which 11 things have no pixel anywhere. This benchmark scores the other 171, in
    order of their ids. An mIoU over 182 classes that counts the absent ones as 0 is at most 171/182
    of it, so numbers of the two conventions must not be put side by side.

    Args:
        locations: data roots to look in: ``<root>/coco_stuff10k`` and such, then the root itself.
        folder: look for ``<root>/<folder>`` alone, for example a copy at another size.
    """

    name = "cocostuff10k"
    places = (
        "coco_stuff10k",
        "coco_stuff10k/cocostuff-10k-v1.1",
        "cocostuff10k",
        "cocostuff-10k-v1.1",
        "COCO-Stuff10k",
        ".",
    )
    layout = (
        "Expected in it: images/*.jpg, annotations/*.mat and imageLists/train.txt, imageLists/test.txt (one name a "
        "line); or, as mmsegmentation converts it, images/train2014/*.jpg with "
        "annotations/train2014/*_labelTrainIds.png, and the same for test2014."
    )
    help = (
        "Get it with 'python -m bench data prepare cocostuff10k --root FOLDER', or unzip "
        f"{_CALVIN}/cocostuff-10k-v1.1.zip in FOLDER/coco_stuff10k. "
        "Then name FOLDER with --data-root or the environment variable BENCH_DATA."
    )
    info = _info(
        f"COCO-Stuff 10k v1.1 (Caesar et al.), {_LABELS_LICENCE}, {_IMAGES_LICENCE}", ("train", "test"), "test"
    )
    published_counts = {"train": 9000, "test": 1000}
    published = ".mat"
    label_values = {0: IGNORED} | {label_id: index for index, label_id in enumerate(_IDS)}
    converted_values = {0: IGNORED} | {index + 1: index for index in range(len(_IDS))}
    archives = (
        Archive(
            f"{_CALVIN}/cocostuff-10k-v1.1.zip",
            folder="coco_stuff10k",
            licence=f"{_LABELS_LICENCE}; {_IMAGES_LICENCE}",
        ),
    )

    def is_here(self, place: Path) -> bool:
        """Tell whether a folder is COCO-Stuff 10k."""
        listed = (place / "imageLists").is_dir() and (place / "annotations").is_dir()
        return listed or _has(place, "train2014", "test2014")

    def pairs(self, name: str) -> list[FilePair]:
        """Read a list or, where there is none, list the files of the converted layout."""
        images, labels = self._halves(f"{name}2014")
        listing = self.root / "imageLists" / f"{name}.txt"
        if images.is_dir() and not listing.is_file():
            return pairs_of_folders(images, labels, IMAGE_ENDINGS, (_TRAIN_IDS,), self.layout)
        stems = [line.strip() for line in read_lines(listing, self.layout) if line.strip()]
        return [
            FilePair(
                stem,
                _existing(with_suffix_that_exists(images.parent / f"{stem}.jpg"), images / f"{stem}.jpg"),
                _existing(labels.parent / f"{stem}.mat", labels / f"{stem}{_TRAIN_IDS}"),
            )
            for stem in stems
        ]


@datasets.register("cocostuff164k")
class CocoStuff164k(CocoStuff):
    """COCO-Stuff 164k, 118,287/5000 images, 171 classes (Caesar et al., CVPR 2018).

    Label files are the published ``annotations/{train,val}2017/*.png`` (label id less one, 255 unlabelled) or, where
    these are absent, the ``*_labelTrainIds.png`` of mmsegmentation's converter (class index, 255 unlabelled).
    Unlabelled pixels become the ignore label.

    COCO-Stuff names 182 label ids, of which 11 things have no pixel anywhere. This benchmark scores the other 171, in
    order of their ids. Some distillation papers train and score 182 outputs and count the absent ones as 0: their mIoU
    is at most 171/182 of this one, so numbers of the two conventions must not be put side by side.

    Args:
        locations: data roots to look in: ``<root>/coco_stuff164k`` and such, then the root itself.
        folder: look for ``<root>/<folder>`` alone, for example a copy at another size.
    """

    name = "cocostuff164k"
    places = ("coco_stuff164k", "cocostuff164k", "cocostuff", "COCO-Stuff", "coco_stuff", "coco", ".")
    layout = (
        "Expected in it: images/train2017/*.jpg with annotations/train2017/*.png (or *_labelTrainIds.png), and the "
        "same for val2017."
    )
    help = (
        "Get it with 'python -m bench data prepare cocostuff164k --root FOLDER', or unzip train2017.zip and "
        f"val2017.zip of {_COCO} in FOLDER/coco_stuff164k/images and "
        f"{_CALVIN}/stuffthingmaps_trainval2017.zip in FOLDER/coco_stuff164k/annotations. "
        "Then name FOLDER with --data-root or the environment variable BENCH_DATA."
    )
    info = _info(f"COCO-Stuff 164k (Caesar et al.), {_LABELS_LICENCE}, {_IMAGES_LICENCE}", ("train", "val"), "val")
    published_counts = {"train": 118_287, "val": 5000}
    published = ".png"
    label_values = {IGNORED: IGNORED} | {label_id - 1: index for index, label_id in enumerate(_IDS)}
    converted_values = {IGNORED: IGNORED} | {index: index for index in range(len(_IDS))}
    archives = (
        Archive(
            f"{_COCO}/train2017.zip",
            folder="coco_stuff164k/images",
            bytes=19_336_861_798,
            checksum="sha256:69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
            licence=_IMAGES_LICENCE,
        ),
        Archive(
            f"{_COCO}/val2017.zip",
            folder="coco_stuff164k/images",
            bytes=815_585_330,
            checksum="sha256:4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
            licence=_IMAGES_LICENCE,
        ),
        Archive(
            f"{_CALVIN}/stuffthingmaps_trainval2017.zip",
            folder="coco_stuff164k/annotations",
            licence=_LABELS_LICENCE,
        ),
    )

    def is_here(self, place: Path) -> bool:
        """Tell whether a folder is COCO-Stuff 164k."""
        return _has(place, "train2017", "val2017")

    def pairs(self, name: str) -> list[FilePair]:
        """List the files of a split."""
        images, labels = self._halves(f"{name}2017")
        return pairs_of_folders(images, labels, IMAGE_ENDINGS, (self.published, _TRAIN_IDS), self.layout)


def _existing(path: Path, other: Path) -> Path:
    """Return the second path where only that one exists, else the first."""
    return other if other.is_file() and not path.is_file() else path
