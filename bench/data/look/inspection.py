"""What is in a dataset: counts, sizes, classes; what is wrong with it and what is worth a second look."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError, describe_error
from bench.data.base import Samples, SegmentationData
from bench.data.facts import DatasetInfo, Verdict
from bench.data.read.checking import faulty_names, read_all, span_of
from bench.data.read.depth import NoRangeError
from bench.data.read.duplicates import Duplicate, Print, Seen, find_duplicates, print_of
from bench.data.read.findings import LABEL_VALUES, count_labels, split_findings
from bench.data.read.labels import spans
from bench.data.read.verdict import judge_duplicates, judge_images, judge_labels, unranged

if TYPE_CHECKING:
    from torchvision import tv_tensors

Size = tuple[int, int]
"""Height and width in pixels."""

TRAIN = "train"
MUCH_IGNORED = 0.5
NEAR_EMPTY = 0.01
WILD_FACTOR = 4


@dataclass(frozen=True)
class SplitFacts:
    """One split in numbers; samples that cannot be read count in the first two alone.

    Attributes:
        split: its name.
        n_samples: number of samples.
        n_unreadable: how many of them cannot be used.
        smallest: size of the sample of fewest pixels; None where nothing could be read.
        median: size of the sample in the middle, by number of pixels.
        largest: size of the sample of most pixels.
        pixels: K numbers of pixels, by class.
        n_ignored: number of pixels with the ignore label.
        images: K numbers of images that show the class.
    """

    split: str
    n_samples: int
    n_unreadable: int
    smallest: Size | None
    median: Size | None
    largest: Size | None
    pixels: tuple[int, ...]
    n_ignored: int
    images: tuple[int, ...]

    @property
    def ignored_share(self) -> float:
        """Share of pixels that are ignored, 0..1; 0 where there are none."""
        return self.n_ignored / max(1, self.n_ignored + sum(self.pixels))


@dataclass(frozen=True)
class Remark:
    """Something that may be as it should be.

    Attributes:
        text: one sentence.
        names: all samples or classes that it is about.
    """

    text: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inspection:
    """What was found in some splits of a dataset.

    Attributes:
        class_names: K names.
        splits: facts of every split that could be opened.
        problems: what keeps the dataset from being used; all of it.
        duplicates: images that are there more than once, in one split or in several.
        warnings: what is worth a second look.
    """

    class_names: tuple[str, ...]
    splits: tuple[SplitFacts, ...]
    problems: tuple[str, ...]
    duplicates: tuple[Duplicate, ...]
    warnings: tuple[Remark, ...]


def inspect(
    data: SegmentationData,
    names: Sequence[str],
    progress: Callable[[str, int, int], None] | None = None,
    used: Sequence[str] | None = None,
) -> Inspection:
    """Read every sample of the named splits.

    Args:
        data: the dataset.
        names: splits.
        progress: called with a split, how many of its samples were read, and how many it has.
        used: the split that is trained on and the one that is scored; train and the one that papers report if left out.

    Raises:
        BenchError: none of the splits can be opened.
    """
    opened, problems = _opened(data, names)
    together, remarks = _together(data, tuple(opened))
    problems += together
    tallies = []
    for name, samples in opened.items():
        problems += [f"the {name} split is empty"] if len(samples) == 0 else faulty_names(name, samples)
        tally = _Tally(name, len(samples), data.info.ignore_index)
        for position, outcome in enumerate(read_all(_Checked(samples, data.info), _look)):
            tally.add(position, samples.names[position], outcome)
            if progress is not None:
                progress(name, position + 1, len(samples))
        problems += tally.problems
        tallies.append(tally)
    problems += unranged([error for tally in tallies for error in tally.unread])
    files = {name: samples.files for name, samples in opened.items()}
    duplicates = tuple(find_duplicates({tally.split: tally.seen for tally in tallies}, files))
    found = _verdict(data, tallies, opened, (TRAIN, data.info.eval_split) if used is None else used)
    found += judge_duplicates(duplicates, data.shared_allowed)
    problems += found.problems
    facts = tuple(tally.facts(data.info.num_classes) for tally in tallies)
    warnings = [
        *_count_remarks(facts, getattr(data, "published_counts", {})),
        *_class_remarks(facts, data.info),
        *(remark for tally in tallies for remark in tally.remarks()),
        *remarks,
        *map(Remark, found.remarks),
        *_repeats(duplicates),
    ]
    return Inspection(data.info.class_names, facts, tuple(dict.fromkeys(problems)), duplicates, tuple(warnings))


def _verdict(
    data: SegmentationData, tallies: Sequence[_Tally], opened: Mapping[str, Samples], used: Sequence[str]
) -> Verdict:
    """Return what a run would tell of the splits in use, and of images of all splits that are not read whole."""
    read = {tally.split: tally for tally in tallies}
    found = {
        name: split_findings(tally.pixels.tolist(), opened[name].files, [one.place for one in tally.seen])
        for name, tally in read.items()
    }
    labels = {name: found[name].labels for name in used if name in found}
    return judge_labels(labels, data.info, used[0] if len(used) > 1 else None) + judge_images(
        found, span_of(opened.values())
    )


def _opened(data: SegmentationData, names: Sequence[str]) -> tuple[dict[str, Samples], list[str]]:
    """Return the splits that can be opened and what is wrong with the others."""
    lacking: BenchError | None = None
    try:
        data.require(names)
    except BenchError as error:  # single missing files are told, all of them, by reading
        lacking = error
    opened: dict[str, Samples] = {}
    problems: list[str] = []
    for name in names:
        try:
            opened[name] = data.split(name)
        except BenchError as error:
            problems += error.problems
    if not opened:
        raise lacking or BenchError(*dict.fromkeys(problems))
    return opened, problems


def _together(data: SegmentationData, names: Sequence[str]) -> tuple[tuple[str, ...], list[Remark]]:
    """Return what is wrong with the files taken together and what is worth a second look in their headers."""
    try:
        return data.faults(names), [Remark(text) for text in data.remarks(names)]
    except BenchError:  # files are missing, which reading tells
        return (), []


@dataclass(frozen=True)
class _Read:
    size: Size
    counts: NDArray[np.int64]
    print: Print


def _look(image: tv_tensors.Image, mask: tv_tensors.Mask) -> _Read:
    height, width = mask.shape[-2:]
    return _Read((height, width), count_labels(mask.numpy()), print_of(image))


class _Checked(Samples):
    """Samples whose every fault is a BenchError that names the sample; plug-ins may raise or return anything.

    Args:
        samples: one split.
        info: of its dataset.
    """

    def __init__(self, samples: Samples, info: DatasetInfo) -> None:
        self.samples, self.info, self.names = samples, info, samples.names

    def __getitem__(self, index: int) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
        """Return the pair at ``index``."""
        name = self.names[index]
        try:
            image, mask = self.samples[index]
            fault = self._fault(image, mask)
        except BenchError:
            raise
        except Exception as error:
            raise BenchError(f"{name}: {describe_error(error)}") from error
        if fault:
            raise BenchError(f"{name}: {fault}")
        return image, mask

    def _fault(self, image: tv_tensors.Image, mask: tv_tensors.Mask) -> str:
        kinds = (str(image.dtype), str(mask.dtype))
        if kinds != ("torch.uint8", "torch.uint8") or image.ndim != 3 or image.shape[0] != 3 or mask.ndim != 2:
            return f"expected 3 x H x W and H x W of uint8, got {tuple(image.shape)} and {tuple(mask.shape)} of {kinds}"
        if image.shape[-2:] != mask.shape:
            return f"image {tuple(image.shape[-2:])} and labels {tuple(mask.shape)} differ in height or width"
        values = np.unique(mask.numpy())
        outside = values[(values >= self.info.num_classes) & (values != self.info.ignore_index)]
        if len(outside):
            return f"labels outside the classes 0..{self.info.num_classes - 1}: {spans(outside.tolist())}"
        return ""


@dataclass
class _Tally:
    """What was seen of one split so far; the arrays are by label value."""

    split: str
    n_samples: int
    ignore_index: int
    problems: list[str] = field(default_factory=list)
    sizes: list[tuple[Size, str]] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    unread: list[NoRangeError] = field(default_factory=list)
    labelled: list[tuple[float, str]] = field(default_factory=list)
    pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(LABEL_VALUES, np.int64))
    images: NDArray[np.int64] = field(default_factory=lambda: np.zeros(LABEL_VALUES, np.int64))

    def add(self, index: int, name: str, outcome: _Read | BenchError) -> None:
        """Count one sample."""
        if isinstance(outcome, NoRangeError):
            self.unread.append(outcome)
            return
        if isinstance(outcome, BenchError):
            self.problems += [f"{self.split}: {problem}" for problem in outcome.problems]
            return
        self.sizes.append((outcome.size, name))
        self.seen.append(Seen(index, name, outcome.print))
        share_ignored = outcome.counts[self.ignore_index] / max(1, outcome.counts.sum())
        self.labelled.append((float(1 - share_ignored), name))
        self.pixels += outcome.counts
        self.images += outcome.counts > 0

    def facts(self, num_classes: int) -> SplitFacts:
        """Return the numbers of the split."""
        sizes = sorted((size for size, _ in self.sizes), key=lambda size: (size[0] * size[1], size))
        return SplitFacts(
            split=self.split,
            n_samples=self.n_samples,
            n_unreadable=self.n_samples - len(sizes),
            smallest=sizes[0] if sizes else None,
            median=sizes[len(sizes) // 2] if sizes else None,
            largest=sizes[-1] if sizes else None,
            pixels=tuple(self.pixels[:num_classes].tolist()),
            n_ignored=int(self.pixels[self.ignore_index]),
            images=tuple(self.images[:num_classes].tolist()),
        )

    def remarks(self) -> Iterator[Remark]:
        """Yield what is unusual about the samples."""
        blank = tuple(name for share, name in self.labelled if share == 0)
        if blank:
            yield Remark(f"{self.split}: all labels of {_images(len(blank))} are ignored", blank)
        sparse = tuple(name for share, name in self.labelled if 0 < share < NEAR_EMPTY)
        if sparse:
            yield Remark(f"{self.split}: less than {NEAR_EMPTY:.0%} of {_images(len(sparse))} is labelled", sparse)
        for axis, word in enumerate(("height", "width")):
            ordered = sorted((size[axis], name) for size, name in self.sizes)
            if ordered and ordered[-1][0] > WILD_FACTOR * ordered[0][0]:
                (least, smallest), (most, largest) = ordered[0], ordered[-1]
                yield Remark(f"{self.split}: {word}s go from {least} to {most} pixels", (smallest, largest))


def _images(count: int) -> str:
    return f"{count} image{'s' if count > 1 else ''}"


def _count_remarks(facts: Sequence[SplitFacts], published: Mapping[str, int]) -> Iterator[Remark]:
    for fact in facts:
        if fact.n_samples != published.get(fact.split, fact.n_samples):
            expected = published[fact.split]
            yield Remark(f"{fact.split}: {fact.n_samples} samples, as published it has {expected}")


def _class_remarks(facts: Sequence[SplitFacts], info: DatasetInfo) -> Iterator[Remark]:
    for fact in facts:
        if fact.ignored_share > MUCH_IGNORED:
            yield Remark(f"{fact.split}: {fact.ignored_share:.0%} of the pixels are ignored")
        absent = tuple(name for name, count in zip(info.class_names, fact.images, strict=True) if not count)
        if absent and fact.median and fact.split in (TRAIN, info.eval_split):
            yield Remark(f"{fact.split}: {len(absent)} of {info.num_classes} classes never occur", absent)


def _repeats(duplicates: Sequence[Duplicate]) -> Iterator[Remark]:
    """Yield the images that a split has more than once."""
    found: dict[str, list[str]] = {}
    for duplicate in duplicates:
        for split in dict.fromkeys(split for split, _ in duplicate.samples):
            names = [name for owner, name in duplicate.samples if owner == split]
            if len(names) > 1:
                found.setdefault(split, []).append(" = ".join(names))
    for split, groups in found.items():
        yield Remark(f"{split}: {_images(len(groups))} more than once", tuple(groups))
