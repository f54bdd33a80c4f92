"""The plots of a report: which there are, and how they come into a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from bench.base.errors import BenchError
from bench.base.files import write_atomic, write_problem
from bench.leaderboard import Board
from bench.report.figures.classes import class_heat_map
from bench.report.figures.curves import miou_over_steps
from bench.report.figures.gains import gains
from bench.report.figures.losses import loss_terms
from bench.report.figures.measured import Curves, read_curves
from bench.report.figures.style import KINDS, render
from bench.report.figures.sweeps import hyperparameter_sweeps
from bench.report.figures.tradeoff import miou_over_cost

__all__ = ["NAMES", "figures", "miou_over_steps", "read_curves", "render", "write_plots"]

NAMES = ("gains", "miou_over_cost", "miou_over_steps", "loss_terms", "class_gains", "hyperparameters")
"""Names of the plots, in the order in which a report shows them; their files are ``NAME.png``, ``.svg``, ``.pdf``."""


def figures(boards: Sequence[Board], curves: Mapping[str, Curves] | None = None) -> dict[str, Figure]:
    """Draw every plot for which there are numbers.

    Args:
        boards: the tables.
        curves: as from :func:`read_curves`, read from the cells' folders where they are not given.

    Returns:
        The figures by name, in the order of :data:`NAMES`. ``miou_over_steps`` is always among them.
    """
    if curves is None:
        curves, _ = read_curves(boards)
    drawn = {
        "gains": gains(boards),
        "miou_over_cost": miou_over_cost(boards),
        "miou_over_steps": miou_over_steps(boards, curves),
        "loss_terms": loss_terms(boards, curves),
        "class_gains": class_heat_map(boards),
        "hyperparameters": hyperparameter_sweeps(boards),
    }
    return {name: figure for name, figure in drawn.items() if figure is not None}


def write_plots(boards: Sequence[Board], folder: Path, curves: Mapping[str, Curves] | None = None) -> list[Path]:
    """Write every plot for which there are numbers as PNG, SVG and PDF.

    A file of a plot that is no longer drawn is removed: it would contradict the tables beside it.

    Returns:
        The files, in the order of :data:`NAMES`.

    Raises:
        BenchError: the folder cannot be written to.
    """
    drawn = figures(boards, curves)
    written = []
    for name in NAMES:
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
