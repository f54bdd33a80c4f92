"""``--set key.path=value``: changes to a matrix from the command line."""

from __future__ import annotations

import re
from typing import Any

from bench.base.errors import BenchError
from bench.matrix.yamlfile import KeyPath, read_value

NAMED = ("dataset", "teacher", "student")
"""Keys whose value may be a bare name; setting an option of it makes room for the option."""


def apply_override(data: dict[str, Any], text: str) -> KeyPath:
    """Set one value in the content of a matrix file.

    Args:
        data: the content, changed in place; missing mappings on the way are made.
        text: ``key.path=value`` with list positions as ``methods[1]``; the value is read as YAML.

    Returns:
        The key path that was set.

    Raises:
        BenchError: not of that form, or the path leads through something that is no mapping or list.
    """
    key, equals, value = text.partition("=")
    path = tuple(int(part) if part.isdecimal() else part for part in re.findall(r"[^.\[\]]+", key.strip()))
    if not equals or not path:
        raise BenchError(f"--set {text}: write key.path=value, as in --set recipe.iterations=200")
    current: Any = data
    for part in path[:-1]:
        current = _descend(current, part, text)
    last = path[-1]
    in_list = isinstance(current, list) and isinstance(last, int) and last < len(current)
    if not (isinstance(current, dict) or in_list):
        raise BenchError(f"--set {text}: '{last}' cannot be set there")
    current[last] = read_value(value)
    return path


def _descend(current: Any, part: str | int, text: str) -> Any:
    if isinstance(current, dict) and isinstance(part, str):
        if isinstance(current.get(part), str) and part in NAMED:
            current[part] = {"name": current[part]}
        return current.setdefault(part, {})
    if isinstance(current, list) and isinstance(part, int) and part < len(current):
        if isinstance(current[part], str):
            current[part] = {"name": current[part]}
        return current[part]
    raise BenchError(f"--set {text}: '{part}' is not a key there")
