"""A teacher that does not exceed its student is marked wherever the table stands, with both scores."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from bench.cli.screen.boards import print_boards
from bench.leaderboard import Board, leaderboard, load, read_plan
from bench.report.page.page import page
from bench.report.text.latex import latex
from bench.report.text.markdown import markdown
from bench.report.text.tables import csv
from bench.report.text.webtable import web_table
from bench.store.folders import RunFolder
from tests.depth_run import depth_run, fill
from tests.run_builder import RunBuilder

WORDS = "the teacher does not exceed its student"
Output = Callable[[RunFolder, Sequence[Board]], str]


def terminal(_: RunFolder, boards: Sequence[Board]) -> str:
    console = Console(file=io.StringIO(), width=120)
    print_boards(boards, console)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


OUTPUTS: dict[str, Output] = {
    "terminal": terminal,
    "markdown": lambda run, boards: markdown(read_plan(run), boards),
    "latex": lambda _, boards: latex(boards),
    "csv": lambda _, boards: csv(boards),
    "html": lambda run, boards: web_table(read_plan(run), boards),
    "page": lambda run, boards: page(run.path, read_plan(run), boards),
}


def segmentation(path: Path, none: float) -> RunFolder:
    builder = RunBuilder(path)
    for seed, step in enumerate((-0.01, 0.01)):
        builder.done("none", none + step, seed)
        builder.done("kd", 0.8 + step, seed)
    builder.plan()
    return builder.run


def depth(path: Path, none: float) -> RunFolder:
    builder = depth_run(path)
    fill(builder, {"none": (none - 0.01, none + 0.01), "kd": (0.1, 0.11)})
    builder.plan()
    return builder.run


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize(
    ("made", "none", "told"),
    [
        (segmentation, 0.75, "mIoU 72.00 % against 75.00 % of none"),
        (segmentation, 0.72, "mIoU 72.00 % against 72.00 % of none"),
        (segmentation, 0.70, None),
        (depth, 0.15, "RMSE 0.200 m against 0.150 m of none"),
        (depth, 0.25, None),
    ],
)
def test_a_teacher_that_does_not_exceed_its_student_is_marked_in(
    tmp_path: Path, output: str, made: Callable[[Path, float], RunFolder], none: float, told: str | None
) -> None:
    run = made(tmp_path / "run", none)
    text = OUTPUTS[output](run, leaderboard(load(run))).replace("\\", "")
    assert (WORDS in text) == (told is not None)
    assert f"{WORDS}: {told}" in text or told is None


def test_each_pair_is_told_for_itself(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    for student, none in (("small", 0.5), ("wide", 0.8)):
        builder.done("none", none, student=student)
        builder.done("kd", none, student=student)
    boards = leaderboard(load(builder.run))
    marked = {board.student: board.teacher_row.notes for board in boards if board.teacher_row}
    assert marked["small"] == ()
    assert marked["wide"] == (f"{WORDS}: mIoU 72.00 % against 80.00 % of none",)


def test_without_a_score_of_the_student_nothing_is_said(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    builder.failed("none")
    builder.done("kd", 0.9)
    (board,) = leaderboard(load(builder.run))
    assert board.teacher_row is not None
    assert board.teacher_row.notes == ()
