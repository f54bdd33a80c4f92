"""Where a matrix is: a file by its path, or one of those that come with the package by its name."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from bench.base.errors import BenchError, did_you_mean


def presets() -> dict[str, Path]:
    """Return the matrices that come with the package, by name."""
    folder = Path(str(resources.files("bench") / "matrix" / "presets"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"), key=lambda path: path.stem)}


def find_matrix(name: str) -> Path:
    """Return a file by its path, or a preset by its name.

    Raises:
        BenchError: neither exists.
    """
    path = Path(name)
    if os.path.isfile(path):  # noqa: PTH113 - unlike Path.is_file it takes a name of any length
        return path
    known = presets()
    if path.name == name and path.stem in known and path.suffix in ("", ".yaml"):
        return known[path.stem]
    if os.path.exists(path):  # noqa: PTH110
        return path
    raise BenchError(
        f"matrix not found: no file {path} and no preset of that name.{did_you_mean(path.stem, known)} "
        f"Presets: {', '.join(known)}"
    )
