"""A clone of this repository as git would make it, without its history, tests and documents."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("bench", "methods", "students", "teachers", "results/published")
FILES = ("pyproject.toml", "README.md", "LICENSE")


def clone(folder: Path) -> Path:
    """Copy what a wheel is made of into a new folder; return it."""
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)
    return folder


def environment(*searched: Path) -> dict[str, str]:
    """Return the environment of a process that finds modules in the given folders and where packages are installed."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    return {**inherited, "PYTHONPATH": os.pathsep.join(map(str, searched)), "COLUMNS": "200"}
