"""Words for the screen: what a user typed, and what a file is called, may hold anything."""

from __future__ import annotations

import re

from bench import DISTRIBUTION

_HALVES = re.compile("[\ud800-\udfff]")
"""Halves of a character; Python stands one for each byte of a file's name that is no UTF-8."""
_BYTES = range(0xDC80, 0xDD00)


def is_text(text: str) -> bool:
    """Tell whether the text can be written as UTF-8, as every file of results is."""
    return _HALVES.search(text) is None


def whole_characters(text: str) -> str:
    """Return the text with two halves of a character, as JSON writes some, made one; a single half stays."""
    if is_text(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def not_text(what: str) -> str:
    """Return the sentence for a name that is no text.

    Args:
        what: what has the name, the name in it.
    """
    return f"{escaped(what)}: the name is not UTF-8 text (\\x marks its other bytes), no result can hold it. Rename it."


def escaped(text: str) -> str:
    """Return the text with ``\\xe9`` for a byte of a file's name that is no UTF-8, ``\\ud83d`` for half a character."""
    return _HALVES.sub(lambda found: _code(ord(found[0])), text)


def _code(half: int) -> str:
    return f"\\x{half - 0xDC00:02x}" if half in _BYTES else f"\\u{half:04x}"


def visible(text: str) -> str:
    """Return the text with a space for each character that would act on a terminal, line breaks kept.

    Escape sequences lose what makes them so, marks of the direction of writing turn nothing around.
    """
    if text.isprintable() or text == "\n":
        return text
    return "".join(char if char.isprintable() or char == "\n" else " " for char in escaped(text))


def one_line(text: str, limit: int | None = None) -> str:
    """Return the text without line breaks and control characters, its middle left out beyond ``limit`` characters."""
    clean = " ".join(visible(text).split())
    if limit is None or len(clean) <= limit:
        return clean
    head = (limit - 1) * 2 // 3
    return f"{clean[:head]}…{clean[len(clean) - (limit - 1 - head) :]}"


def install_hint(extra: str) -> str:
    """Return the command that installs what an optional feature needs.

    Args:
        extra: the name of the extra in ``pyproject.toml``.
    """
    return f'pip install "{DISTRIBUTION}[{extra}]"'
