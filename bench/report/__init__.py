"""Reports: tables, plots and a page made from a run folder alone, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.base.errors import BenchError
from bench.base.files import write_problem, write_text
from bench.base.temporary import sweep
from bench.leaderboard import Board, RecordedPlan, leaderboard, load, read_plan
from bench.leaderboard.arms import require_run
from bench.leaderboard.draws import CACHE, resampled_cells
from bench.report.figures.measured import finished
from bench.report.figures.plots import read_curves, write_plots
from bench.report.page.page import write_page
from bench.report.text.latex import latex
from bench.report.text.markdown import markdown
from bench.report.text.tables import csv
from bench.report.text.webtable import web_table
from bench.store.folders import RunFolder

__all__ = ["BuiltReport", "build_report"]


@dataclass(frozen=True)
class BuiltReport:
    """What a report wrote and showed.

    Attributes:
        files: the files written, in the run folder.
        boards: the tables.
        cells: one row a cell, as from :func:`bench.leaderboard.load`.
        problems: what could not be read or shown.
    """

    files: tuple[Path, ...]
    boards: tuple[Board, ...]
    cells: pd.DataFrame
    problems: tuple[str, ...]


def build_report(*runs: RunFolder, output: Path | None = None) -> BuiltReport:
    """Write ``leaderboard.md``, ``.csv``, ``.tex`` and ``.html``, the plots and ``report.html``.

    Args:
        runs: one run, or several whose cells are put into common tables where their protocols agree.
        output: where to write; the run's own folder if it is one run.

    Raises:
        BenchError: a folder holds no run, or the output cannot be written to or is not told.
    """
    for run in runs:
        require_run(run.path)
    if output is None and len(runs) != 1:
        raise BenchError("a report of several runs needs a folder of its own: name it with --output")
    folder = output or runs[0].path
    sweep(folder)
    plans = [read_plan(run) for run in runs]
    cells = pd.concat([load(run, plan) for run, plan in zip(runs, plans, strict=True)], ignore_index=True)
    return _write_report(folder, _merged(plans), cells)


def _merged(plans: Sequence[RecordedPlan]) -> RecordedPlan:
    """Return one plan for several; images go without names, as each plan tells those of its own split alone."""
    if len(plans) == 1:
        return plans[0]
    return RecordedPlan(
        name=" + ".join(plan.name for plan in plans),
        command="; ".join(dict.fromkeys(plan.command for plan in plans if plan.command)),
        cells={cell_id: entry for plan in plans for cell_id, entry in plan.cells.items()},
        problem="; ".join(f"{plan.name}: {plan.problem}" for plan in plans if plan.problem) or None,
    )


def _write_report(folder: Path, plan: RecordedPlan, cells: pd.DataFrame) -> BuiltReport:
    drawn = resampled_cells(cells, folder / CACHE)
    boards = leaderboard(cells, drawn.by_cell)
    curves, n_unreadable = read_curves(boards)
    problems = [plan.problem] if plan.problem else []
    if drawn.n_unreadable:
        problems.append(f"finished cells without readable counts.npz, left out over images: {drawn.n_unreadable}")
    if n_unreadable:
        problems.append(f"finished cells without a readable history.json, whose curves are not drawn: {n_unreadable}")
    if (n_drawn := len(finished(boards))) < sum(any(row.n_seeds for row in board.rows) for board in boards):
        problems.append(f"the plots show the first {n_drawn} of {len(boards)} tables")
    tables = {
        "leaderboard.csv": csv(boards),
        "leaderboard.tex": latex(boards),
        "leaderboard.html": web_table(plan, boards, problems),
    }
    for name, text in tables.items():
        _write(folder / name, text)
    plots = write_plots(boards, folder, curves)
    pictures = [path.name for path in plots if path.suffix == ".png"]
    _write(folder / "leaderboard.md", markdown(plan, boards, problems, pictures))
    planned = [board for board in boards if plan.images and set(board.cells["cell_id"]) & set(plan.cells)]
    names = {board.title: plan.images for board in planned}
    page = write_page(folder, plan, boards, problems, curves=curves, image_names=names)
    files = [folder / name for name in ("leaderboard.md", *tables)]
    return BuiltReport((*files, *plots, page), tuple(boards), cells, tuple(problems))


def _write(path: Path, text: str) -> None:
    try:
        write_text(path, text)
    except OSError as error:
        raise BenchError(write_problem(path, error)) from error
