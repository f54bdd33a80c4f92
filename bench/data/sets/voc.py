"""PASCAL VOC 2012, with the extra annotations of SBD."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path, PurePosixPath

from bench.base.errors import BenchError, capped
from bench.data.base import datasets
from bench.data.facts import Archive, DatasetInfo
from bench.data.read.files import FilePair
from bench.data.read.palette import voc_colormap
from bench.data.read.standard import StandardData, read_lines, with_suffix_that_exists

_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
_LISTS = Path("ImageSets", "Segmentation")
_OFFICIAL, _AUGMENTED = "SegmentationClass", "SegmentationClassAug"
_AUGMENTED_LISTS = ("trainaug.txt", "train_aug.txt")
_SBD_FOLDERS = (
    "benchmark_RELEASE/dataset",
    "sbd/benchmark_RELEASE/dataset",
    "SBD/benchmark_RELEASE/dataset",
    "sbd",
    "SBD",
)


@datasets.register("voc2012")
class Voc2012(StandardData):
    """PASCAL VOC 2012, 1464/1449 images, 21 classes with background; trainaug adds SBD for 10,582 in all.

    Everingham et al., IJCV 2015; SBD is Hariharan et al., ICCV 2011. The border between objects (255) is ignored.

    The split trainaug is VOC train with SBD train and val, less VOC val. It is read from the list ``trainaug.txt`` or
    ``train_aug.txt`` beside the other lists, or else put together from the lists of SBD; either way it is in order of
    the names, so that both give the same training. A label of it is the PNG of ``SegmentationClassAug``, or else that
    of ``SegmentationClass``, or else SBD's own ``cls/<name>.mat``, which has no ignored border. The other splits prefer
    ``SegmentationClass``.

    Args:
        locations: data roots to look in: ``<root>/VOCdevkit/VOC2012``, ``<root>/VOC2012`` and such, then the root
            itself. SBD is looked for in and beside the root and the dataset's folder, as ``benchmark_RELEASE/dataset``,
            ``sbd`` or ``SBD``.
        folder: look for ``<root>/<folder>`` alone, for example a copy at another size.
    """

    name = "voc2012"
    places = (
        "VOCdevkit/VOC2012",
        "VOC2012",
        "voc/VOCdevkit/VOC2012",
        "VOC/VOCdevkit/VOC2012",
        "voc2012/VOCdevkit/VOC2012",
        "voc2012",
        "VOCAug",
        ".",
    )
    layout = (
        "Expected in it: JPEGImages, SegmentationClass and ImageSets/Segmentation with train.txt, val.txt, "
        "trainval.txt (one name a line); for trainaug also SegmentationClassAug with trainaug.txt, or SBD."
    )
    help = (
        "Get it with 'python -m bench data prepare voc2012 --root FOLDER', or unpack VOCtrainval_11-May-2012.tar from "
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2012 in FOLDER. Then name FOLDER with --data-root or the "
        "environment variable BENCH_DATA."
    )
    info = DatasetInfo(
        class_names=_CLASSES,
        palette=voc_colormap(len(_CLASSES)),
        mean=(0.485, 0.456, 0.406),  # ImageNet's, with which papers normalise
        std=(0.229, 0.224, 0.225),
        splits=("train", "trainaug", "val", "trainval"),
        source="PASCAL VOC 2012 (Everingham et al.), with SBD (Hariharan et al.); photographs under Flickr's terms of "
        "use",
    )
    label_values = {index: index for index in range(len(_CLASSES))} | {255: info.ignore_index}
    published_counts = {"train": 1464, "trainaug": 10_582, "val": 1449, "trainval": 2913}
    archives = (
        Archive(
            "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
            bytes=1_999_639_040,
            checksum="md5:6cd6e144f989b92b3379bac3b3de84fd",
            licence="photographs under Flickr's terms of use",
        ),
        Archive(
            "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz",
            bytes=1_419_539_633,
            checksum="md5:82b4d87ceb2ed10f6038a1cba92111cb",
            licence="annotations of photographs of PASCAL VOC, which are under Flickr's terms of use",
        ),
    )

    def is_here(self, place: Path) -> bool:
        """Tell whether a folder is VOC."""
        return (place / _LISTS).is_dir() and (place / "JPEGImages").is_dir()

    def pairs(self, name: str) -> list[FilePair]:
        """Read a list, or put trainaug together."""
        if name == "trainaug":
            return [self._pair(stem, self._augmented_label(stem)) for stem in sorted(self._augmented())]
        stems = self._listed(self.root / _LISTS / f"{name}.txt")
        return [self._pair(stem, self._label(stem, (_OFFICIAL, _AUGMENTED))) for stem in stems]

    def _pair(self, stem: str, label: Path) -> FilePair:
        return FilePair(stem, with_suffix_that_exists(self.root / "JPEGImages" / f"{stem}.jpg"), label)

    def _label(self, stem: str, folders: Iterable[str]) -> Path:
        candidates = [self.root / folder / f"{stem}.png" for folder in folders]
        return _first(candidates) or candidates[0]

    def _augmented_label(self, stem: str) -> Path:
        label = self._label(stem, (_AUGMENTED, _OFFICIAL))
        if label.is_file() or self._sbd is None:
            return label
        matrix = self._sbd / "cls" / f"{stem}.mat"
        # Where nothing is found, the file that is told missing is one of a folder that is there.
        return label if not matrix.is_file() and label.parent.is_dir() else matrix

    def _augmented(self) -> list[str]:
        """Return the names of trainaug in any order.

        Raises:
            BenchError: there is neither a list nor SBD, or a list cannot be understood.
        """
        lists = [self.root / _LISTS / name for name in _AUGMENTED_LISTS]
        listing = _first(lists)
        if listing is not None:
            return self._listed(listing)
        if self._sbd is None:
            looked = ", ".join(str(path) for path in (*lists, *self._sbd_places()))
            raise BenchError(
                f"the split trainaug of {self.name} needs a list or the annotations of SBD. Looked for: {looked}. "
                f"Get SBD from {self.archives[1].url} and unpack it into the data root."
            )
        train, held_out = (self._listed(self.root / _LISTS / f"{name}.txt") for name in ("train", "val"))
        extra = [stem for name in ("train", "val") for stem in self._listed(self._sbd / f"{name}.txt")]
        return list({*train, *extra} - {*held_out})

    @cached_property
    def _sbd(self) -> Path | None:
        """SBD's folder, the one with ``cls`` and the lists."""
        places = self._sbd_places()
        return next((place for place in places if (place / "cls").is_dir() and (place / "train.txt").is_file()), None)

    def _sbd_places(self) -> list[Path]:
        roots = self.locations.data_roots
        bases = [*roots, self.root, self.root.parent, *(root.absolute().parent for root in roots)]
        return [base / folder for base in dict.fromkeys(bases) for folder in _SBD_FOLDERS]

    def _listed(self, listing: Path) -> list[str]:
        """Return the names of a list: one a line, or the paths of image and label."""
        stems, problems = [], []
        for number, line in enumerate(read_lines(listing, self.layout), start=1):
            names = {PurePosixPath(part.replace("\\", "/")).stem for part in line.split()}
            if len(names) == 1:
                stems.append(names.pop())
            elif names:
                problems.append(
                    f"{listing}:{number}: expected a name or 'JPEGImages/NAME.jpg SegmentationClassAug/NAME.png', "
                    f"got '{line.strip()}'"
                )
        if problems:
            raise BenchError(*capped(problems))
        return stems


def _first(paths: Iterable[Path]) -> Path | None:
    return next((path for path in paths if path.is_file()), None)
