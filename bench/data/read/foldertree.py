"""Where the samples of a folder of images and a folder of masks lie, and which split each one belongs to."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.base.errors import BenchError, capped, unknown
from bench.data.facts import SHARED_ALLOWED
from bench.data.read.files import FilePair
from bench.data.read.imagenames import ImageNames
from bench.data.read.scan import IMAGE_SUFFIXES, LOSSY_SUFFIXES, MASK_SUFFIXES, NAMED, Files, scan, split_folders


def share_split(names: Sequence[str], share: float, seed: int) -> dict[str, list[str]]:
    """Divide names into train and val, at least one in each, the same for any order of the names.

    Every name has a place of its own in the order of hashes, so that one more name moves at most one other.

    Args:
        names: at least two.
        share: of the names that become val, between 0 and 1.
        seed: of the order.
    """
    order = sorted(names, key=lambda name: (hashlib.sha256(f"{seed}/{name}".encode()).digest(), name))
    n_val = min(max(1, round(share * len(order))), len(order) - 1)
    return {"train": sorted(order[n_val:]), "val": sorted(order[:n_val])}


@dataclass(frozen=True)
class FolderTree:
    """Images and masks below two folders.

    The splits are, in this order: those that ``lists`` names; subfolders of the images called train and val or test;
    a share of all images.

    Attributes:
        images: folder of the images.
        masks: folder of the masks; a mask has the path and stem of its image below it.
        mask_suffix: what a mask's stem has in addition, such as ``_mask``.
        lists: folder with train.txt and val.txt or test.txt.
        val_share: share of the images that become val where nothing else tells.
        split_seed: of that division.
        lossy_masks: whether masks may be JPEG.
    """

    images: Path
    masks: Path
    mask_suffix: str = ""
    lists: Path | None = None
    val_share: float = 0.2
    split_seed: int = 0
    lossy_masks: bool = False

    @cached_property
    def _list_files(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        if self.lists is not None:
            for name, spellings in (("train", ["train"]), ("val", ["val", "valid", "validation"]), ("test", ["test"])):
                there = [path for stem in spellings if (path := self.lists / f"{stem}.txt").is_file()]
                if there:
                    found[name] = there
        return found

    @cached_property
    def _image_folders(self) -> dict[str, list[Path]]:
        folders = split_folders(self.images) if self.lists is None else {}
        return folders if "train" in folders and len(folders) > 1 else {}

    @cached_property
    def divided(self) -> bool:
        """Whether lists or subfolders tell the splits."""
        return self.lists is not None or bool(self._image_folders)

    def unused_masks(self) -> list[Path]:
        """Return the masks that belong to no image of a split."""
        used = {os.path.realpath(pair.label) for name in self.splits for pair in self.pairs(name)}
        every = (path for paths in self._all_masks.values() for path in paths)
        return [path for path in every if os.path.realpath(path) not in used]

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that are there; train and val where that cannot be seen."""
        if self.lists is not None:
            return tuple(self._list_files) or ("train", "val")
        return tuple(self._image_folders) or ("train", "val")

    def problems(self) -> list[str]:
        """Return what keeps the splits from being told: missing folders and lists."""
        found = [
            f"{what}: no such folder: {path}. Give its path, relative to the current folder or to the matrix."
            for what, path in (("images", self.images), ("masks", self.masks), ("lists", self.lists))
            if path is not None and not path.is_dir()
        ]
        if found:
            return found
        if self._together and not self.mask_suffix:
            return [f"{self.images} is given for images and masks: set mask_suffix to what the masks' names end in."]
        if self.lists is not None and not {"train"} < self._list_files.keys():
            there = ", ".join(self._list_files) or "neither"
            found.append(f"{self.lists}: train.txt and val.txt (or test.txt) are needed, {there} is there.")
        for name, paths in (*self._list_files.items(), *self._image_folders.items()):
            if len(paths) > 1:
                found.append(f"{' and '.join(map(str, paths))}: both are called like the {name} split. Rename one.")
        return found

    @cached_property
    def _all_images(self) -> Files:
        if self._image_folders:
            found: dict[str, list[Path]] = defaultdict(list)
            for folders in self._image_folders.values():
                for key, paths in self._scan_images(folders[0]).items():
                    found[f"{folders[0].name}/{key}"] += paths
            return found
        return self._scan_images(self.images)

    @cached_property
    def _together(self) -> bool:
        return os.path.realpath(self.images) == os.path.realpath(self.masks)

    def _scan_images(self, root: Path) -> Files:
        if self._together:
            return scan(root, IMAGE_SUFFIXES, without=self.mask_suffix)
        return scan(root, IMAGE_SUFFIXES, skip=self.masks)

    @cached_property
    def _all_masks(self) -> Files:
        return self._scan_masks(self.masks)

    @property
    def _mask_suffixes(self) -> frozenset[str]:
        return MASK_SUFFIXES | LOSSY_SUFFIXES if self.lossy_masks else MASK_SUFFIXES

    def _scan_masks(self, root: Path) -> Files:
        return scan(root, self._mask_suffixes, ending=self.mask_suffix, skip=self.images)

    def _images_of(self, split: str) -> Files:
        """Return the images of a split, by the key that their masks have.

        Raises:
            BenchError: a list names what is not there.
        """
        if self._image_folders:
            return self._scan_images(self._image_folders[split][0])
        images = self._all_images
        if self.lists is not None:
            named = ImageNames(images, self.images).listed(self._list_files[split][0])
            return {key: images[key] for key in named}
        if len(images) < 2:
            raise BenchError(
                f"{self.images}: {len(images) or 'no'} image{'s' * (len(images) != 1)} "
                f"({', '.join(sorted(IMAGE_SUFFIXES))}) there or below; two are needed, one to train and one to score."
            )
        return {key: images[key] for key in share_split(list(images), self.val_share, self.split_seed)[split]}

    def _masks_of(self, split: str) -> tuple[Path, Files]:
        """Return the folder that holds the masks of a split, and them."""
        folders = split_folders(self.masks) if self._image_folders else {}
        if not folders:
            return self.masks, self._all_masks
        folder = folders[split][0] if split in folders else self.masks / self._image_folders[split][0].name
        return folder, self._scan_masks(folder)

    @cached_property
    def _known(self) -> dict[str, list[FilePair]]:
        return {}

    def pairs(self, split: str) -> list[FilePair]:
        """Return the samples of a split.

        Raises:
            BenchError: folders or lists are missing, a list names what is not there, an image has no mask or several,
                two images differ in their suffix alone.
        """
        if split not in self._known:
            if problems := self.problems():
                raise BenchError(*problems)
            if split not in self.splits:
                raise BenchError(unknown("split of folder", split, self.splits))
            self._known[split] = self._matched(split)
        return self._known[split]

    def _matched(self, split: str) -> list[FilePair]:
        images = self._images_of(split)
        folder, masks = self._masks_of(split)
        matched = images.keys() & masks.keys()
        every = images if self._image_folders else self._all_images
        if images and not every.keys() & masks.keys():
            raise BenchError(nothing_matches(every, folder, self.mask_suffix, self._mask_suffixes))
        problems = [
            f"{' and '.join(map(str, files[key]))}: {what} that differ in their suffix alone. Keep one of them."
            for files, what in ((images, "images"), (masks, "masks"))
            for key in sorted(images.keys() & files.keys())
            if len(files[key]) > 1
        ]
        problems += [
            f"{images[key][0]}: no mask for it, looked for {folder / key}{self.mask_suffix}.png (or another lossless "
            f"format). Add the mask, or take the image away.{self._lossy_hint(folder, key)}"
            for key in sorted(images.keys() - matched)
        ]
        if problems:
            raise BenchError(*capped(problems))
        return [FilePair(key, images[key][0], masks[key][0]) for key in sorted(matched)]

    def _lossy_hint(self, folder: Path, key: str) -> str:
        """Return what to say of a mask that is there as JPEG alone; empty where it is not."""
        there = (folder / f"{key}{self.mask_suffix}{suffix}" for suffix in sorted(LOSSY_SUFFIXES))
        found = next((path for path in there if path.is_file() and folder != self.images), None)
        return f" {found.name} is JPEG, which changes label values." if found is not None else ""

    def shared(self, splits: Mapping[str, Sequence[FilePair]]) -> list[str]:
        """Return the files that stand in two splits, which makes a score worthless.

        The same name in two subfolders is no fault as long as the files are different ones.
        """
        owners: dict[Path, str] = {}
        problems: dict[str, None] = {}
        for split, pairs in splits.items():
            for pair in pairs:
                for path in (pair.image, pair.label):
                    owner = owners.setdefault(path, split)
                    if owner != split:
                        where = f" ({self._list_files[owner][0]}, {self._list_files[split][0]})" if self.lists else ""
                        told = f"'{pair.name}' is in two splits, {owner} and {split}{where}: {path}. Keep one"
                        problems[f"{told}; or, where they are published so, add under dataset: {SHARED_ALLOWED}"] = None
                        break
        return list(problems)


