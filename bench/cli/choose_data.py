"""Which dataset a command is about: a name with options, or the one of a matrix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.base import options
from bench.base.errors import BenchError, describe_error, unknown
from bench.base.registry import datasets, load_plugins
from bench.data.base import Data, SegmentationData, TargetSamples
from bench.data.facts import Locations
from bench.data.read.files import FileSamples
from bench.matrix.matrix import load_matrix
from bench.matrix.overrides import apply_override
from bench.matrix.settings import Settings

_KEY = "dataset"


@dataclass(frozen=True)
class DatasetChoice:
    """A dataset, built.

    Attributes:
        name: registered name.
        options: all of its options.
        data: the dataset.
        splits: those of the matrix; None where a name was given.
    """

    name: str
    options: dict[str, Any]
    data: Data
    splits: tuple[str, ...] | None = None

    @property
    def main_splits(self) -> tuple[str, ...]:
        """The splits that a training uses: those of the matrix, else train and the one that papers report."""
        info = self.data.info
        wanted = tuple(dict.fromkeys(split for split in ("train", info.eval_split) if split in info.splits))
        return self.splits or wanted or info.splits

    def require_splits(self, names: Sequence[str]) -> None:
        """Refuse splits that the dataset does not have.

        Raises:
            BenchError: naming the nearest.
        """
        known = self.data.info.splits
        problems = [
            f"--split {name}: {unknown(f'split of {self.name}', name, known)}" for name in names if name not in known
        ]
        if problems:
            raise BenchError(*problems)

    def require_masks(self, command: str) -> None:
        """Refuse a dataset of another task than segmentation.

        Args:
            command: what asks, for the message.

        Raises:
            BenchError: with the dataset's task.
        """
        if not isinstance(self.data, SegmentationData):
            raise BenchError(f"{self.name} is of the task {self.data.task}; {command} looks at masks alone")

    def open_split(self, name: str) -> TargetSamples[Any]:
        """Return a split, although some of its files may be missing.

        Raises:
            BenchError: nothing of it is here; what, where it was looked for, and how to get it.
        """
        try:
            self.data.require((name,))
        except BenchError as lacking:
            try:
                return self.data.split(name)
            except BenchError:
                raise lacking from None
        return self.data.split(name)


def choose_dataset(
    name: str | None, matrix: str | None, overrides: Sequence[str], plugins: Sequence[Path], settings: Settings
) -> DatasetChoice:
    """Build the dataset of a name, or of a matrix as a run would.

    Args:
        name: registered name.
        matrix: a YAML file or the name of a preset, instead of a name.
        overrides: ``option=value`` or ``dataset.option=value`` texts.
        plugins: files that register further datasets.
        settings: folders.

    Raises:
        BenchError: both or none are given, the name or an option is unknown, the matrix has mistakes.
    """
    if (name is None) == (matrix is None):
        raise BenchError("name a dataset, or a matrix with --matrix FILE, and not both")
    load_plugins(plugins)
    texts = [text if text.startswith(f"{_KEY}.") else f"{_KEY}.{text}" for text in overrides]
    if matrix is not None:
        return _of_matrix(matrix, texts, settings)
    given: dict[str, Any] = {_KEY: {}}
    for text in texts:
        apply_override(given, text)
    return build(str(name), given[_KEY], settings)


def disjoint_splits(chosen: DatasetChoice) -> tuple[tuple[str, ...], list[str]]:
    """Return the splits to check where none are named, and why others are left out.

    Those that a training uses are always among them. Of the others, those that are here and share no sample with one
    before: some datasets offer their samples in several splits.
    """
    taken = list(chosen.main_splits)
    notes: list[str] = []
    others = () if chosen.splits else tuple(name for name in chosen.data.info.splits if name not in taken)
    seen = {name: _files(samples) for name, samples in _openable(chosen.data, taken, notes=[])}
    for name, samples in _openable(chosen.data, others, notes):
        files = _files(samples)
        owner = next((split for split in seen if seen[split] & files), None)
        if owner is not None:
            notes.append(f"{name} was not read, as it shares samples with {owner} (--split {name} reads it)")
            continue
        seen[name] = files
        taken.append(name)
    return (chosen.splits or tuple(name for name in chosen.data.info.splits if name in taken)), notes


def _files(samples: TargetSamples[Any]) -> set[Path]:
    """Return the image files of a split; names alone tell nothing, as many datasets number each split from 0."""
    return {pair.image for pair in samples.pairs} if isinstance(samples, FileSamples) else set()


def _openable(data: Data, names: Sequence[str], notes: list[str]) -> Iterator[tuple[str, TargetSamples[Any]]]:
    for name in names:
        try:
            yield name, data.split(name)
        except BenchError as error:
            notes.append(f"{name} is not here: {error.problems[0] if error.problems else ''}")


def build(name: str, given: dict[str, Any], settings: Settings) -> DatasetChoice:
    """Build a dataset by name.

    Raises:
        BenchError: the name or an option is unknown, or a value is not allowed.
    """
    entry = datasets.get(name)
    try:
        resolved = entry.options.resolve(given)
    except ValidationError as error:
        found = options.sentences(error, entry.options.schema)
        raise BenchError(
            *(f"{name}: {'.'.join(map(str, path))}: {text} (--set option=value)" for path, text in found)
        ) from error
    return DatasetChoice(name, resolved, _built(entry.builder, settings.locations, resolved, name))


def _built(builder: Any, locations: Locations, resolved: dict[str, Any], name: str) -> Data:
    try:
        data: Data = builder(locations, **resolved)
    except BenchError:
        raise
    except Exception as error:
        raise BenchError(f"dataset {name} cannot be built: {describe_error(error)}") from error
    return data


def _of_matrix(matrix: str, overrides: Sequence[str], settings: Settings) -> DatasetChoice:
    loaded = load_matrix(matrix, overrides, no_baseline=True)
    wanted = loaded.matrix.dataset
    locations = replace(settings.locations, base=loaded.path.parent)
    entry = datasets.get(wanted.name)
    resolved = entry.options.resolve(wanted.options)
    data = _built(entry.builder, locations, resolved, wanted.name)
    data.shared_allowed = wanted.shared_images == "allowed"
    splits = tuple(dict.fromkeys((wanted.train_split, wanted.eval_split or data.info.eval_split)))
    return DatasetChoice(wanted.name, resolved, data, splits)
