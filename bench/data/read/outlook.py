"""What a check of files will tell, as far as that can be known without reading all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.files import digest
from bench.base.threads import reading_threads
from bench.data.base import SegmentationData
from bench.data.facts import DatasetInfo, Verdict
from bench.data.read.checking import known_findings, remember, span_of
from bench.data.read.files import FileSamples
from bench.data.read.findings import LABEL_VALUES, count_labels
from bench.data.read.verdict import judge, judge_labels, unlabelled

MOST_COUNTED = 500
"""Masks of a dataset that are read at most: a plan is not to take as long as a run."""
MOST_LOOKED_UP = 20_000
"""Samples whose files are looked up at most, to see whether one changed since the last check: a second's work."""


def outlook(data: SegmentationData, names: Sequence[str], cache: Path) -> Verdict:
    """Return what a check of the named splits will tell: all of it where they passed one, else what labels tell.

    The labels of small splits are counted, once until a file changes; in larger ones a labelled pixel is looked for.
    Of faults that :meth:`~bench.data.base.Data.missing` tells, nothing is said.

    Args:
        data: a dataset of files.
        names: the split that is trained on, then the one that is scored.
        cache: folder where what was found is remembered.
    """
    try:
        splits = {name: files for name in names if (files := data.split(name).files) is not None}
        n_samples = sum(map(len, splits.values()))
        findings = known_findings(splits, cache) if n_samples <= MOST_LOOKED_UP else None
        if findings is not None:
            return judge(findings, data.info, span_of(splits.values()), data.shared_allowed)
        if n_samples > MOST_COUNTED:
            return _larger(splits, data.info)
        labels = {name: _counted(files, cache) for name, files in splits.items()}
        return judge_labels(labels, data.info, next(iter(labels)) if len(labels) > 1 else None)
    except BenchError:
        return Verdict()


def _larger(splits: Mapping[str, FileSamples], info: DatasetInfo) -> Verdict:
    problems = []
    for position, (name, files) in enumerate(splits.items()):
        places = np.linspace(0, len(files) - 1, min(len(files), MOST_COUNTED)).astype(int).tolist()
        if not any(_labels(files, place)[: info.num_classes].any() for place in places):
            some = "" if len(places) == len(files) else f" (in the {len(places)} masks that were looked at)"
            problems.append(unlabelled(name, trained=position == 0) + some)
    return Verdict(tuple(problems))


def _counted(files: FileSamples, cache: Path) -> list[int]:
    """Return the number of pixels by label value; they are read where they are not remembered.

    Raises:
        BenchError: a mask cannot be read.
    """
    kept = cache / "labels" / digest(files.stamp(), 32)
    try:
        counts = json.loads(kept.read_text(encoding="utf-8"))
        if isinstance(counts, list) and len(counts) == LABEL_VALUES and all(isinstance(n, int) for n in counts):
            return counts
    except (OSError, ValueError):
        pass
    with reading_threads() as pool:
        found = sum(pool.map(lambda index: _labels(files, index), range(len(files))), np.zeros(LABEL_VALUES, np.int64))
    remember(kept, json.dumps(found.tolist()))
    return [int(count) for count in found]


def _labels(files: FileSamples, index: int) -> NDArray[np.int64]:
    return count_labels(files.labels.read(files.pairs[index].label))
