"""Files below a folder, by the keys that images and masks share."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.base.errors import BenchError, capped
from bench.base.text import is_text, not_text

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm"})
MASK_SUFFIXES = frozenset({".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"})
LOSSY_SUFFIXES = frozenset({".jpg", ".jpeg"})
SPLITS = ("train", "val", "test")
_SPLIT_NAME = re.compile(r"(?P<split>train|val|test)(ing|id|idation)?(\d{4})?", re.IGNORECASE)
NAMED = 3
"""How many files are given as an example in a message."""

Files = Mapping[str, Sequence[Path]]
"""Files by key: path below the root without suffix, in Unicode's composed form, which macOS does not store."""


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder is no sample but something that an operating system left there."""
    return name.startswith(".") or name == "__MACOSX"


def scan(root: Path, suffixes: frozenset[str], ending: str = "", without: str = "", skip: Path | None = None) -> Files:
    """Return the files of some kinds below a folder, by key; links to folders are followed.

    Args:
        root: the folder.
        suffixes: lower-case file suffixes with their dot.
        ending: what a stem has to end in; it is no part of the key.
        without: stems that end in this are left out.
        skip: a folder below the root that is left out.

    Raises:
        BenchError: names that are no UTF-8, which no result could hold.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    problems: list[str] = []
    left_out = {os.path.realpath(skip)} if skip is not None else set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in left_out and Path(folder) != root:
            subfolders.clear()
            continue
        left_out.add(real)  # a link may lead back to where it lies
        subfolders[:] = sorted(name for name in subfolders if not is_hidden(name))
        for path in (Path(folder, name) for name in sorted(names) if not is_hidden(name)):
            wanted = path.stem.endswith(ending) and len(path.stem) > len(ending)
            if path.suffix.lower() in suffixes and wanted and not (without and path.stem.endswith(without)):
                stem = path.stem[: len(path.stem) - len(ending)]
                key = path.relative_to(root).with_name(stem).as_posix()
                if not is_text(key):
                    problems.append(not_text(str(path)))
                    continue
                found[key_of(key)].append(path)
    if problems:
        raise BenchError(*capped(problems))
    return found


def key_of(text: str) -> str:
    """Return a path below a root in the form in which two spellings of a name are equal."""
    return unicodedata.normalize("NFC", text)


def split_folders(root: Path) -> dict[str, list[Path]]:
    """Return the subfolders that are called like splits (train, valid, test2017, ...), by split."""
    found: dict[str, list[Path]] = {}
    if root.is_dir():
        for folder in sorted(path for path in root.iterdir() if path.is_dir()):
            if match := _SPLIT_NAME.fullmatch(folder.name):
                found.setdefault(match["split"].lower(), []).append(folder)
    return {name: found[name] for name in SPLITS if name in found}
