from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_builder import RunBuilder

from bench.errors import BenchError
from bench.report import build_report
from bench.store import HISTORY, RunFolder

FILES = ["leaderboard.md", "leaderboard.csv", "miou_over_steps.png", "miou_over_steps.svg"]


def test_writes_all_files_and_returns_the_boards(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    builder.done("none", 0.5)
    builder.done("kd", 0.6)
    builder.plan()
    report = build_report(builder.run)
    assert [path.name for path in report.files] == FILES
    assert report.files[2].read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in report.files[3].read_bytes()
    assert [row.label for row in report.boards[0].rows] == ["none", "kd"]
    assert (len(report.cells), report.problems) == (2, ())
    assert sorted(path.name for path in builder.run.path.iterdir()) == sorted([*FILES, "cells", "plan.json"])


def test_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    builder.done("none", 0.5)
    first = [path.read_bytes() for path in build_report(builder.run).files]
    assert first == [path.read_bytes() for path in build_report(builder.run).files]


def test_no_finished_cell_is_said_not_hidden(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    builder.failed("none", status="failed", reason="out of memory")
    builder.plan(more=[builder.cell("kd")])
    report = build_report(builder.run)
    text = report.files[0].read_text()
    assert "No cell has finished" in text
    assert "none, seed 0: failed: out of memory" in text
    assert "kd, seed 0: planned" in text
    assert all(path.stat().st_size > 0 for path in report.files)


def test_plan_without_any_cell_still_gives_a_report(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    builder.plan()
    assert "0 cells. **No cell has finished" in build_report(builder.run).files[0].read_text()


def test_folder_that_is_no_run_is_refused_and_left_alone(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"neither cells/ nor plan\.json"):
        build_report(RunFolder(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_lost_history_is_told(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    builder.done("none", 0.5)
    (builder.done("kd", 0.6).path / HISTORY).write_text("{")
    report = build_report(builder.run)
    assert report.problems == ("finished cells without a readable history.json, whose curves are not drawn: 1",)
    assert report.problems[0] in report.files[0].read_text()
    assert report.boards[0].rows[1].miou_mean == 0.6  # the score is in result.json, which is whole


def test_report_does_not_import_torch(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    builder.done("none", 0.5)
    builder.done("kd", 0.6)
    code = (
        "import io, pathlib, sys\n"
        "from rich.console import Console\n"
        "from bench.report import build_report\n"
        "from bench.report.terminal import print_boards\n"
        "from bench.store import RunFolder\n"
        "report = build_report(RunFolder(pathlib.Path(sys.argv[1])))\n"
        "print_boards(report.boards, Console(file=io.StringIO()))\n"
        "import bench.scores\n"
        "assert 'torch' not in sys.modules\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "print(len(report.boards))\n"
    )
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(builder.run.path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "1"), done.stderr


def test_two_thousand_cells_take_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # only the making of the run would be slow
    builder = RunBuilder(tmp_path / "run")
    for pair in range(4):
        for method in ["none", *(f"method{index}" for index in range(19))]:
            for seed in range(25):
                builder.done(method, 0.5 + 0.001 * pair + 0.01 * seed, seed, student=f"s{pair}")
    start = time.process_time()
    report = build_report(builder.run)
    assert time.process_time() - start < 15  # on a loaded machine; reading that is quadratic takes minutes
    assert (len(report.cells), len(report.boards)) == (2000, 4)
    assert all(row.n_seeds == 25 for board in report.boards for row in board.rows)
