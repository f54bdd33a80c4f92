"""From a matrix's dataset to the dataset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.base.errors import BenchError, unknown
from bench.base.registry import datasets
from bench.data.base import Data
from bench.data.facts import Locations
from bench.matrix.cell import DatasetSpec
from bench.matrix.schema import DatasetEntry
from bench.models.base import IMAGENET_MEAN, IMAGENET_STD


def build_dataset(entry: DatasetEntry, locations: Locations, base: Path) -> tuple[Data, DatasetSpec]:
    """Return a matrix's dataset and its description; the files are not looked for.

    Args:
        entry: as in the matrix.
        locations: where datasets look for files.
        base: the matrix's folder.

    Raises:
        BenchError: nothing tells the classes, a split is unknown, or what is trained on would be scored.
    """
    known = datasets.get(entry.name)
    given = known.options.resolve(entry.options)
    data: Data = known.builder(replace(locations, base=base), **given)
    if entry.normalization == "imagenet":
        data.info = replace(data.info, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    data.shared_allowed = entry.shared_images == "allowed"
    evaluated = entry.eval_split or data.info.eval_split
    problems = [
        f"dataset.{key}: {unknown(f'split of {entry.name}', split, data.info.splits)}"
        for key, split in (("train_split", entry.train_split), ("eval_split", evaluated))
        if split not in data.info.splits
    ]
    if entry.train_split == evaluated:
        problems.append(f"dataset.eval_split: '{evaluated}' is trained on; evaluate on another split")
    if problems:
        raise BenchError(*problems)
    spec = DatasetSpec(
        name=entry.name,
        options=data.key_options(given),
        paths={key: value for key, value in given.items() if key in data.paths},
        train_split=entry.train_split,
        eval_split=evaluated,
        normalization=entry.normalization,
        shared_images=entry.shared_images,
    )
    return data, spec
