"""Two runs side by side."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from bench.base.errors import EXIT_DONE, EXIT_NOT_COMPARABLE, BenchError
from bench.base.files import file_digest, write_json
from bench.cli.screen.comparison import comparison_record, print_comparison
from bench.leaderboard.arms import read_arms, require_run
from bench.leaderboard.compare import ComparedRuns, compare
from bench.store.folders import COUNTS, RESULT, seal
from bench.tasks.segmentation.counts import Counts
from tests.run_builder import RunBuilder


@pytest.fixture
def runs(tmp_path: Path) -> tuple[RunBuilder, RunBuilder]:
    return RunBuilder(tmp_path / "one"), RunBuilder(tmp_path / "two")


def compared(runs: tuple[RunBuilder, RunBuilder]) -> ComparedRuns:
    return compare(*(read_arms(builder.run) for builder in runs))


def shown(found: ComparedRuns) -> str:
    console = Console(file=io.StringIO(), width=200)
    print_comparison(found, ("one", "two"), console)
    return console.file.getvalue()


def amend(folder: Path, **fields: Any) -> None:
    record = json.loads((folder / RESULT).read_text())
    write_json(folder / RESULT, seal({**record, **fields}))


def with_counts(folder: Path, right: np.ndarray, labels: np.ndarray) -> None:
    """Give a cell counts of two classes: of each image's pixels of a class so many are right."""
    matrices = np.zeros((len(labels), 2, 2), dtype=int)
    for c in range(2):
        matrices[:, c, c] = right[:, c]
        matrices[:, c, 1 - c] = labels[:, c] - right[:, c]
    counts = Counts.from_dense(matrices)
    counts.save(folder / COUNTS)
    amend(folder, files={COUNTS: file_digest(folder / COUNTS)}, metrics=dict(counts.metrics(["left", "right"])))


def test_rows_are_paired_by_seed_and_tested(runs: tuple[RunBuilder, RunBuilder]) -> None:
    before, now = [0.50, 0.60, 0.55], [0.53, 0.61, 0.60]
    for seed in (2, 0, 1):
        runs[0].done("kd", before[seed], seed)
        runs[1].done("kd", now[seed], seed)
    runs[1].done("kd", 0.9, 3)
    (row,) = compared(runs).rows
    expected = stats.ttest_rel(now, before)
    low, high = expected.confidence_interval()
    assert row.seeds == (0, 1, 2)
    assert row.difference.mean == pytest.approx(0.03)
    assert row.difference.p == pytest.approx(expected.pvalue)
    assert row.difference.interval is not None
    assert (row.difference.interval.low, row.difference.interval.high) == (pytest.approx(low), pytest.approx(high))


def test_p_values_are_holm_adjusted_over_the_rows(runs: tuple[RunBuilder, RunBuilder]) -> None:
    for seed in range(3):
        for method, shift in (("kd", 0.03), ("cwd", 0.0)):
            runs[0].done(method, 0.5 + seed / 100, seed)
            runs[1].done(method, 0.5 + seed / 90 + shift, seed)
    rows = {row.name: row for row in compared(runs).rows}
    p = rows["kd"].difference.p
    assert p is not None
    assert rows["kd"].p_holm == pytest.approx(2 * p)


def test_one_seed_has_a_difference_and_nothing_more(runs: tuple[RunBuilder, RunBuilder]) -> None:
    runs[0].done("kd", 0.5)
    runs[1].done("kd", 0.52)
    found = compared(runs)
    (row,) = found.rows
    assert (row.difference.interval, row.p_holm, row.images) == (None, None, None)
    assert "+2.00" in shown(found)


def test_without_a_common_finished_cell_nothing_is_compared(runs: tuple[RunBuilder, RunBuilder]) -> None:
    runs[0].done("kd", 0.5)
    runs[1].done("cwd", 0.5)
    runs[0].done("at", 0.5)
    runs[1].failed("at")
    found = compared(runs)
    assert found.exit_code == EXIT_NOT_COMPARABLE
    assert {(row.name, row.side) for row in found.alone} == {("at", None), ("kd", 0), ("cwd", 1)}
    text = shown(found)
    for part in ("kd: only in one: 1 done", "cwd: only in two", "at: in both: no seed with a score in both",
                 "nothing was compared"):  # fmt: skip
        assert part in text


