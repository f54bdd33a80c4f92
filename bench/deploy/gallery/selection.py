"""What of a run a gallery shows: boards, methods, seeds, images; from results alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.base.errors import BenchError
from bench.deploy.gallery.choice import KINDS, Chosen, ImageScores, choose_images
from bench.leaderboard import BASELINE, Board, Row, leaderboard, load
from bench.matrix.cell import Cell
from bench.plan.groups import Plan
from bench.store.folders import COUNTS
from bench.tasks.metric import Evidence

MOST_BOARDS = 12
MOST_MODELS = 48
"""Students over all boards; the time and the disk that a gallery takes grow with them."""
MOST_METHODS, FEWEST_METHODS = 16, 4
MOST_IMAGES = 72
"""Images over all boards, for the same reason and to bound the memory of one."""


@dataclass(frozen=True, eq=False)
class Selected:
    """A board and what is drawn of it.

    Attributes:
        board: the board.
        baseline: label of the row that images were chosen by.
        cells: the cell whose student is drawn, by label, in the board's order.
        images: the chosen images.
        stored: evidence of the drawn cells by label.
        left_out: labels of finished rows that are not drawn.
    """

    board: Board
    baseline: str
    cells: Mapping[str, Cell]
    images: tuple[Chosen, ...]
    stored: Mapping[str, Evidence]
    left_out: tuple[str, ...]


def select_boards(plan: Plan, n: int) -> tuple[list[Selected], list[str]]:
    """Choose what to draw.

    Args:
        plan: its finished cells are candidates; others that lie in its run folder are not.
        n: the most images of each kind on a board.

    Returns:
        The boards to draw, and what a reader should know of those that are not.
    """
    known = {planned.cell.id: planned.cell for planned in plan.cells}
    notes: list[str] = []
    found = []
    for board in leaderboard(load(plan.run)):
        cells = _finished(board, known)
        if cells:
            found.append((board, cells))
        elif bool((board.cells["state"] == "done").any()):
            notes.append(f"{board.title}: not drawn, its cells are none of the matrix")
    notes += [f"{board.title}: not drawn, only the first {MOST_BOARDS} are" for board, _ in found[MOST_BOARDS:]]
    found = found[:MOST_BOARDS]
    most = max(FEWEST_METHODS, min(MOST_METHODS, MOST_MODELS // max(1, len(found))))
    fewer = max(1, min(n, MOST_IMAGES // (len(KINDS) * max(1, len(found)))))
    if fewer < n:
        notes.append(f"at most {fewer} images of each kind on a board, to keep the gallery small; {n} were asked for")
    selected = []
    for board, cells in found:
        item = _select(plan, board, cells, fewer, most)
        if not item.images:
            notes.append(f"{board.title}: not drawn, no image has a score")
            continue
        selected.append(item)
        notes += _notes(item)
    return selected, notes


def _finished(board: Board, known: Mapping[str, Cell]) -> dict[str, dict[int, Cell]]:
    """Return the plan's finished cells by label, in the board's order, and seed."""
    cells: dict[str, dict[int, Cell]] = defaultdict(dict)
    for record in board.cells[board.cells["state"] == "done"].to_dict("records"):
        cell = known.get(str(record["cell_id"]))
        if cell is not None:
            cells[str(record["row"])][cell.seed] = cell
    return {row.label: dict(sorted(cells[row.label].items())) for row in board.rows if row.label in cells}


def _select(plan: Plan, board: Board, cells: Mapping[str, Mapping[int, Cell]], n: int, most: int) -> Selected:
    rows = [row for row in board.rows if row.label in cells]
    baseline = next((row for row in rows if row.method == BASELINE), rows[0])
    best = _best(row for row in rows if row is not baseline)
    order = [baseline, *(row for row in rows if row is not baseline)]
    drawn = order[:most]
    if best and best not in drawn:
        drawn[-1] = best
    seed = first_common_seed([set(cells[row.label]) for row in drawn])
    shown = {row.label: cells[row.label].get(seed) or next(iter(cells[row.label].values())) for row in drawn}
    stored = {label: _evidence(plan, cell) for label, cell in shown.items()}
    others = _scores(plan, best, cells) if best else None
    images = choose_images(_scores(plan, baseline, cells), others, n, plan.task.scoring.primary)
    left_out = tuple(row.label for row in order if row not in drawn)
    return Selected(board, baseline.label, shown, images, stored, left_out)


def _best(rows: Iterable[Row]) -> Row | None:
    """Return the row of the largest mean gain, the first of several."""
    gained = [row for row in rows if row.gain_mean is not None]
    return max(gained, key=lambda row: row.gain_mean or 0.0, default=None)


def _scores(plan: Plan, row: Row, cells: Mapping[str, Mapping[int, Cell]]) -> ImageScores:
    by_seed = {seed: _evidence(plan, cell).per_image() for seed, cell in cells[row.label].items()}
    return ImageScores(row.label, by_seed)


def _evidence(plan: Plan, cell: Cell) -> Evidence:
    read = plan.task.scoring.read
    if read is None:
        raise BenchError(f"the task {plan.task.scoring.name} does not tell how its evidence is read (Scoring.read)")
    return read(plan.run.cell(cell.id).path / COUNTS)


def first_common_seed(seeds: list[set[int]]) -> int:
    """Return the lowest seed that all have; else the lowest of the first, which others then take if they have it."""
    return min(set.intersection(*seeds) or seeds[0])


def _notes(item: Selected) -> list[str]:
    title, notes = item.board.title, []
    seeds = {label: cell.seed for label, cell in item.cells.items()}
    first = seeds[item.baseline]
    others = [f"{label} of seed {seed}" for label, seed in seeds.items() if seed != first]
    notes.append(f"{title}: students of seed {first}" + (f"; {', '.join(others)}" if others else ""))
    if not any(row.method == BASELINE and row.label == item.baseline for row in item.board.rows):
        notes.append(f"{title}: {BASELINE} is not finished, the images were chosen by {item.baseline}")
    if item.left_out:
        notes.append(f"{title}: left out to keep the gallery small: {', '.join(item.left_out)}")
    return notes
