"""Datasets of the Hugging Face hub, or in a folder that its library reads."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Lt

from bench.base.errors import BenchError, capped, unknown
from bench.base.files import digest, write_atomic, write_json
from bench.base.text import install_hint
from bench.data.base import SegmentationData, datasets
from bench.data.facts import DatasetInfo, Locations
from bench.data.look.masktally import IGNORED, MAX_CLASSES, MaskTally, tally, yaml_text
from bench.data.read.checking import content_fingerprint
from bench.data.read.classfiles import read_names
from bench.data.read.depth import ImageRange, range_key, span_of_option
from bench.data.read.filedata import FileData
from bench.data.read.files import FilePair, FileSamples
from bench.data.read.labels import IndexLabels, Labels, spans
from bench.data.read.palette import voc_colormap
from bench.data.read.reading import MAX_RAW
from bench.data.sets.folder import IMAGENET_MEAN, IMAGENET_STD

IMAGE_COLUMNS = ("image", "img", "images", "pixel_values", "photo")
LABEL_COLUMNS = (
    *("annotation", "label", "mask", "segmentation", "annotations", "labels", "masks"),
    *("segmentation_mask", "semantic_mask", "semantic_segmentation", "label_map", "gt"),
)
EVALUATED = ("validation", "val", "valid", "dev", "test")
SUGGESTED_FROM = 100


@datasets.register_family("hf")
def hugging_face(
    name: str,
    locations: Locations,
    *,
    config: str | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    classes: tuple[str, ...] | str | None = None,
    ignore: Annotated[int, Ge(0), Lt(MAX_RAW)] | None = IGNORED,
    reduce_zero_label: bool = False,
    image_range: ImageRange = None,
) -> SegmentationData:
    """Build a dataset of the Hugging Face hub, or of a folder that its library reads; splits are the dataset's own.

    Args:
        name: on the hub, or a folder: saved by the library, or with parquet files or images in it.
        locations: a folder is looked up in the current folder, then in the matrix's.
        config: which part, for a dataset of several.
        image_column: where images are; found by its type and name if left out.
        label_column: where label images are; found by its type and name if left out.
        classes: names in order, an id2label.json, or a text file with a name a line.
        ignore: the number that is neither trained on nor scored.
        reduce_zero_label: 0 is not scored and every other number is one too high; ``classes`` does not name it.
        image_range: the values read as black and as white, in images of more than 8 bits; 0 and 65535 if left out.
    """
    return HuggingFaceData(
        locations,
        name=name,
        config=config,
        columns=(image_column, label_column),
        classes=classes,
        ignore=ignore,
        reduce_zero_label=reduce_zero_label,
        image_range=image_range,
    )


class HuggingFaceData(FileData):
    """A dataset that the library ``datasets`` loads; what :func:`hugging_face` builds.

    The images of the splits in use are written to the cache once, as they are stored, so that the files of two
    machines can be compared and workers read them without the library.
    """

    def __init__(
        self,
        locations: Locations,
        *,
        name: str,
        config: str | None,
        columns: tuple[str | None, str | None],
        classes: Sequence[str] | str | None,
        ignore: int | None,
        reduce_zero_label: bool,
        image_range: ImageRange = None,
    ) -> None:
        super().__init__(locations)
        self.name, self.config, self.columns, self.classes = name, config, columns, classes
        self.ignore, self.reduce_zero_label = ignore, reduce_zero_label
        self.title = f"hf:{name}"
        self.span = span_of_option(image_range, self.title)

    def key_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options that take part in a cell's key; the range of images only where it moves pixels."""
        return {key: value for key, value in given.items() if key != "image_range"} | range_key(self.span)

    @cached_property
    def _folder(self) -> Path | None:
        folder = self.locations.find(self.name)
        return folder if folder.is_dir() else None

    @cached_property
    def _loaded(self) -> Mapping[str, Any]:
        """The splits as the library holds them.

        Raises:
            BenchError: the library is missing, or it cannot load the dataset.
        """
        hub = library()
        folder, cache = self._folder, str(self.locations.cache / "huggingface" / "loaded")
        try:
            if folder is None:
                loaded = hub.load_dataset(self.name, self.config)
            elif (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
                loaded = hub.load_from_disk(str(folder))
            else:
                loaded = hub.load_dataset(str(folder.resolve()), self.config, cache_dir=cache)
        except Exception as error:  # the library raises whatever its readers do
            raise BenchError(_unloadable(self.title, folder, error)) from error
        return loaded if isinstance(loaded, dict) else {"train": loaded}

    @cached_property
    def _facts(self) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """Features by column and names of the splits, from the description where there is one, else from the data."""
        if self._folder is None and "_loaded" not in self.__dict__:
            hub = library()
            try:
                described = hub.load_dataset_builder(self.name, self.config).info
            except Exception as error:  # as above
                raise BenchError(_unloadable(self.title, None, error)) from error
            if described.features and described.splits:
                return described.features, tuple(described.splits)
        first = next(iter(self._loaded.values()))
        return first.features, tuple(self._loaded)

    @cached_property
    def _columns(self) -> tuple[str, str]:
        """The columns of images and of labels.

        Raises:
            BenchError: they cannot be told apart, or a given one is not there or holds no images.
        """
        features, _ = self._facts
        hub = library()
        pictures = [name for name, feature in features.items() if isinstance(feature, hub.Image)]
        chosen = list(self.columns)
        kinds = ", ".join(f"{name} ({type(feature).__name__})" for name, feature in features.items())
        for option, column in zip(("image_column", "label_column"), self.columns, strict=True):
            if column is not None and column not in pictures:
                raise BenchError(f"{self.title}: {option} '{column}' is no column of images. Columns: {kinds}")
        for place, known in ((1, LABEL_COLUMNS), (0, IMAGE_COLUMNS)):
            free = [name for name in pictures if name not in chosen]
            named = [name for word in known for name in free if name.lower() == word]
            if chosen[place] is None and named:
                chosen[place] = named[0]
        free = [name for name in pictures if name not in chosen]
        if None in chosen and len(free) == chosen.count(None) == 1:
            chosen[chosen.index(None)] = free[0]
        image, label = chosen
        if image is None or label is None or image == label:
            raise BenchError(
                f"{self.title}: it is not clear which columns hold images and labels. Add under dataset: "
                f"image_column: NAME and label_column: NAME. Columns: {kinds}"
            )
        return image, label

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The classes' names, in order.

        Raises:
            BenchError: neither an option nor the dataset tells them.
        """
        if isinstance(self.classes, str):
            path = self.locations.find(self.classes)
            names = read_id2label(path) if path.suffix.lower() == ".json" else read_names(path)
        elif self.classes is not None:
            names = tuple(self.classes)
        else:
            names = _named_in(self._facts[0][self._columns[1]])
        if not names:
            raise BenchError(self._untold())
        if not 2 <= len(names) <= MAX_CLASSES:
            raise BenchError(f"{self.title}: 2 to {MAX_CLASSES} classes are needed, {len(names)} given in classes.")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise BenchError(f"{self.title}: classes names {', '.join(twice)} twice. Give each class one name.")
        return names

    def _untold(self) -> str:
        told = f"{self.title}: the dataset does not name its classes. Add under dataset:"
        found = MaskTally()
        split = "train" if "train" in self._facts[1] else self._facts[1][0]
        found = tally([pair.label for pair in self._pairs(split)], SUGGESTED_FROM)
        scored = [v for v in found.values if v != self.ignore and not (v == 0 and self.reduce_zero_label)]
        if not scored:
            return f"{told} classes: [NAME, ...]"
        count = max(scored) + (not self.reduce_zero_label)
        shown = ", ".join(yaml_text(f"class_{index}") for index in range(min(count, MAX_CLASSES)))
        return (
            f"{told}\n    classes: [{shown}]\n  with names of your own, or the path of an id2label.json "
            f"({found.sampled} of {split} hold {spans(list(found.values))})"
        )

    @cached_property
    def info(self) -> DatasetInfo:  # type: ignore[override]
        """Facts that the options and the dataset's description tell.

        Raises:
            BenchError: the dataset cannot be had, or nothing names its classes.
        """
        splits = self._facts[1]
        rest = [name for name in splits if name != "train"]
        evaluated = next((name for name in EVALUATED if name in splits), (rest or splits)[0])
        return DatasetInfo(
            class_names=self.names,
            palette=voc_colormap(len(self.names)),
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            ignore_index=IGNORED,
            source=f"{self.title}, as the library datasets loads it; see the dataset's card for its licence",
            splits=splits,
            eval_split=evaluated,
        )

    @cached_property
    def labels(self) -> Labels:
        """How label images are read."""
        shift = int(self.reduce_zero_label)
        table = {0: IGNORED} if self.reduce_zero_label else {}
        table |= {index + shift: index for index in range(len(self.names))}
        return IndexLabels(table | ({} if self.ignore is None else {self.ignore: IGNORED}), IGNORED)

    def _pairs(self, split: str) -> list[FilePair]:
        """Return the files of a split, written from the dataset where they are not in the cache.

        Raises:
            BenchError: there is no such split, or rows without image or label; all are named.
        """
        if split not in self._loaded:
            raise BenchError(unknown(f"split of {self.title}", split, self._loaded))
        rows = self._loaded[split]
        key = digest([self.name, self.config, split, self._columns, rows._fingerprint], 32)
        folder = self.locations.cache / "huggingface" / "files" / key
        listing = folder / "files.json"
        try:
            files = json.loads(listing.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            files = []
        if not files or not all(os.path.isfile(path) for pair in files for path in pair):  # noqa: PTH113 - many
            files = _written(rows, list(self._columns), folder, self.title, split)
            write_json(listing, files)
        return [FilePair(f"{index:06d}", Path(image), Path(label)) for index, (image, label) in enumerate(files)]

    def require(self, names: Sequence[str]) -> None:
        """Load the named splits, from the hub where they are not here.

        Raises:
            BenchError: the dataset cannot be had, has no such split, or rows without image or label.
        """
        for name in names:
            self._pairs(name)

    def split(self, name: str) -> FileSamples:
        """Return one split.

        Raises:
            BenchError: there is no such split.
        """
        return FileSamples(self._pairs(name), self.labels, self.span)

    def fingerprint(self, names: Sequence[str]) -> str:
        """Return the digest of the named splits, bytes of images and labels, and of how labels are read."""
        content = content_fingerprint({name: self.split(name) for name in names}, self.locations.cache)
        return digest([content, list(self.names), self.labels.identity()])


def library() -> Any:
    """Return the library ``datasets``, which is imported when it is first needed.

    Raises:
        BenchError: it is not installed.
    """
    try:
        import datasets as hub
    except ImportError as error:
        raise BenchError(
            "datasets of the Hugging Face hub need the library 'datasets', which is not installed. "
            f"Install it: {install_hint('huggingface')}"
        ) from error
    return hub


def _stored(value: Any, path: Path) -> Path:
    """Return the file of a row's image, written to ``path`` where it lies inside the dataset's own files.

    Raises:
        LookupError: the row has none.
    """
    if value is None or (value["bytes"] is None and not value["path"]):
        raise LookupError
    if value["bytes"] is None:
        return Path(value["path"])
    # another process may be reading the same file; a dataset has too many of them to wait for the disk each time
    write_atomic(path, lambda file: file.write(value["bytes"]), durable=False)
    return path


def _named_in(feature: Any) -> tuple[str, ...]:
    """Return the class names that a column's own description holds, if any."""
    names = getattr(feature, "names", None) or getattr(getattr(feature, "feature", None), "names", None)
    return tuple(names or ())


def read_id2label(path: Path) -> tuple[str, ...]:
    """Return the names of a JSON file: a list, or numbers from 0 with a name each.

    Raises:
        BenchError: it is missing, or of another form.
    """
    layout = 'Write {"0": "road", "1": "car", ...}.'
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BenchError(f"{path}: no such file. {layout}") from None
    except (OSError, ValueError) as error:
        raise BenchError(f"{path}: cannot be read as JSON ({error}). {layout}") from error
    if isinstance(table, list):
        table = {str(index): name for index, name in enumerate(table)}
    numbers = isinstance(table, dict) and table.keys() == {str(index) for index in range(len(table))}
    if not numbers or not all(isinstance(name, str) and name for name in table.values()):
        raise BenchError(f"{path}: the numbers of the classes have to be 0, 1, ... without gaps. {layout}")
    return tuple(table[str(index)] for index in range(len(table)))


def _unloadable(title: str, folder: Path | None, error: Exception) -> str:
    """Return why a dataset cannot be loaded, and what to do."""
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    if folder is not None:
        return f"{title}: the folder {folder} cannot be loaded as a dataset ({reason})."
    if isinstance(error, ConnectionError):
        return (
            f"{title}: the hub cannot be reached ({reason}): connect, take HF_HUB_OFFLINE out of the "
            "environment, or name a folder that holds the dataset, as in hf:FOLDER."
        )
    if isinstance(error, FileNotFoundError):
        return (
            f"{title}: no folder and no dataset of the hub that can be read without logging in ({reason}): "
            "check the name, or log in with `hf auth login`."
        )
    return f"{title}: cannot be loaded ({reason}). Where a config is asked for, add under dataset: config: NAME"


def _written(rows: Any, columns: list[str], folder: Path, title: str, split: str) -> list[list[str]]:
    """Write images and labels as they are stored, and return the paths of each row.

    Args:
        rows: of the library.
        columns: those of image and label.
        folder: where to.
        title: the dataset, for messages.
        split: alike.

    Raises:
        BenchError: rows without image or label; all are named.
    """
    hub = library()
    rows = rows.select_columns(columns)
    for column in columns:
        rows = rows.cast_column(column, hub.Image(decode=False))
    problems: list[str] = []
    files: list[list[str]] = []
    for index, row in enumerate(rows):
        pair: list[str] = []
        for column in columns:
            try:
                pair.append(str(_stored(row[column], folder / f"{index:06d}.{column}")))
            except LookupError:
                problems.append(f"{title}: row {index} of {split} has no {column}. Take the row out.")
        files.append(pair)
    if problems:
        raise BenchError(*capped(problems))
    return files
