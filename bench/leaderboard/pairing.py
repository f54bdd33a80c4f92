"""Which cell of a seed counts, and the gains of paired seeds: one rule for tables, gate and comparison."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.base.files import canonical
from bench.leaderboard.rows import Cell
from bench.tasks.metric import Metric

DONE = "done"
LOST_STATES = frozenset({"failed", "diverged", "timeout", "corrupt"})
"""States of a cell that was tried and has no score to show for it."""


@dataclass(frozen=True)
class Picked:
    """What counts of the cells of one method and seed.

    Attributes:
        cell: the cell that counts, finished or not; None where several results contradict each other.
        left_out: the other finished cells, and all of those that contradict each other.
        reason: why they are left out; empty where none is.
    """

    cell: Cell | None
    left_out: tuple[Cell, ...] = ()
    reason: str = ""


def by_seed(cells: Iterable[Cell]) -> dict[int, Picked]:
    """Return what counts of the cells of one method, by ascending seed."""
    found: dict[int, list[Cell]] = defaultdict(list)
    for cell in cells:
        found[int(cell["seed"])].append(cell)
    return {seed: pick(found[seed]) for seed in sorted(found)}


def pick(cells: Sequence[Cell]) -> Picked:
    """Pick the cell that counts of those of one method and seed.

    Cells that the plan lists come before others, finished ones before those without a result. Results that are the
    same, such as copies from another store, count once; of different ones none counts.

    Args:
        cells: at least one, with ``planned``, ``state`` and what a result holds.
    """
    planned = [cell for cell in cells if cell["planned"]]
    candidates = planned or list(cells)
    done = [cell for cell in candidates if cell["state"] == DONE]
    if len({_content(cell) for cell in done}) > 1:
        return Picked(None, tuple(done), "several results of one method and seed, none is picked")
    tried = [cell for cell in candidates if cell["state"] in LOST_STATES]
    counts = (done or tried or candidates)[0]
    others = tuple(cell for cell in cells if cell is not counts and cell["state"] == DONE)
    return Picked(counts, others, _reason(counts, others))


def _content(cell: Cell) -> str:
    """Return what makes two results the same: their numbers and the records of their images."""
    return canonical([cell["metrics"], cell["per_class"], cell["evidence_digest"]])


def _reason(counts: Cell, others: Sequence[Cell]) -> str:
    if not others:
        return ""
    if counts["state"] == DONE and all(_content(other) == _content(counts) for other in others):
        return f"the same result as {counts['cell_id']}"
    return f"the plan lists {counts['cell_id']}"


def oriented(metric: Metric, scores: Mapping[int, float | None]) -> dict[int, float | None]:
    """Return scores turned so that higher is better, which is what the statistics take."""
    return {seed: None if value is None else metric.sign * value for seed, value in scores.items()}


def seed_gains(metric: Metric, scores: Mapping[int, float], baseline: Mapping[int, float]) -> dict[int, float]:
    """Return the gain of each seed that both have."""
    return {seed: metric.gain(value, baseline[seed]) for seed, value in scores.items() if seed in baseline}
