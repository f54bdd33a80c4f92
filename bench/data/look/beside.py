"""Files beside images and masks that may name the classes or the splits, and why they are not used."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from bench.data.read.files import FilePair
from bench.data.read.foldertree import FolderTree
from bench.data.read.scan import NAMED, SPLITS, is_hidden

CLASS_FILES = ("classes.txt", "labels.txt", "codes.txt")
"""Files that name the classes, one a line; looked for in the folder of the masks and beside it."""
TEXTS = frozenset({".txt", ".csv", ".tsv", ".json", ".yaml", ".yml", ".names", ".xml", ".pbtxt"})
_MEANT = re.compile(r"class|label|categor|code|colou?r|palette|legend|names", re.IGNORECASE)
_OF_CLASSES = f"names are read from {', '.join(CLASS_FILES)} or --classes FILE, one a line, colours from --colours FILE"
_MATRIX = ("dataset:", "pairs:")


def class_files(masks: Path) -> list[Path]:
    """Return the files that name the classes, the most trusted first."""
    found = []
    for folder in (masks, masks.absolute().parent):
        there = {path.name.lower(): path for path in _texts(folder)}
        found += [there[name] for name in CLASS_FILES if name in there]
    return found


def unused_files(tree: FolderTree, pairs: Sequence[FilePair], known: Collection[Path]) -> list[str]:
    """Return a sentence for the files that seem to be about classes or splits and are not used.

    Args:
        tree: where images and masks lie.
        pairs: the samples; a text file that is called like one belongs to it.
        known: files that were used, or of which it is told already why not.
    """
    read = {path.resolve() for path in known}
    stems = {path.stem for pair in pairs for path in (pair.image, pair.label)}
    own = (tree.masks, tree.images)
    found = [path for folder in dict.fromkeys((*own, tree.masks.absolute().parent)) for path in _texts(folder)]
    left = [path for path in found if path.resolve() not in read and path.stem not in stems]
    lists = [path for path in left if path.suffix == ".txt" and path.stem.lower() in (*SPLITS, "valid", "validation")]
    others = [path for path in left if path not in lists and _is_meant(path, own)]
    told = [f"{_few(others)} not used: {_OF_CLASSES}"] if others else []
    if lists and tree.lists is None:
        told.append(f"{_few(lists)} not used: lists of the splits are read from --lists DIR")
    return told


def _is_meant(path: Path, own: Sequence[Path]) -> bool:
    """Tell whether a file may be about the classes: one in the folders themselves, or of a telling name."""
    if path.suffix.lower() in (".yaml", ".yml") and _is_matrix(path):
        return False
    return path.parent in own or bool(_MEANT.search(path.stem))


def _is_matrix(path: Path) -> bool:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return all(word in text for word in _MATRIX)


def _texts(folder: Path) -> Iterator[Path]:
    try:
        found = sorted(folder.iterdir())
    except OSError:
        return
    yield from (path for path in found if path.suffix.lower() in TEXTS and not is_hidden(path.name) and path.is_file())


def _few(paths: Sequence[Path]) -> str:
    shown = ", ".join(map(str, paths[:NAMED])) + (f" and {len(paths) - NAMED} more" if len(paths) > NAMED else "")
    return f"{shown} {'is' if len(paths) == 1 else 'are'}"