def test_rows_without_counterpart_are_listed_beside_those_with_one(runs: tuple[RunBuilder, RunBuilder]) -> None:
    for builder in runs:
        builder.done("none", 0.5)
    runs[0].done("kd", 0.5)
    found = compared(runs)
    assert found.exit_code == EXIT_DONE
    assert [row.name for row in found.alone] == ["kd"]


def test_images_are_resampled_only_where_both_were_scored_on_the_same_labels(
    runs: tuple[RunBuilder, RunBuilder],
) -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(50, 100, size=(40, 2))
    right = (labels * 0.6).astype(int)
    better = np.minimum(labels, right + 8)
    folders = [builder.done("kd", 0.5).path for builder in runs]
    with_counts(folders[0], right, labels)
    with_counts(folders[1], better, labels)
    (row,) = compared(runs).rows
    assert row.images is not None
    assert row.images.interval is not None
    assert 0 < row.images.interval.low < row.images.estimate < row.images.interval.high
    swapped = labels[::-1].copy()
    with_counts(folders[1], np.minimum(better, swapped), swapped)
    (row,) = compared(runs).rows
    assert row.images is None


def test_what_differs_between_the_runs_is_told(tmp_path: Path) -> None:
    runs = RunBuilder(tmp_path / "one", crop=64), RunBuilder(tmp_path / "two", crop=32)
    for builder, torch in zip(runs, ("2.6.0", "2.7.0"), strict=True):
        folder = builder.done("kd", 0.5, device=f"gpu of {torch}").path
        digests = {"method": torch + "0" * 12, "student": "same", "torch": torch, "teacher_weights": None}
        amend(folder, provenance=digests)
    found = compared(runs)
    text = shown(found)
    assert set(found.apart) == {"torch", "device", "code of method kd"}
    assert found.apart["torch"] == ("2.6.0", "2.7.0")
    assert "kd: not under one protocol: recipe.crop: 64 in one, 32 in two" in text
    assert "differs: device: gpu of 2.6.0 in one, gpu of 2.7.0 in two" in text


def test_a_run_equals_itself(runs: tuple[RunBuilder, RunBuilder]) -> None:
    for seed in range(3):
        for method in ("none", "kd"):
            runs[0].done(method, 0.5 + seed / 100, seed)
    found = compared((runs[0], runs[0]))
    assert [(row.difference.mean, row.p_holm, row.differing) for row in found.rows] == [(0, 1, {})] * 2
    assert (found.apart, found.alone) == ({}, ())


def test_the_record_is_json_and_holds_the_numbers(runs: tuple[RunBuilder, RunBuilder]) -> None:
    for builder, score in zip(runs, (0.5, 0.25), strict=True):
        builder.done("k|d [red]\n\x07ä", score)
    runs[0].done("at", 0.5)
    found = compared(runs)
    record = json.loads(json.dumps(comparison_record(found, ("one", "two"))))
    assert record["rows"][0]["difference"] == -25
    assert record["rows"][0]["scores"] == [[0.5], [0.25]]
    assert record["alone"] == [{"place": "digits: big → small", "name": "at", "side": 0, "reason": "1 done",
                                "run": "one"}]  # fmt: skip
    assert "k|d [red] ä" in shown(found)


def test_what_is_no_run_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no run in"):
        require_run(tmp_path)


def test_a_large_difference_that_the_seeds_cannot_tell_is_a_warning_and_one_beyond_them_is_told(
    runs: tuple[RunBuilder, RunBuilder],
) -> None:
    scores = {
        "none": ([0.60, 0.61], [0.60, 0.61]),
        "large": ([0.60, 0.68], [0.58, 0.64]),
        "beyond": ([0.60, 0.61], [0.73, 0.68]),
        "small": ([0.60, 0.61], [0.61, 0.63]),
    }
    for method, sides in scores.items():
        for builder, values in zip(runs, sides, strict=True):
            for seed, value in enumerate(values):
                builder.done(method, value, seed)
    found = compared(runs)
    rows = {row["label"]: row for row in comparison_record(found, ("one", "two"))["rows"]}
    assert [label for label, row in rows.items() if row["unclear_but_large"]] == ["large"]
    assert [label for label, row in rows.items() if row["beyond_seeds"]] == ["beyond"]
    text = shown(found)
    told = "warning: large: -3.00 points, which is large, more than 2.5 points, but 2 seeds cannot tell it from noise"
    assert told in text
    assert " beyond: +10.00 points, beyond the 8.73 points that 2 seeds may move" in text
