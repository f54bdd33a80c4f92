"""The image files that a user names, by themselves or by their folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.base.errors import BenchError
from bench.base.text import is_text, not_text
from bench.data.read.scan import IMAGE_SUFFIXES, NAMED, is_hidden


@dataclass(frozen=True)
class ImageFiles:
    """What was named.

    Attributes:
        images: the files, those of a folder in the order of their names.
        notes: what lies in the folders and is not among them.
        problems: folders without an image.
    """

    images: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def image_files(given: Sequence[Path]) -> ImageFiles:
    """Return the files, in place of each folder the images that lie in it; its subfolders are not looked into.

    Args:
        given: files, which need not be there, and folders.

    Raises:
        BenchError: there is no image in any of them.
    """
    images: list[Path] = []
    notes: list[str] = []
    problems: list[str] = []
    for path in given:
        if not path.is_dir():
            images.append(path)
            continue
        try:
            entries = sorted(entry for entry in path.iterdir() if not is_hidden(entry.name))
        except OSError as error:
            problems.append(f"{path}: {error.strerror or error}")
            continue
        folders = [entry for entry in entries if entry.is_dir()]
        found = [entry for entry in entries if entry.suffix.lower() in IMAGE_SUFFIXES and entry not in folders]
        others = [entry for entry in entries if entry not in folders and entry not in found]
        named = [entry for entry in found if is_text(entry.name)]
        problems += [not_text(str(entry)) for entry in found if entry not in named]
        images += named
        if not found:
            problems.append(_no_image(path, folders))
        else:
            notes += _left_out(path, "files that are no images", others)
            notes += _left_out(path, "subfolders", folders)
    if not images:
        raise BenchError(*problems)
    return ImageFiles(tuple(images), tuple(notes), tuple(problems))


def _no_image(folder: Path, subfolders: Sequence[Path]) -> str:
    told = f"{folder}: no image ({', '.join(sorted(IMAGE_SUFFIXES))}) in this folder."
    return f"{told} Its subfolders are not looked into: name {_some(subfolders)}." if subfolders else told


def _left_out(folder: Path, what: str, left_out: Sequence[Path]) -> list[str]:
    return [f"{folder}: {len(left_out)} {what} left out: {_some(left_out)}"] if left_out else []


def _some(paths: Sequence[Path]) -> str:
    more = len(paths) - NAMED
    return ", ".join(path.name for path in paths[:NAMED]) + (f" and {more} more" if more > 0 else "")
