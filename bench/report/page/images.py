"""The score of every image, by method, for the view of ``report.html`` that compares two methods image by image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.leaderboard import Board, Row
from bench.leaderboard.draws import read_evidence
from bench.leaderboard.rows import Cell
from bench.report.figures.measured import by_row
from bench.store.folders import COUNTS
from bench.tasks.metric import Metric, Scoring

MOST_CELLS = 600
MOST_METHODS = 16
MOST_IMAGES = 2000
MOST_VALUES = 250_000
"""Values over all boards; each takes about five characters of the page."""


@dataclass
class ImageReader:
    """Reads the scores of single images until the limits are reached, and keeps what was left out.

    Attributes:
        n_cells: cells read so far.
        n_values: values returned so far.
        unreadable: ids of the cells whose evidence could not be read.
        left_out: titles of the boards that came after the limits were reached.
    """

    n_cells: int = 0
    n_values: int = 0
    unreadable: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def of(self, board: Board) -> dict[str, Any] | None:
        """Return the score, as shown, of every image by the board's best methods, or None where there is none.

        A seed's images are averaged with those of the method's other seeds.

        Returns:
            ``n_images`` in all, ``labels``, ``values`` (a list for each label, None where an image has no score) and
            ``n_methods_left_out``.
        """
        scoring = board.scoring
        if scoring.read is None:
            return None
        cells = {
            label: [cell for cell in own.values() if (Path(cell["folder"]) / COUNTS).is_file()]
            for label, own in by_row(board).items()
        }
        rows = [row for row in board.rows if cells.get(row.label)]
        if not rows:
            return None
        if self.n_cells >= MOST_CELLS or self.n_values >= MOST_VALUES:
            self.left_out.append(board.title)
            return None
        found = self._scores(scoring, rows[:MOST_METHODS], cells)
        if not found:
            return None
        n_images = len(next(iter(found.values())))
        same = {label: values for label, values in found.items() if len(values) == n_images}
        self.n_values += len(same) * min(n_images, MOST_IMAGES)
        return {
            "n_images": n_images,
            "labels": list(same),
            "values": [_rounded(scoring.primary, values[:MOST_IMAGES]) for values in same.values()],
            "n_methods_left_out": len(rows) - len(same),
        }

    def _scores(
        self, scoring: Scoring, rows: Sequence[Row], cells: Mapping[str, Sequence[Cell]]
    ) -> dict[str, np.ndarray]:
        found = {}
        for row in rows:
            seeds = [scores for cell in cells[row.label] if (scores := self._read(scoring, cell)) is not None]
            seeds = [scores for scores in seeds if len(scores) == len(seeds[0])]
            if seeds:
                found[row.label] = np.mean(seeds, axis=0)
        return found

    def _read(self, scoring: Scoring, cell: Cell) -> np.ndarray | None:
        if self.n_cells >= MOST_CELLS:
            return None
        self.n_cells += 1
        evidence = read_evidence(scoring, Path(cell["folder"]) / COUNTS)
        if evidence is None:
            self.unreadable.append(str(cell["cell_id"]))
            return None
        return evidence.per_image()


def _rounded(metric: Metric, values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else metric.rounded(float(value)) for value in values]
