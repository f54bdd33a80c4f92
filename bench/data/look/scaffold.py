"""A matrix for the user's own images: looking at the folders, then writing a commented YAML file for them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.base.errors import BenchError, capped
from bench.data.look.beside import unused_files
from bench.data.look.classing import Asked, Classing, ScoredClass, classing, numbers_of
from bench.data.look.headers import header_remarks
from bench.data.look.imagetally import ImageTally, tally_images
from bench.data.look.masktally import IGNORED, MaskTally, spread, tally, yaml_text
from bench.data.read.files import FilePair
from bench.data.read.foldertree import FolderTree, guess_suffix
from bench.data.read.labels import Colour
from bench.data.read.reading import read_size
from bench.data.read.scan import IMAGE_SUFFIXES, LOSSY_SUFFIXES, MASK_SUFFIXES, scan
from bench.data.read.turns import misfit

MOST_READ = 500
"""Masks that are read; where there are more, that many of them, evenly spaced."""
MASK_FOLDERS = ("masks", "mask", "labels", "label", "annotations", "annots", "semantic", "gt", "SegmentationClass")
EPOCHS, FEWEST, MOST = 80, 1000, 20000
LARGEST_CROP, STEP, SMALL_CROP = 512, 32, 128


@dataclass(frozen=True)
class Survey:
    """What was found in the folders.

    Attributes:
        tree: where images and masks lie.
        counts: number of samples by split.
        heights: of the images whose header was read.
        widths: of the same images.
        tally: what the masks hold.
        classes: in the order of their numbers or of the table.
        named_by: where the names come from; empty where they are made up.
        remarks: what is worth a look but no fault.
        threshold: the level that divides two classes, if one does.
        pictures: what the images hold besides their colours.
    """

    tree: FolderTree
    counts: Mapping[str, int]
    heights: Sequence[int]
    widths: Sequence[int]
    tally: MaskTally
    classes: tuple[ScoredClass, ...]
    named_by: str = ""
    remarks: tuple[str, ...] = field(default=())
    threshold: float | None = None
    pictures: ImageTally = field(default_factory=ImageTally)

    @property
    def evaluated(self) -> str:
        """The split that is scored."""
        return "val" if "val" in self.counts else "test"

    @property
    def drawn(self) -> bool:
        """Whether the masks are told apart by colours."""
        return isinstance(self.classes[0].key, tuple)


def survey(
    images: Path,
    masks: Path | None = None,
    *,
    mask_suffix: str | None = None,
    asked: Asked | None = None,
    lists: Path | None = None,
    val_share: float = 0.2,
) -> Survey:
    """Look at folders of images and masks.

    Args:
        images: folder of the images.
        masks: folder of the masks; looked for beside the images if left out.
        mask_suffix: what a mask's name has after its image's; found by comparing names if left out.
        asked: how classes are to be told; files with their names are looked for beside the masks if left out.
        lists: folder with train.txt and val.txt or test.txt.
        val_share: share of the images that become val where nothing else tells.

    Raises:
        BenchError: what keeps the data from being trained on; all at once.
    """
    asked = asked or Asked()
    tree = _tree(images, masks, mask_suffix, lists, val_share, lossy=asked.threshold is not None)
    pairs: dict[str, list[FilePair]] = {}
    problems = [*asked.problems(), *tree.problems()]
    if problems:
        raise BenchError(*problems)
    for split in tree.splits:
        try:
            pairs[split] = tree.pairs(split)
        except BenchError as error:
            problems += error.problems
            continue
        if not pairs[split]:
            problems.append(f"the {split} split is empty. Add images to it, or rename its folder.")
    if problems := [*dict.fromkeys(problems), *tree.shared(pairs)]:
        raise BenchError(*capped(problems))
    every = [pair for of_split in pairs.values() for pair in of_split]
    labels = [pair.label for pair in every]
    found = tally(labels, MOST_READ, asked.drawn, asked.threshold)
    sizes, misfits = _sizes(spread(every, MOST_READ))
    problems = [*found.problems, *misfits]
    shown = Classing(())
    try:
        if found.kinds or not found.problems:  # of masks that cannot be read nothing else is worth saying
            shown = classing(found, tree.masks, labels, asked)
    except BenchError as error:
        problems += error.problems
    if problems:
        raise BenchError(*capped(list(dict.fromkeys(problems))))
    pictures = tally_images([pair.image for pair in spread(every, MOST_READ)])
    counts = {split: len(of_split) for split, of_split in pairs.items()}
    heights, widths = [size[0] for size in sizes], [size[1] for size in sizes]
    named_by = "" if shown.named_by is None else str(shown.named_by)
    remarks = [*_remarks(tree, found, shown), *unused_files(tree, every, shown.looked_at)]
    remarks += [*header_remarks(spread(every, MOST_READ)), *pictures.remarks]
    return Survey(
        tree, counts, heights, widths, found, shown.classes, named_by, tuple(remarks), asked.threshold, pictures
    )


def _tree(
    images: Path, masks: Path | None, mask_suffix: str | None, lists: Path | None, val_share: float, lossy: bool
) -> FolderTree:
    if not images.is_dir():
        raise BenchError(f"--images {images}: no such folder")
    if masks is None:
        places = [parent / name for parent in (images.absolute().parent, images) for name in MASK_FOLDERS]
        masks = next((place for place in places if place.is_dir() and not place.samefile(images)), None)
        if masks is None:
            raise BenchError(
                f"no folder of masks beside or in {images} ({', '.join(MASK_FOLDERS)}). Name it: --masks DIR"
            )
    if not masks.is_dir():
        raise BenchError(f"--masks {masks}: no such folder")
    if mask_suffix is None:
        found = scan(images, IMAGE_SUFFIXES, skip=None if images.samefile(masks) else masks)
        mask_suffix = guess_suffix(found, scan(masks, LOSSY_SUFFIXES | MASK_SUFFIXES if lossy else MASK_SUFFIXES))
    return FolderTree(images, masks, mask_suffix, lists, val_share, lossy_masks=lossy)


def _sizes(pairs: Sequence[FilePair]) -> tuple[list[tuple[int, int]], list[str]]:
    """Return heights and widths by the images' headers, and the files that cannot be read or differ from their mask."""
    sizes: list[tuple[int, int]] = []
    problems: list[str] = []
    for pair in pairs:
        try:
            size, of_mask = read_size(pair.image), read_size(pair.label)
        except BenchError as error:
            problems += error.problems
            continue
        sizes.append(size)
        if size != of_mask:
            problems.append(misfit(pair.image, pair.label, size, of_mask))
    return sizes, problems


