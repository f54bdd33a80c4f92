"""Boards of a task whose score is an error: the lowest is the best."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.leaderboard import Board, leaderboard, load
from bench.leaderboard.draws import resampled_cells
from bench.leaderboard.statistics import Resamples, image_difference, resampled
from bench.tasks.means import Means
from bench.tasks.scorings import known_scorings
from tests.depth_run import DEPTH, depth_run, fill, with_errors

ERRORS = {"none": (0.50, 0.52, 0.51), "kd": (0.401, 0.42, 0.409), "cwd": (0.601, 0.62, 0.612)}


def board_of(path: Path) -> Board:
    builder = depth_run(path)
    fill(builder, ERRORS)
    builder.failed("at")
    (board,) = leaderboard(load(builder.run))
    return board


def test_the_task_is_read_from_its_record_alone(tmp_path: Path) -> None:
    assert DEPTH.name not in known_scorings()
    board = board_of(tmp_path)
    assert board.scoring == replace(DEPTH, read=Means.load)
    assert board.teacher_row is not None
    assert (board.teacher_row.score_mean, board.teacher_row.metrics) == (0.2, {"delta1": 0.9})


def test_the_lowest_error_stands_first_and_in_the_first_tier(tmp_path: Path) -> None:
    board = board_of(tmp_path)
    assert [row.label for row in board.rows] == ["none", "kd", "cwd", "at"]
    assert {row.label: row.tier for row in board.rows} == {"kd": 1, "none": 2, "cwd": 3, "at": None}


def test_a_gain_is_positive_where_the_error_falls_and_so_is_its_interval(tmp_path: Path) -> None:
    kd, cwd = board_of(tmp_path).rows[1:3]
    assert kd.gain_mean == pytest.approx(0.1)
    assert cwd.gain_mean == pytest.approx(-0.101)
    assert kd.gain_low is not None
    assert kd.gain_high is not None
    assert 0 < kd.gain_low < kd.gain_mean < kd.gain_high
    assert kd.score_low is not None
    assert kd.score_high is not None
    assert kd.score_low < kd.score_mean < kd.score_high
    assert kd.metrics == {"delta1": pytest.approx(0.795)}


def test_the_frame_has_metrics_under_their_keys(tmp_path: Path) -> None:
    frame = board_of(tmp_path).frame().set_index("label")
    assert frame.loc["kd", "rmse_mean"] == pytest.approx(0.41)
    assert frame.loc["kd", "delta1"] == pytest.approx(0.795)
    assert not [name for name in frame.columns if "miou" in name or name.startswith("score")]


def test_intervals_over_images_are_turned_too(tmp_path: Path) -> None:
    builder = depth_run(tmp_path)
    noise = np.random.default_rng(0)
    images = noise.uniform(0.2, 0.4, size=40)
    better = images - noise.uniform(0.05, 0.1, size=40)
    for method, errors in (("none", images), ("kd", better)):
        with_errors(builder.done(method, float(np.sqrt(errors.mean()))), errors)
    cells = load(builder.run)
    drawn = resampled_cells(cells)
    (board,) = leaderboard(cells, drawn.by_cell)
    kd = board.rows[1]
    sides = [resampled([Means.load(folder.path / "counts.npz")], Resamples(40, 1000)) for folder in builder.run.cells()]
    kd_side, none_side = sorted(sides, key=lambda side: side.score or 0)
    expected = image_difference(none_side, kd_side).interval
    assert expected is not None
    assert (kd.image_gain_low, kd.image_gain_high) == (expected.low, expected.high)
    assert 0 < expected.low < (kd.gain_mean or 0) < expected.high


def test_records_that_only_the_tasks_code_reads_cost_the_intervals_over_images_and_are_told_once(
    tmp_path: Path,
) -> None:
    builder = depth_run(tmp_path, replace(DEPTH, evidence="of its own"))
    for method, error in (("none", 0.5), ("kd", 0.4)):
        with_errors(builder.done(method, error), np.full(20, error**2))
    cells = load(builder.run)
    drawn = resampled_cells(cells)
    assert (dict(drawn.by_cell), drawn.n_unreadable) == ({}, 0)
    (board,) = leaderboard(cells, drawn.by_cell)
    assert [note for note in board.notes if "only the code of the task" in note] == list(board.notes)
    assert len(board.notes) == 1
    assert (board.rows[1].gain_mean, board.rows[1].image_gain_low) == (pytest.approx(0.1), None)


def test_results_of_another_version_of_the_task_are_compared_by_the_boards_metric(tmp_path: Path) -> None:
    builder = depth_run(tmp_path)
    fill(builder, {"none": (0.5, 0.52)})
    newer = depth_run(tmp_path, replace(DEPTH, metrics=DEPTH.metrics[::-1]))
    newer.done("kd", 0.4)
    (board,) = leaderboard(load(builder.run))
    kd = next(row for row in board.rows if row.label == "kd")
    by_key = {board.metric.key: kd.score_mean, **kd.metrics}
    assert by_key == {"rmse": 0.4, "delta1": 0.8}
