"""The definitions at the foot of ``report.html``."""

from __future__ import annotations

from collections.abc import Sequence

from bench.leaderboard import Board
from bench.report.columns import columns
from bench.tasks.scorings import scoring_of


def definitions(boards: Sequence[Board]) -> list[tuple[str, str]]:
    """Return what the columns are, those of the page first, and what the score of an image is: names and sentences."""
    scorings = {board.scoring.name: board.scoring for board in boards} or {"": scoring_of({})}
    found = [column for scoring in scorings.values() for column in columns(scoring)]
    found.sort(key=lambda column: not {"page", "folded"} & set(column.shown_in))
    told = [(column.header_on_page, column.meaning) for column in found]
    told.append(("Pareto front", "The methods that no other beats on both axes of the plot."))
    told += [(f"{s.primary.header} of an image", s.per_image) for s in scorings.values() if s.per_image]
    return list(dict.fromkeys(told))
