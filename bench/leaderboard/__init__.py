"""Cells to tables: one board for each dataset, pair and protocol, and one across the pairs."""

from bench.leaderboard.across import AcrossBoard, AcrossRow, across_pairs
from bench.leaderboard.build import NO_BASELINE, UNKNOWN, leaderboard
from bench.leaderboard.protocols import dotted
from bench.leaderboard.published import PaperScore
from bench.leaderboard.rows import Board, Row
from bench.matrix.baseline import BASELINE
from bench.store.frame import RecordedPlan, load, read_plan

__all__ = [
    "BASELINE",
    "NO_BASELINE",
    "UNKNOWN",
    "AcrossBoard",
    "AcrossRow",
    "Board",
    "PaperScore",
    "RecordedPlan",
    "Row",
    "across_pairs",
    "dotted",
    "leaderboard",
    "load",
    "read_plan",
]
