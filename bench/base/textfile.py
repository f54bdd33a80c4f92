"""Text files that users write: UTF-8, or told how to become so."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from bench.base.errors import BenchError

_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_LEAST_ZEROS = 0.2
"""Share of the bytes that are zero where a text in UTF-16 has no mark: half of those of its ASCII letters."""


def read_utf8(path: Path, most_bytes: int | None = None) -> str:
    """Return the text of a file, without a byte order mark, its lines ended by ``\\n``.

    Args:
        path: the file.
        most_bytes: what is read at most; None reads all.

    Raises:
        OSError: it cannot be read.
        BenchError: it is longer, or no UTF-8; with the place of the byte, and what it looks like.
    """
    with path.open("rb") as file:
        content = file.read() if most_bytes is None else file.read(most_bytes + 1)
    if most_bytes is not None and len(content) > most_bytes:
        raise BenchError(f"{path} holds more than {most_bytes:,} bytes, which no matrix needs")
    kind, place = _other_encoding(content)
    if kind:
        raise BenchError(_sentence(path, f" but {kind}", content, place))
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        # the mark is not counted by the codec, which tells places behind it
        place = error.start + len(content) - len(error.object)
        raise BenchError(_sentence(path, "", content, place)) from None


def _other_encoding(content: bytes) -> tuple[str, int]:
    """Return which encoding of wide characters a file is in, and the byte that tells it; empty where in none."""
    for mark, kind in _MARKS:
        if content.startswith(mark):
            return kind, 0
    zeros = content.count(0)
    one_side = max(content[::2].count(0), content[1::2].count(0))
    if zeros > _LEAST_ZEROS * len(content) and one_side == zeros:
        return "UTF-16", content.index(0)
    return "", 0


def _sentence(path: Path, kind: str, content: bytes, place: int) -> str:
    lines = re.split("\r\n|\r|\n", content[:place].decode("utf-8-sig", errors="replace"))
    where = f"line {len(lines)}, column {len(lines[-1]) + 1}"
    return f"{path} is not UTF-8 text{kind}: byte {place} is {content[place]:#04x} ({where}). Save it as UTF-8."
