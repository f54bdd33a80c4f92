"""Which cells share a protocol and a pair, and how two protocols differ."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.leaderboard.rows import Board, Cell
from bench.store.frame import shown_name


def placed(cells: pd.DataFrame) -> pd.DataFrame:
    """Give every cell a protocol and a pair; repeat cells without teacher for each pair of their student."""
    known = cells[cells["dataset_key"].notna()].copy()
    for kind in ("dataset", "student", "teacher"):
        known[kind] = known[f"{kind}_key"].map(_names(known[f"{kind}_key"].dropna().unique()))
    known["protocol"] = [protocol for protocol, _ in recipe_protocols(known.to_dict("records"))]
    where = ["dataset_key", "student_key", "protocol"]
    paired, alone = known[known["teacher_key"].notna()], known[known["teacher_key"].isna()]
    pairs = paired[[*where, "teacher", "teacher_key"]].drop_duplicates()
    alone = alone.drop(columns=["teacher", "teacher_key"]).merge(pairs, on=where, how="left")
    both = pd.concat([paired, alone], ignore_index=True)
    return both.astype(dict.fromkeys(("teacher", "teacher_key"), object))


def recipe_protocols(cells: Sequence[Cell]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return each cell's protocol and its fields.

    A cell that recorded none goes where the cells of its dataset, student and recipe went, if that is one place; else
    its protocol is empty.

    Args:
        cells: rows as from :func:`bench.store.frame.load`, none of which is unknown.
    """
    found: dict[tuple[Any, ...], dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for cell in cells:
        if cell["protocol"]:
            found[_alike(cell)].setdefault(str(cell["protocol"]), cell["protocol_fields"] or {})
    placed = []
    for cell in cells:
        places = found[_alike(cell)]
        recorded = cell["protocol"] or (next(iter(places)) if len(places) == 1 else "")
        fields = cell["protocol_fields"] if cell["protocol"] else places.get(recorded)
        placed.append((str(recorded), fields or {}))
    return placed


def _alike(cell: Cell) -> tuple[Any, ...]:
    return cell["dataset_key"], cell["student_key"], cell["recipe"]


def _names(keys: Iterable[str]) -> dict[str, str]:
    """Return a name to show for each JSON key: the plain name, with what differs where several share it."""
    by_name = defaultdict(list)
    for key in keys:
        by_name[shown_name(json.loads(key))].append(key)
    shown = {}
    for name, same in by_name.items():
        parts = [dotted(json.loads(key)) for key in same]
        for key, part in zip(same, parts, strict=True):
            apart = [
                f"{path}={_short(value, 24)}"
                for path, value in part.items()
                if any(o.get(path) != value for o in parts)
            ]
            shown[key] = f"{name} ({', '.join(apart) or 'defaults'})" if len(same) > 1 else name
    return shown


def dotted(fields: Any, prefix: str = "") -> dict[str, Any]:
    """Flatten nested dicts to one dict keyed by dotted paths."""
    if not isinstance(fields, dict) or not fields:
        return {prefix.rstrip("."): fields} if prefix else {}
    return {path: leaf for key, value in fields.items() for path, leaf in dotted(value, f"{prefix}{key}.").items()}


def other_protocols(board: Board, boards: list[Board]) -> list[str]:
    """Name the fields in which the dataset's other protocols differ from this board's."""
    notes = []
    mine = _fields(board)
    others = {other.protocol: other for other in boards if other.dataset == board.dataset and other.protocol}
    for other in others.values():
        if not board.protocol or other.protocol == board.protocol:
            continue
        theirs = _fields(other)
        paths = sorted(path for path in mine.keys() | theirs.keys() if mine.get(path) != theirs.get(path))
        told = [f"{path}: {_short(mine.get(path))} here, {_short(theirs.get(path))} there" for path in paths[:20]]
        more = [f"{len(paths) - 20} more fields"] if len(paths) > 20 else []
        why = "; ".join(told + more) or "the fields were not recorded"
        notes.append(f"not comparable with protocol {other.protocol}: {why}")
    return notes


def _fields(board: Board) -> dict[str, Any]:
    recorded = [fields for fields in board.cells["protocol_fields"] if fields]
    return dotted(recorded[0]) if recorded else {}


def _short(value: Any, limit: int = 80) -> str:
    text = "(not set)" if value is None else str(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
