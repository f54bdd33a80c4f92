"""Images by the names that a list gives them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from bench.base.errors import BenchError, capped, did_you_mean
from bench.data.read.scan import IMAGE_SUFFIXES, NAMED, key_of
from bench.data.read.standard import read_lines


class ImageNames:
    """Images below a folder, to be found by what lists call them.

    Args:
        images: files by key: the path below the folder, without suffix.
        folder: the folder, for messages.
    """

    def __init__(self, images: Mapping[str, Sequence[Path]], folder: Path) -> None:
        self._images, self._folder = images, folder
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for key in images:
            self._by_stem[PurePosixPath(key).name].append(key)

    def listed(self, listing: Path) -> Iterator[str]:
        """Yield the keys that a list names.

        Raises:
            BenchError: lines that fit no image or several; all are named.
        """
        problems: list[str] = []
        lines: dict[str, int] = {}
        for number, line in enumerate(read_lines(listing, "It names one image a line."), start=1):
            if not (text := line.strip().lstrip("\ufeff")):
                continue
            fitting = self._fitting(text)
            if len(fitting) == 1:
                first = lines.setdefault(fitting[0], number)
                if first != number:
                    problems.append(f"{listing}:{number}: '{text}' stands on line {first} already. Keep one of them.")
                yield fitting[0]
            elif fitting:
                problems.append(
                    f"{listing}:{number}: '{text}' may be {', '.join(fitting[:NAMED])}. Write its path below images."
                )
            else:
                near = did_you_mean(text, self._by_stem)
                problems.append(f"{listing}:{number}: '{text}' fits no image below {self._folder}.{near}")
        if problems:
            raise BenchError(*capped(problems))

    def _fitting(self, text: str) -> list[str]:
        """Return the keys of the images that a line of a list may mean: its whole path, else the end of it."""
        path = PurePosixPath(key_of(text.replace("\\", "/")))
        path = path.with_suffix("") if path.suffix.lower() in IMAGE_SUFFIXES else path
        if str(path) in self._images:
            return [str(path)]
        given = path.parts[::-1]
        ends = ((key, PurePosixPath(key).parts[::-1]) for key in self._by_stem.get(path.name, ()))
        return [key for key, parts in ends if all(a == b for a, b in zip(parts, given, strict=False))]