def _remarks(tree: FolderTree, found: MaskTally, shown: Classing) -> list[str]:
    remarks = list(shown.notes)
    if unused := tree.unused_masks():
        remarks.append(f"{len(unused)} masks belong to no image of a split, such as {unused[0]}: they are not used")
    if found.n_read < found.n_masks:
        remarks.append(
            f"{found.sampled} were read: a value that stands only in others is told when a run checks the data"
        )
    if shown.named_by is None:
        remarks.append("the classes have made-up names: put yours into the file")
    scored = numbers_of(shown.classes)
    if scored is not None:
        held = found.values if found.grey_values is None else found.grey_values
        if IGNORED in held and IGNORED not in scored:
            remarks.append(f"{IGNORED} is taken for unlabelled: it is neither trained on nor scored")
        if IGNORED in scored and len(scored) > 2:
            remarks.append(f"{IGNORED} is taken for a class, as the others are grey levels too: look whether it is one")
        absent = [item.name for item in shown.classes if not item.share]
        if absent:
            remarks.append(f"in none of the masks read: {', '.join(absent)}")
    return remarks


@dataclass(frozen=True)
class Figures:
    """The figures of a recipe that follow from the data.

    Attributes:
        crop: side of the random crop.
        batch_size: of training.
        iterations: of training.
        eval_batch_size: of the evaluation, which sees whole images.
        side: the smaller of median height and median width.
        epochs: how often each training image is seen.
    """

    crop: int
    batch_size: int
    iterations: int
    eval_batch_size: int
    side: int
    epochs: int


