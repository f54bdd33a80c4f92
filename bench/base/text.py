"""Words for the screen: what a user typed may hold anything."""

from __future__ import annotations

from bench import DISTRIBUTION


def one_line(text: str, limit: int | None = None) -> str:
    """Return the text without line breaks and control characters, its middle left out beyond ``limit`` characters."""
    clean = " ".join("".join(char if char.isprintable() else " " for char in text).split())
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
