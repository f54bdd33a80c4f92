"""What the figures read from boards: the cells that count, their gains by seed and class, and their histories."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.leaderboard import Board, Row
from bench.leaderboard.measure import scored_cells
from bench.leaderboard.pairing import seed_gains as paired_gains
from bench.leaderboard.rows import Cell
from bench.matrix.baseline import BASELINE
from bench.store.folders import HISTORY
from bench.tasks.metric import Metric

MOST_BOARDS = 8
MOST_ROWS = 120
"""Of all boards drawn together: thousands of dots and labels take a minute and cannot be read."""

Curve = dict[int, float]


@dataclass(frozen=True)
class Curves:
    """What a cell wrote down while it trained.

    Attributes:
        score: the primary metric, as stored, by iterations done.
        terms: each loss term by iterations done.
    """

    score: Curve
    terms: Mapping[str, Curve]


def finished(boards: Sequence[Board]) -> list[Board]:
    """Return the first boards in which a method has a score: one, then as many as fit the limits of boards and rows."""
    scored = [board for board in boards if any(row.score_mean is not None for row in board.rows)][:MOST_BOARDS]
    rows = itertools.accumulate(len(board.rows) for board in scored)
    n_fitting = sum(total <= MOST_ROWS for total in rows)
    return scored[: max(1, n_fitting)]


def boards_note(boards: Sequence[Board], shown: int) -> str:
    """Return a sentence on the boards with scores for which there is no room, empty where there are none."""
    total = sum(any(row.score_mean is not None for row in board.rows) for board in boards)
    return f"The first {shown} of {total} tables are drawn." if total > len(finished(boards)) else ""


def by_row(board: Board) -> dict[str, dict[int, Cell]]:
    """Return the scored cells of every row of a board by label and seed: those of which its mean is made."""
    cells: dict[str, list[Cell]] = defaultdict(list)
    for cell in board.cells[board.cells["seed"].notna()].to_dict("records"):
        cells[str(cell["row"])].append(cell)
    return {label: scored for label, own in cells.items() if (scored := scored_cells(own)[0])}


def baseline(board: Board, cells: Mapping[str, Mapping[int, Cell]]) -> Mapping[int, Cell]:
    """Return the cells of the row that gains are relative to."""
    return next((cells[row.label] for row in board.rows if row.method == BASELINE and row.label in cells), {})


def seed_gains(board: Board) -> dict[str, list[float]]:
    """Return the gains, as shown, of each row over the seeds that it shares with the baseline, by label."""
    cells = by_row(board)
    metric, reference = board.metric, _scores(baseline(board, cells))
    gains = {label: paired_gains(metric, _scores(own), reference) for label, own in cells.items()}
    return {label: [metric.shown(gain) for gain in by_seed.values()] for label, by_seed in gains.items()}


def _scores(cells: Mapping[int, Cell]) -> dict[int, float]:
    return {seed: float(cell["score"]) for seed, cell in cells.items()}


def class_gains(board: Board) -> dict[str, dict[str, float]]:
    """Return the mean gain, as shown, over the common seeds by label and class; only rows with any."""
    metric = board.scoring.per_class
    if metric is None:
        return {}
    cells = by_row(board)
    reference = baseline(board, cells)
    found = {}
    for row in board.rows:
        own = cells.get(row.label, {})
        pairs = [(cell["per_class"], reference[seed]["per_class"]) for seed, cell in own.items() if seed in reference]
        if row.method != BASELINE and pairs and (gains := _mean_gains(metric, pairs)):
            found[row.label] = gains
    return found


def _mean_gains(metric: Metric, pairs: Sequence[tuple[Any, Any]]) -> dict[str, float]:
    """Average the gain over the seeds for each class that has a value on both sides of some seed."""
    gains: dict[str, list[float]] = defaultdict(list)
    for own, reference in pairs:
        if not (own and reference):
            continue
        for name, value in own.items():
            if value is not None and reference.get(name) is not None:
                gains[name].append(metric.shown(metric.gain(value, reference[name])))
    return {name: sum(values) / len(values) for name, values in gains.items()}


def read_curves(boards: Sequence[Board]) -> tuple[dict[str, Curves], int]:
    """Read what the finished cells of the drawn boards wrote down while training.

    Returns:
        The curves by cell id; and the number of finished cells whose history cannot be read.
    """
    curves: dict[str, Curves] = {}
    unreadable = set()
    for board in finished(boards):
        for cell in board.cells[board.cells["state"] == "done"].to_dict("records"):
            if cell["cell_id"] in curves or cell["cell_id"] in unreadable:
                continue
            try:
                record = json.loads((Path(cell["folder"]) / HISTORY).read_text(encoding="utf-8"))
                curves[cell["cell_id"]] = _curves(record, board.metric.key)
            except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
                unreadable.add(cell["cell_id"])
    return curves, len(unreadable)


def _curves(record: dict[str, Any], key: str) -> Curves:
    terms: dict[str, Curve] = defaultdict(dict)
    for step in record["steps"]:
        for name, value in step["terms"].items():
            if value is not None:
                terms[str(name)][int(step["iteration"])] = float(value)
    score = {int(e["iteration"]): float(e[key]) for e in record["evals"] if e[key] is not None}
    return Curves(score, dict(terms))


def with_curves(board: Board, curves: Mapping[str, Curves]) -> list[tuple[Row, list[Curves]]]:
    """Return the rows whose cells have curves, in the board's order: the baseline, then the best first."""
    cells = by_row(board)
    found = {
        label: [curves[str(cell["cell_id"])] for cell in own.values() if cell["cell_id"] in curves]
        for label, own in cells.items()
    }
    return [(row, found[row.label]) for row in board.rows if found.get(row.label)]


def mean_curve(seeds: Sequence[Curve]) -> Curve:
    """Average at the iterations that every seed has."""
    common = sorted(set.intersection(*(set(seed) for seed in seeds))) if seeds else []
    return {iteration: sum(seed[iteration] for seed in seeds) / len(seeds) for iteration in common}
