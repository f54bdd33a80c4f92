"""Leaderboards as one long CSV with raw values; text that a spreadsheet would run gets a leading apostrophe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bench.leaderboard import Board

_FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""The last four are the wide forms of the first four, which some spreadsheets take for them."""


def long_table(boards: Sequence[Board]) -> pd.DataFrame:
    """Return the rows of all boards, each with its dataset, pair and protocol; as stored, not rounded."""
    frames = []
    for board in boards:
        frame = board.frame()
        for position, key in enumerate(("dataset", "teacher", "student", "protocol")):
            frame.insert(position, key, pd.Series([getattr(board, key)] * len(frame), dtype=object))
        frame["terms"] = ["+".join(terms) for terms in frame["terms"]]
        frame["states"] = [
            "; ".join(f"{n} {state}" for state, n in sorted(counts.items())) for counts in frame["states"]
        ]
        frame["notes"] = ["; ".join(notes) for notes in frame["notes"]]
        frame["published"] = ["; ".join(_published(p) for p in found) for found in frame["published"]]
        frame["tier"] = frame["tier"].astype("Int64")
        frame["watermark"] = board.watermark
        frame["tier_reason"] = board.tier_reason
        frames.append(frame.astype(object))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _published(found: Mapping[str, Any]) -> str:
    gap = "" if found["gap"] is None else f", gap {found['gap']:+.6f}"
    place = "" if found["table"] in found["source"] else f", {found['table']}"
    return f"{found['value']:g} {found['metric']} ({found['source']}{place}{gap})"


def csv(boards: Sequence[Board]) -> str:
    """Return :func:`long_table` as CSV.

    Text that a spreadsheet would take for a formula (it begins with ``=``, ``+``, ``-``, ``@``, as wide letters too, a
    tab or the end of a line) gets a leading ``'``: strip it to have the name back. Numbers are left as they are.
    """
    table = long_table(boards).map(_inert).rename(columns=_inert)
    return str(table.to_csv(index=False, lineterminator="\n"))


def _inert(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value
