from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.base.files import file_digest, write_json
from bench.leaderboard import draws as images
from bench.leaderboard import leaderboard, load
from bench.leaderboard.draws import CACHE, resampled_cells
from bench.leaderboard.statistics import Resamples, image_difference, resampled
from bench.report import build_report
from bench.store.folders import COUNTS, RESULT, CellFolder, seal
from bench.tasks.segmentation.counts import Counts
from tests.run_builder import RunBuilder

N_IMAGES, CLASSES = 40, 3


def counts_of(quality: float, seed: int, n_images: int = N_IMAGES) -> Counts:
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(99).integers(CLASSES, size=(n_images, 30))
    guess = np.where(rng.random(truth.shape) < quality, truth, rng.integers(CLASSES, size=truth.shape))
    matrices = np.zeros((n_images, CLASSES, CLASSES), dtype=np.int64)
    np.add.at(matrices, (np.arange(n_images)[:, None], truth, guess), 100)
    return Counts.from_dense(matrices)


def with_counts(folder: CellFolder, counts: Counts) -> None:
    counts.save(folder.path / COUNTS)
    record = json.loads((folder.path / RESULT).read_text())
    record["files"][COUNTS] = file_digest(folder.path / COUNTS)
    record["metrics"] = dict(counts.metrics(list(record["metrics"]["iou"])))
    write_json(folder.path / RESULT, seal(record))


@pytest.fixture
def builder(tmp_path: Path) -> RunBuilder:
    builder = RunBuilder(tmp_path / "run")
    for seed in range(2):
        for method, quality in (("none", 0.5), ("kd", 0.7)):
            with_counts(builder.done(method, quality, seed), counts_of(quality, seed))
    return builder


def test_gain_over_images_pairs_the_draws_and_the_seeds(builder: RunBuilder) -> None:
    cells = load(builder.run)
    (board,) = leaderboard(cells, resampled_cells(cells).by_cell)
    draws = Resamples(N_IMAGES, images.N_DRAWS)
    sides = [resampled([counts_of(quality, seed) for seed in range(2)], draws) for quality in (0.7, 0.5)]
    expected = image_difference(sides[0], sides[1]).interval
    assert expected is not None
    kd = next(row for row in board.rows if row.label == "kd")
    assert (kd.image_gain_low, kd.image_gain_high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    assert expected.low > 0
    assert board.rows[0].image_gain_low is None


def test_without_draws_no_interval_over_images(builder: RunBuilder) -> None:
    (board,) = leaderboard(load(builder.run))
    assert [row.image_gain_low for row in board.rows] == [None, None]


def test_seed_without_counts_is_left_out_on_both_sides_and_told(builder: RunBuilder) -> None:
    builder.done("none", 0.5, 2)
    builder.done("kd", 0.7, 2)
    cells = load(builder.run)
    (board,) = leaderboard(cells, resampled_cells(cells).by_cell)
    kd = next(row for row in board.rows if row.label == "kd")
    assert (kd.n_paired, kd.image_gain_low is None) == (3, False)
    assert "interval over images from 2 of 3 seeds: the others have no readable counts" in kd.notes


def test_counts_over_other_images_give_no_interval(builder: RunBuilder) -> None:
    for seed in range(2):
        with_counts(builder.done("cwd", 0.6, seed), counts_of(0.6, seed, n_images=N_IMAGES + 1))
    cells = load(builder.run)
    (board,) = leaderboard(cells, resampled_cells(cells).by_cell)
    assert {row.label: row.image_gain_low is None for row in board.rows} == {"none": True, "kd": False, "cwd": True}


def test_counts_that_are_no_counts_are_told_and_cost_only_the_interval(
    builder: RunBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = builder.done("cwd", 0.6)
    (folder.path / COUNTS).write_bytes(b"PK\x03\x04 no archive")
    record = json.loads((folder.path / RESULT).read_text())
    record["files"][COUNTS] = file_digest(folder.path / COUNTS)
    write_json(folder.path / RESULT, seal(record))
    monkeypatch.setattr("bench.report.write_plots", lambda boards, folder, curves: [])
    monkeypatch.setattr("bench.report.write_page", lambda folder, *rest, **more: folder / "report.html")
    report = build_report(builder.run)
    assert report.problems == ("finished cells without readable counts.npz, left out over images: 1",)
    assert next(row for row in report.boards[0].rows if row.label == "cwd").score_mean == 0.6


def test_kept_draws_give_the_same_numbers_and_are_not_computed_again(
    builder: RunBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "CACHE_FROM", 1)
    cache = builder.run.path / CACHE
    cells = load(builder.run)
    first = resampled_cells(cells, cache).by_cell
    monkeypatch.setattr(images, "read_evidence", lambda scoring, path: pytest.fail("computed again"))
    again = resampled_cells(cells, cache).by_cell
    assert first.keys() == again.keys()
    for cell_id, drawn in first.items():
        assert np.array_equal(drawn.values, again[cell_id].values)
        assert (drawn.score, drawn.resamples) == (again[cell_id].score, again[cell_id].resamples)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY"])
def test_broken_cache_is_made_anew(builder: RunBuilder, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(images, "CACHE_FROM", 1)
    cache = builder.run.path / CACHE
    cache.write_bytes(content)
    cells = load(builder.run)
    assert len(resampled_cells(cells, cache).by_cell) == 4
    assert cache.stat().st_size > 1000


def test_few_cells_leave_no_cache(builder: RunBuilder) -> None:
    resampled_cells(load(builder.run), builder.run.path / CACHE)
    assert not (builder.run.path / CACHE).exists()
