"""What follows from what reading the samples found: problems that end a run, and what is worth knowing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from bench.data.facts import SHARED_ALLOWED, DatasetInfo, Verdict
from bench.data.read.depth import FEW_LEVELS, NoRangeError, Span, n_levels, suggested
from bench.data.read.duplicates import Duplicate
from bench.data.read.findings import Deep, Findings, SplitFindings

SHOWN_NAMES = 5
_MUCH = 0.2


def judge(findings: Findings, info: DatasetInfo | None, span: Span | None, shared_allowed: bool) -> Verdict:
    """Return what follows from what was found.

    Args:
        findings: of the split that is trained on, then of the one that is scored.
        info: of the dataset; None tells nothing of labels.
        span: the range by which an option has images of more than 8 bits read.
        shared_allowed: whether the matrix allows one image in two splits.
    """
    labels = {} if info is None else {name: split.labels for name, split in findings.splits.items()}
    trained = next(iter(labels)) if len(labels) > 1 else None
    of_labels = Verdict() if info is None else judge_labels(labels, info, trained)
    return of_labels + judge_images(findings.splits, span) + judge_duplicates(findings.duplicates, shared_allowed)


def judge_labels(labels: Mapping[str, Sequence[int]], info: DatasetInfo, trained: str | None) -> Verdict:
    """Return which splits have nothing to learn from or to score, and which classes cannot be learnt.

    Args:
        labels: number of pixels by label value, of the splits in use.
        info: of the dataset.
        trained: the split that is trained on; None where one is scored alone.
    """
    shown = {split: _classes(counts, info) for split, counts in labels.items()}
    problems = tuple(
        unlabelled(split, trained=split == trained) for split in labels if not shown[split] and any(labels[split])
    )
    remarks = []
    known = shown.get(trained or "", set())
    for split in shown:
        if known and (missing := sorted(shown[split] - known)):
            names = _some([info.class_names[index] for index in missing])
            classes = "a class that is" if len(missing) == 1 else f"{len(missing)} classes that are"
            remarks.append(f"{trained} has no pixel of {classes} in {split}, so no student can learn it: {names}")
    return Verdict(problems, tuple(remarks))


def unlabelled(split: str, *, trained: bool) -> str:
    """Return the sentence for a split without any labelled pixel."""
    lost = "there is nothing to learn from" if trained else "there is nothing to score"
    key = "train_split" if trained else "eval_split"
    return (
        f"the {split} split has no labelled pixel, so {lost}: all of its labels are ignored. Look at its masks and at "
        f"what is ignored, or name another split: {key}."
    )


def _classes(counts: Sequence[int], info: DatasetInfo) -> set[int]:
    return {index for index in range(info.num_classes) if counts[index] and index != info.ignore_index}


def judge_images(splits: Mapping[str, SplitFindings], span: Span | None) -> Verdict:
    """Return what is to be told of images of more than 8 bits and of files of several pages."""
    deep = {name: split.deep for name, split in splits.items() if split.deep is not None}
    of_range = _judge_range(list(deep.values()), span) if deep else Verdict()
    return of_range + Verdict(remarks=tuple(_paged(splits)))


def _judge_range(deep: Sequence[Deep], span: Span | None) -> Verdict:
    n_images = sum(found.n_images for found in deep)
    levels = deep[0].levels
    for found in deep[1:]:
        levels = levels.around(found.levels)
    told = f"{n_images} {_images(n_images)} of more than 8 bits a channel"
    if span is not None:
        beyond = sum(found.n_beyond for found in deep)
        where = f"{beyond} of {n_images} images of more than 8 bits a channel"
        remark = f"values outside of {span.option} become black or white in {where}: they go from {levels}"
        return Verdict(remarks=(remark,) if beyond else ())
    wanted = suggested(levels, all(found.whole for found in deep))
    hint = f"Add under dataset: {wanted.option}"
    if (left := n_levels(levels)) < FEW_LEVELS:
        grey = f"{left} of 256 grey levels are" if left > 1 else "one grey level is"
        return Verdict(
            (f"{told} use only the values {levels}; read by the upper 8 of 16 bits, {grey} left of them. {hint}",)
        )
    dark = sum(found.n_dark for found in deep)
    if dark >= _MUCH * n_images:
        return Verdict(
            remarks=(
                f"{told}: {dark} of them have no value of 4096 or more and are read as nearly black; all use {levels}. "
                "Where they were made with fewer bits than the others, convert them to 8 bits",
            )
        )
    return Verdict()


def unranged(errors: Iterable[NoRangeError]) -> list[str]:
    """Return one sentence for all images whose values do not fit 0..65535 while no option tells their range."""
    found = list(errors)
    if not found:
        return []
    levels = found[0].levels
    for error in found[1:]:
        levels = levels.around(error.levels)
    whole = all(error.whole for error in found)
    example = found[0].problems[0].split(": ", 1)[0]
    hold = "1 image holds" if len(found) == 1 else f"{len(found)} images hold"
    return [
        f"{hold} {'whole' if whole else 'floating-point'} numbers from {levels}, and nothing tells which are black and "
        f"white, such as {example}. Add under dataset: {suggested(levels, whole).option}"
    ]


def _paged(splits: Mapping[str, SplitFindings]) -> Iterator[str]:
    for split, found in splits.items():
        for kind, several in (("image", found.images), ("mask", found.masks)):
            if several is not None:
                files = f"{several.n_files} {kind}{'s' if several.n_files > 1 else ''}"
                yield (
                    f"{split}: {files} of several pages, of which the first is read: {several.example} has "
                    f"{several.n_pages}"
                )


def judge_duplicates(duplicates: Sequence[Duplicate], shared_allowed: bool) -> Verdict:
    """Return the images that are in two splits; those of one colour teach nothing and are no fault."""
    pairs = [pair for duplicate in duplicates if not duplicate.constant for pair in duplicate.across]
    constant = [duplicate for duplicate in duplicates if duplicate.constant and duplicate.across]
    remarks = []
    if constant:
        n_images = len({sample for duplicate in constant for sample in duplicate.samples})
        (first, other), *_ = constant[0].across
        remarks.append(
            f"{n_images} images of a single colour are the same in two splits, such as {_both(first, other)}"
        )
    if pairs and shared_allowed:
        remarks.append(
            f"{SHARED_ALLOWED}: {len(pairs)} {_images(len(pairs))} of one split in another as well, such as "
            f"{_both(*pairs[0])}"
        )
        pairs = []
    return Verdict(tuple(shared_image(*pair) for pair in pairs), tuple(remarks))


def shared_image(first: tuple[str, str], second: tuple[str, str]) -> str:
    """Return the sentence for an image that is in two splits; both are given as split and name."""
    return (
        f"the same image is in two splits: {_both(first, second)}. Remove it from one of them; or, where the splits "
        f"are published so, add under dataset: {SHARED_ALLOWED}"
    )


def _both(first: tuple[str, str], second: tuple[str, str]) -> str:
    return f"{first[0]} ('{first[1]}') and {second[0]} ('{second[1]}')"


def _images(count: int) -> str:
    return "image" if count == 1 else "images"


def _some(names: Sequence[str]) -> str:
    left_out = len(names) - SHOWN_NAMES
    return ", ".join(names[:SHOWN_NAMES]) + (f" and {left_out} more" if left_out > 0 else "")
