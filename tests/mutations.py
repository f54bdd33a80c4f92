"""Strategies that spoil files: a value of a tree in another kind, bytes that are cut, flipped or put in."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

HOSTILE: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    10**30,
    1e308,
    float("inf"),
    float("nan"),
    "",
    "x",
    "../..",
    "a/b",
    "1e-3",
    "none",
    "kd",
    "[red]",
    "é\u202e\x1b[31m漢",
    "=1+1",
    "y" * 3000,
    [],
    {},
    [[]],
    [None],
    {"name": []},
    {"": 1},
    [1, "kd", {"name": "kd", "tau": -1}],
    {"miou": {"miou": {}}},
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the key path of everything in a tree of dicts and lists."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


@st.composite
def spoiled(draw: st.DrawFn, tree: Any) -> Any:
    """Draw a tree with one to three of its values replaced, taken out, renamed or doubled."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(tree))
        if not found:
            break
        *way, key = draw(st.sampled_from(found))
        parent = tree
        for step in way:
            parent = parent[step]
        change = draw(st.sampled_from(("replace", "replace", "remove", "rename", "double")))
        if change == "replace":
            parent[key] = copy.deepcopy(draw(st.sampled_from(HOSTILE)))
        elif change == "remove":
            del parent[key]
        elif isinstance(parent, dict):
            parent[str(key) + "x"] = copy.deepcopy(parent[key]) if change == "double" else parent.pop(key)
        else:
            parent.insert(0, copy.deepcopy(parent[key]))
    return tree


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Draw the bytes of a file that was cut short, or changed in places."""
    if not content:
        return b"\0"
    place = draw(st.integers(0, len(content) - 1))
    damages: tuple[Callable[[], bytes], ...] = (
        lambda: content[:place],
        lambda: content[:place] + bytes([content[place] ^ (1 << draw(st.integers(0, 7)))]) + content[place + 1 :],
        lambda: content[:place] + draw(st.binary(max_size=20)) + content[place:],
        lambda: content[:place] + b"\0" * (len(content) - place),
        lambda: b"",
        lambda: draw(st.binary(min_size=1, max_size=100)),
    )
    return draw(st.sampled_from(damages))()