def figures(found: Survey) -> Figures:
    """Return the figures of a recipe for the images of a survey."""
    side = int(min(median(found.heights), median(found.widths)))
    crop = max(STEP, min(LARGEST_CROP, side // STEP * STEP))
    n_train = found.counts["train"]
    batch = min(16 if crop <= SMALL_CROP else 8, max(2, n_train))
    iterations = min(MOST, max(FEWEST, round(EPOCHS * n_train / batch / 100) * 100))
    largest = max(height * width for height, width in zip(found.heights, found.widths, strict=True))
    eval_batch = max(1, min(8, 8 * LARGEST_CROP**2 // largest))
    return Figures(crop, batch, iterations, eval_batch, side, max(1, round(iterations * batch / n_train)))


def matrix_text(found: Survey, path: Path) -> str:
    """Return a commented matrix for surveyed data.

    Args:
        found: the data.
        path: the file that the text is for; data below or beside it are named relative to its folder.
    """
    return "\n".join([*_dataset_lines(found, path), "", *_recipe_lines(figures(found)), "", *_PAIRS, ""])


def _shown_path(path: Path, base: Path) -> str:
    """Return a path relative to the matrix's folder where it lies below or beside it."""
    relative = Path(os.path.relpath(path.resolve(), base.resolve()))
    near = relative.parts.count(os.pardir) <= 1
    return (relative if near else path.resolve()).as_posix()


def _dataset_lines(found: Survey, path: Path) -> list[str]:
    tree, base = found.tree, path.absolute().parent
    shown = ", ".join(f"{count} {name}" for name, count in found.counts.items())
    lines = [
        f"# Your own images: {shown}. Written by `bench init`, which looked at {found.tally.sampled}.",
        "# Paths are looked up in the current folder, then in this file's.",
        "dataset:",
        "  name: folder",
        f"  title: {yaml_text(path.stem)}",
        f"  images: {yaml_text(_shown_path(tree.images, base))}",
        f"  masks: {yaml_text(_shown_path(tree.masks, base))}",
    ]
    if tree.mask_suffix:
        lines.append(f"  mask_suffix: {yaml_text(tree.mask_suffix)}    # a mask is called like its image with this")
    lines += _class_lines(found)
    if found.pictures.span is not None:
        lines.append(
            f"  {found.pictures.span.option}    # read as black and as white; the images use {found.pictures.levels}"
        )
    if tree.lists is not None:
        lines.append(f"  lists: {yaml_text(_shown_path(tree.lists, base))}")
    elif not tree.divided:
        lines.append(
            f"  val_share: {tree.val_share:g}    # no lists or subfolders tell the splits; the same share anywhere"
        )
        lines.append(f"  split_seed: {tree.split_seed}    # another number divides otherwise")
    lines.append(f"  eval_split: {found.evaluated}    # what is scored")
    return lines


def _class_lines(found: Survey) -> list[str]:
    source = f"names of {found.named_by}" if found.named_by else "made-up names: put yours here"
    if found.threshold is not None:
        rows = [
            f"    - {yaml_text(item.name)}    # {item.key} in the masks, {item.share:.2%} of the pixels"
            for item in found.classes
        ]
        line = f"  threshold: {found.threshold:g}    # darker is the first class, from this level on the second"
        return [f"  classes:    # {source}", *rows, line]
    if found.drawn:
        rows = [
            f"    {yaml_text(item.name)}: {list(_colour(item))}    # {item.share:.2%} of the pixels"
            for item in found.classes
        ]
        return [f"  colours:    # {source}", *rows, _ignored_colours(found)]
    rows = [
        f"    - {yaml_text(item.name)}    # {item.key} in the masks, {item.share:.2%} of the scored pixels"
        for item in found.classes
    ]
    values = [item.key for item in found.classes]
    lines = [f"  classes:    # {source}", *rows]
    if values != list(range(len(values))):
        lines.append(f"  values: {values}    # the number in the masks for each class, in the same order")
    if IGNORED not in values:
        lines.append(f"  ignore: [{IGNORED}]    # numbers that are neither trained on nor scored")
    return lines


def _colour(item: ScoredClass) -> Colour:
    if not isinstance(item.key, tuple):
        raise TypeError(f"{item.name} has no colour")
    return item.key


def _ignored_colours(found: Survey) -> str:
    white = (IGNORED, IGNORED, IGNORED)
    if found.tally.grey_values and white in found.tally.colours and white not in [item.key for item in found.classes]:
        return f"  ignore_colours: [{list(white)}]    # colours that are neither trained on nor scored"
    return "    # a colour that marks unlabelled pixels belongs here instead: ignore_colours: [[r, g, b]]"


def _recipe_lines(chosen: Figures) -> list[str]:
    return [
        "recipe:",
        f"  iterations: {chosen.iterations}    # each training image is seen about {chosen.epochs} times",
        f"  batch_size: {chosen.batch_size}    # images in a step; lower it where memory runs out",
        "  optimizer: {name: adamw, lr: 3e-3, weight_decay: 1e-4}    # as in the preset camvid-small",
        "  schedule: {name: poly, power: 0.9, warmup: 0.05}    # rises for 5 %, then falls to 0",
        "  augment:",
        "    scale: [0.5, 2.0]    # random size, so that objects are seen near and far",
        f"    crop: {chosen.crop}    # a multiple of {STEP}; the images' median shorter side is {chosen.side}",
        "    flip: 0.5    # take it out where left and right differ in meaning, as in digits or text",
        f"  eval_batch_size: {chosen.eval_batch_size}    # whole images are scored; fewer need less memory",
    ]


_PAIRS = [
    "pairs:    # these two are small enough for a CPU and need no download; the teacher is trained first",
    "  - {teacher: tiny_fpn_32, student: tiny_fpn_8}",
    "  # Larger, for a GPU; their ImageNet weights are fetched before the run. Try a lower lr for them, such as 3e-4:",
    "  # - {teacher: deeplabv3_r101_cirkd, student: deeplabv3_r18_cirkd}",
    "",
    "methods:    # `python -m bench list methods` shows all",
    "  - none    # the student alone: every gain is measured against it",
    "  - kd",
    "  - cwd",
    "",
    "seeds: [0, 1, 2]    # three runs of each tell a gain from chance",
]
