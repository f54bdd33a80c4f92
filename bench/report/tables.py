"""Leaderboards as one long CSV with raw ratios."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from bench.leaderboard import Board

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def long_table(boards: Sequence[Board]) -> pd.DataFrame:
    """Return the rows of all boards, each with its dataset, pair and protocol; ratios in 0..1, not rounded."""
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
        frame["watermark"] = board.watermark
        frames.append(frame.astype(object))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def csv(boards: Sequence[Board]) -> str:
    """Return :func:`long_table` as CSV; text that a spreadsheet would take for a formula gets a leading ``'``."""
    return str(long_table(boards).map(_inert).to_csv(index=False, lineterminator="\n"))


def _inert(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value
