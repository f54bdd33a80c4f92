"""Class names of the datasets that have many."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any


def class_table(name: str) -> Any:
    """Return the content of a table of this folder, ``<name>.json``."""
    return json.loads((files(__name__) / f"{name}.json").read_text(encoding="utf-8"))
