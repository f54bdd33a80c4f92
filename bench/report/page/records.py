"""What ``report.html`` tells of the cells besides their scores: failures, environments, protocols."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bench.base.files import canonical
from bench.leaderboard import Board
from bench.leaderboard.protocols import dotted
from bench.store.folders import FAILURE, RESULT, Record

MOST_FAILURES = 200
MOST_TRACEBACKS = 60
MOST_PROTOCOLS = 12
_TRACEBACK_END = 8000  # characters; the end of a traceback is what tells
_TOLD = ("failed", "diverged", "corrupt", "interrupted", "skipped")


def all_cells(boards: Sequence[Board]) -> list[dict[Any, Any]]:
    """Return every cell once, however many boards show it, with the title of its first board."""
    cells: dict[str, dict[Any, Any]] = {}
    for board in boards:
        for cell in board.cells.to_dict("records"):
            cells.setdefault(cell["cell_id"], cell | {"board": board.title})
    return list(cells.values())


def read_record(folder: str | Path, name: str) -> Record:
    """Return a JSON object of a cell's folder, empty where it cannot be read."""
    try:
        record = json.loads((Path(folder) / name).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def failures(cells: Sequence[dict[Any, Any]]) -> tuple[list[dict[str, Any]], int]:
    """Return the cells that ended without a result and how many more there are.

    Returns:
        A record a cell: board, method, seed, state, reason, iteration, terms, traceback.
    """
    ended = [cell for cell in cells if cell["state"] in _TOLD]
    ended.sort(key=lambda cell: _TOLD.index(cell["state"]))
    told = []
    for position, cell in enumerate(ended[:MOST_FAILURES]):
        record = read_record(cell["folder"], FAILURE) if cell["state"] in ("failed", "diverged") else {}
        traceback = str(record.get("traceback") or "") if position < MOST_TRACEBACKS else ""
        told.append(
            {
                "board": cell["board"],
                "method": str(cell["row"]),
                "seed": "" if pd.isna(cell["seed"]) else f"{cell['seed']:.0f}",
                "state": str(cell["state"]),
                "reason": str(cell["reason"] or ""),
                "cell": str(cell["cell_id"]),
                "iteration": record.get("iteration"),
                "terms": _terms(record.get("terms")),
                "traceback": ("…" if len(traceback) > _TRACEBACK_END else "") + traceback[-_TRACEBACK_END:],
            }
        )
    return told, len(ended) - len(told)


def _terms(terms: Any) -> list[tuple[str, str]]:
    """Return the loss terms of the last iteration as text; a term that was not finite is stored as null."""
    if not isinstance(terms, dict):
        return []
    return [
        (str(name), f"{value:.6g}" if isinstance(value, int | float) else "not finite") for name, value in terms.items()
    ]


def environments(cells: Sequence[dict[Any, Any]]) -> tuple[list[dict[str, Any]], str]:
    """Return the distinct environments, the commonest first, and when the newest result was made.

    Returns:
        Records with ``n_cells`` and ``fields``, pairs of dotted name and value; and a time in ISO 8601, or "".
    """
    counted: Counter[str] = Counter()
    newest = ""
    for cell in cells:
        if cell["state"] not in ("done", "failed", "diverged"):
            continue
        record = read_record(cell["folder"], RESULT if cell["state"] == "done" else FAILURE)
        newest = max(newest, str(record.get("created") or ""))
        if isinstance(record.get("environment"), dict):
            counted[canonical(record["environment"])] += 1
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    found = [
        {"n_cells": count, "fields": [(name, _shown(value)) for name, value in dotted(json.loads(key)).items()]}
        for key, count in ordered
    ]
    return found, newest


def protocols(boards: Sequence[Board]) -> list[dict[str, Any]]:
    """Return, for each dataset, its protocols and the fields in which they differ.

    Returns:
        Records with ``dataset``, ``hashes``, ``differences`` (name and one value a hash), ``fields`` (name and value of
        the first protocol for the fields that all share), and ``n_left_out``.
    """
    by_dataset: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for board in boards:
        recorded = [fields for fields in board.cells["protocol_fields"] if fields]
        if board.protocol and recorded:
            by_dataset[board.dataset].setdefault(board.protocol, dotted(recorded[0]))
    told = []
    for dataset, found in by_dataset.items():
        hashes = list(found)[:MOST_PROTOCOLS]
        names = list(dict.fromkeys(name for key in hashes for name in found[key]))
        values = {name: [_shown(found[key].get(name)) for key in hashes] for name in names}
        told.append(
            {
                "dataset": dataset,
                "hashes": hashes,
                "differences": [(name, shown) for name, shown in values.items() if len(set(shown)) > 1],
                "fields": [(name, shown[0]) for name, shown in values.items() if len(set(shown)) == 1],
                "n_left_out": len(found) - len(hashes),
            }
        )
    return told


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value)
