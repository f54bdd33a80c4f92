"""Reports: tables and plots made from a run folder alone, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.errors import BenchError
from bench.leaderboard import Board, leaderboard, load, read_plan
from bench.report.markdown import markdown
from bench.report.plots import MOST_PANELS, miou_over_steps, read_curves, render
from bench.report.tables import csv
from bench.store import RunFolder, write_atomic, write_problem

__all__ = ["Report", "build_report"]

PLOT = "miou_over_steps"


@dataclass(frozen=True)
class Report:
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


def build_report(run: RunFolder) -> Report:
    """Write ``leaderboard.md``, ``leaderboard.csv`` and ``miou_over_steps.png`` and ``.svg`` into the run folder.

    Raises:
        BenchError: the folder holds no run, or cannot be written to.
    """
    if not (run.path / "cells").is_dir() and not (run.path / "plan.json").is_file():
        raise BenchError(f"no run in {run.path}: it has neither cells/ nor plan.json. Name the folder of a run.")
    plan = read_plan(run)
    cells = load(run, plan)
    boards = leaderboard(cells)
    curves, n_unreadable = read_curves(boards)
    problems = [plan.problem] if plan.problem else []
    if n_unreadable:
        problems.append(f"finished cells without a readable history.json, whose curves are not drawn: {n_unreadable}")
    if len(boards) > MOST_PANELS:
        problems.append(f"the plot shows at most {MOST_PANELS} of the {len(boards)} tables")
    figure = miou_over_steps(boards, curves)
    contents = {
        "leaderboard.md": markdown(plan, boards, problems, f"{PLOT}.png").encode(),
        "leaderboard.csv": csv(boards).encode(),
        f"{PLOT}.png": render(figure, "png"),
        f"{PLOT}.svg": render(figure, "svg"),
    }
    for name, content in contents.items():
        _write(run.path / name, content)
    return Report(tuple(run.path / name for name in contents), tuple(boards), cells, tuple(problems))


def _write(path: Path, content: bytes) -> None:
    try:
        write_atomic(path, lambda file: file.write(content))
    except OSError as error:
        raise BenchError(write_problem(path, error)) from error