def guess_suffix(images: Files, masks: Files) -> str:
    """Return what most masks have in addition to the key of an image; empty where that is nothing or unclear."""
    endings: Counter[str] = Counter()
    for mask in masks:
        longest = max((length for length in range(1, len(mask) + 1) if mask[:length] in images), default=0)
        if longest:
            endings[mask[longest:]] += 1
    most = endings.most_common(1)
    return most[0][0] if most and most[0][1] * 2 > min(len(images), len(masks)) else ""


def nothing_matches(images: Files, folder: Path, mask_suffix: str, suffixes: frozenset[str]) -> str:
    """Return the sentence for images of which none has a mask among files of some suffixes, with what may be wrong."""
    every = scan(folder, suffixes) if folder.is_dir() else {}
    called = ", ".join(path.name for paths in list(images.values())[:NAMED] for path in paths)
    told = f"none of the {len(images)} images has a mask in {folder}: the images are called {called}, "
    if not every:
        lossy = folder.is_dir() and scan(folder, LOSSY_SUFFIXES)
        hint = (
            "JPEG changes label values: store the masks in a lossless format such as PNG; or, where light and dark "
            "tell two classes, give a threshold: `threshold: 128` under dataset, --threshold 128 to init."
            if lossy
            else f"A mask is one of {', '.join(sorted(suffixes))}."
        )
        return f"{told}and there are no masks. {hint}"
    masks = ", ".join(paths[0].name for paths in list(every.values())[:NAMED])
    suffix = guess_suffix(images, every)
    hint = (
        f"Set mask_suffix: {suffix!r}."
        if suffix != mask_suffix
        else "A mask needs the path and name of its image, with mask_suffix after it."
    )
    return f"{told}the masks {masks}. {hint}"
