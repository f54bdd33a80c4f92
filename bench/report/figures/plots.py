"""The plots of a report: which there are, and how they come into a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from bench.base.errors import BenchError
from bench.base.files import write_atomic, write_problem
from bench.leaderboard import Board
from bench.report.figures.classes import class_heat_map
from bench.report.figures.curves import score_over_steps
from bench.report.figures.gains import gains
from bench.report.figures.losses import loss_terms
from bench.report.figures.measured import Curves, finished, read_curves
from bench.report.figures.style import KINDS, render
from bench.report.figures.sweeps import hyperparameter_sweeps
from bench.report.figures.tradeoff import score_over_cost
from bench.tasks.scorings import known_scorings, scoring_of

__all__ = ["figures", "read_curves", "render", "score_over_steps", "write_plots"]

COST, STEPS = "_over_cost", "_over_steps"
"""Ends of the names of plots of scores, which begin with the key of the primary metric."""


def figures(boards: Sequence[Board], curves: Mapping[str, Curves] | None = None) -> dict[str, Figure]:
    """Draw every plot for which there are numbers.

    Args:
        boards: the tables.
        curves: as from :func:`read_curves`, read from the cells' folders where they are not given.

    Returns:
        The figures by name, in the order in which a report shows them; their files are ``NAME.png``, ``.svg``,
        ``.pdf``. The scores over the iterations are always among them.
    """
    if curves is None:
        curves, _ = read_curves(boards)
    by_key = _by_primary(boards)
    drawn = {
        "gains": gains(boards),
        **{f"{key}{COST}": score_over_cost(own) for key, own in by_key.items()},
        **{f"{key}{STEPS}": score_over_steps(own, curves) for key, own in by_key.items()},
        "loss_terms": loss_terms(boards, curves),
        "class_gains": class_heat_map(boards),
        "hyperparameters": hyperparameter_sweeps(boards),
    }
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _by_primary(boards: Sequence[Board]) -> dict[str, list[Board]]:
    """Return the boards with a score by the key of their primary metric; without any, none under that of the first."""
    found: dict[str, list[Board]] = {}
    for board in boards:
        if finished([board]):
            found.setdefault(board.metric.key, []).append(board)
    first = boards[0].metric if boards else scoring_of({}).primary
    return found or {first.key: []}


def write_plots(boards: Sequence[Board], folder: Path, curves: Mapping[str, Curves] | None = None) -> list[Path]:
    """Write every plot for which there are numbers as PNG, SVG and PDF.

    A file of a plot that is no longer drawn is removed: it would contradict the tables beside it.

    Returns:
        The files, in the order of :func:`figures`.

    Raises:
        BenchError: the folder cannot be written to.
    """
    drawn = figures(boards, curves)
    written = []
    for name in (*drawn, *(name for name in _names(boards) if name not in drawn)):
        for kind in KINDS:
            path = folder / f"{name}.{kind}"
            try:
                if name not in drawn:
                    path.unlink(missing_ok=True)
                    continue
                content = render(drawn[name], kind)
                write_atomic(path, lambda file, content=content: file.write(content))  # type: ignore[misc]
            except OSError as error:
                raise BenchError(write_problem(path, error)) from error
            written.append(path)
    return written


def _names(boards: Sequence[Board]) -> list[str]:
    """Return the names of all plots that a report of these boards, or an earlier one of the folder, may have."""
    scorings = [*known_scorings().values(), *(board.scoring for board in boards)]
    keys = dict.fromkeys(scoring.primary.key for scoring in scorings)
    of_scores = [f"{key}{end}" for key in keys for end in (COST, STEPS)]
    return ["gains", *of_scores, "loss_terms", "class_gains", "hyperparameters"]
