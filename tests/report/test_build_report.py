from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.base.files import write_json
from bench.report import build_report
from bench.store.folders import HISTORY, RESULT, RunFolder, seal
from tests.report.page.page_run import fill
from tests.run_builder import RunBuilder

TABLES = ["leaderboard.md", "leaderboard.csv", "leaderboard.tex", "leaderboard.html"]


def test_writes_all_files_and_returns_the_boards(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    builder.done("none", 0.5)
    builder.done("kd", 0.6)
    builder.plan()
    report = build_report(builder.run)
    names = [path.name for path in report.files]
    assert names[:4] == TABLES
    assert {"miou_over_steps.png", "miou_over_steps.svg", "report.html"} <= set(names)
    assert all(path.stat().st_size > 0 for path in report.files)
    assert [row.label for row in report.boards[0].rows] == ["none", "kd"]
    assert (len(report.cells), report.problems) == (2, ())
    assert sorted(path.name for path in builder.run.path.iterdir()) == sorted([*names, "cells", "plan.json"])


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


@pytest.mark.usefixtures("tables_only")
def test_plan_without_any_cell_still_gives_a_report(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    builder.plan()
    assert "0 cells. **No cell has finished" in build_report(builder.run).files[0].read_text()


def test_folder_that_is_no_run_is_refused_and_left_alone(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"neither cells/ nor plan\.json"):
        build_report(RunFolder(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("tables_only")
def test_lost_history_is_told(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    builder.done("none", 0.5)
    (builder.done("kd", 0.6).path / HISTORY).write_text("{")
    report = build_report(builder.run)
    assert report.problems == ("finished cells without a readable history.json, whose curves are not drawn: 1",)
    assert report.problems[0] in report.files[0].read_text()
    assert report.boards[0].rows[1].score_mean == 0.6  # the score is in result.json, which is whole


def test_report_does_not_import_torch(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    builder.done("none", 0.5)
    builder.done("kd", 0.6)
    code = (
        "import io, pathlib, sys\n"
        "from rich.console import Console\n"
        "from bench.report import build_report\n"
        "from bench.cli.screen.boards import print_boards\n"
        "from bench.store.folders import RunFolder\n"
        "report = build_report(RunFolder(pathlib.Path(sys.argv[1])))\n"
        "print_boards(report.boards, Console(file=io.StringIO()))\n"
        "import bench.tasks.segmentation.scores\n"
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


@pytest.mark.usefixtures("tables_only")
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


HOSTILE = ["a/b|c_d&e%", "名前 ü 😀", "x" * 200, "=SUM(A1)", "<script>alert(1)</script>", "\\input{x} ~^{}#$", "[/red]"]


@pytest.mark.usefixtures("tables_only")
def test_hostile_names_reach_every_table_and_stop_none(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run", dataset="d|a_t&a", teacher="<t>", student="s_{}")
    for seed in range(2):
        builder.done("none", 0.5, seed)
        for name in HOSTILE:
            builder.done(name, 0.6, seed, label=name)
    builder.failed("| _ &", reason="a | b\n<b>")
    report = build_report(builder.run)
    assert [row.label for row in report.boards[0].rows] == ["none", *sorted(HOSTILE), "| _ &"]
    assert ",=SUM(A1)" not in (builder.run.path / "leaderboard.csv").read_text()
    assert "<script>alert(1)" not in (builder.run.path / "leaderboard.md").read_text()


@pytest.fixture
def tables_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes long and is tested elsewhere."""
    monkeypatch.setattr("bench.report.write_plots", lambda boards, folder, curves: [])
    monkeypatch.setattr("bench.report.write_page", lambda folder, *rest, **more: folder / "report.html")


@pytest.mark.usefixtures("tables_only")
def test_merged_stores_whose_results_conflict_list_both_and_pick_none(tmp_path: Path) -> None:
    ours, theirs = RunBuilder(tmp_path / "ours"), RunBuilder(tmp_path / "theirs")
    for builder, score in ((ours, 0.61), (theirs, 0.66)):
        builder.done("none", 0.5)
        builder.done("kd", score, salt=str(builder.run.path.name))
    for folder in theirs.run.cells():
        shutil.copytree(folder.path, ours.run.cell(folder.cell_id).path, dirs_exist_ok=True)
    report = build_report(ours.run)
    assert len(report.cells) == 3
    kd = next(row for row in report.boards[0].rows if row.label == "kd")
    assert (kd.score_mean, kd.n_seeds, kd.tier) == (None, 0, None)
    text = (ours.run.path / "leaderboard.md").read_text()
    for cell_id in report.cells.loc[report.cells["label"] == "kd", "cell_id"]:
        assert cell_id in text
    assert "none is picked" in text


@pytest.mark.usefixtures("tables_only")
@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: "{" * 5000,
        lambda text: text.replace('"miou": 0.6', '"miou": 0.99'),
        lambda text: text.replace('"schema": 1', '"schema": 7'),
    ],
    ids=["truncated", "empty", "no record", "nested", "edited", "newer"],
)
def test_damaged_result_is_a_corrupt_row_in_every_table(tmp_path: Path, damage: Callable[[str], str]) -> None:
    builder = RunBuilder(tmp_path / "run")
    builder.done("none", 0.5)
    path = builder.done("kd", 0.6).path / RESULT
    path.write_text(damage(path.read_text()))
    report = build_report(builder.run)
    row = next(row for row in report.boards[0].rows if row.label == "kd")
    assert (row.states, row.score_mean, row.tier) == ({"corrupt": 1}, None, None)
    for name in TABLES:
        assert "1 corrupt" in (builder.run.path / name).read_text()


@pytest.mark.usefixtures("tables_only")
def test_table_across_pairs_tells_states_where_there_is_no_gain(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    for student in ("a", "b"):
        builder.done("none", 0.5, student=student)
    builder.done("kd", 0.6, student="a")
    builder.failed("kd", student="b")
    build_report(builder.run)
    lines = (builder.run.path / "leaderboard.md").read_text().splitlines()
    kd = next(line for line in lines if line.startswith("| kd "))
    assert [cell.strip() for cell in kd.split("|")[2:6]] == ["+10.00", "1 diverged", "+10.00", "1"]


@pytest.mark.parametrize(("count", "told"), [(30, True), (29, False)])
def test_the_page_names_images_if_the_plans_split_is_the_one_that_was_scored(
    tmp_path: Path, count: int, told: bool
) -> None:
    builder = RunBuilder(tmp_path / "run")
    fill(builder, pairs=1, seeds=1, methods=["none", "kd"])
    builder.plan()
    path = builder.run.path / "plan.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "images": [f"frame-{n}" for n in range(count)]}))
    build_report(builder.run)
    assert ("frame-7" in (builder.run.path / "report.html").read_text()) == told


def test_several_runs_share_tables_where_their_protocols_agree(tmp_path: Path) -> None:
    first, second, third = (RunBuilder(tmp_path / name) for name in ("first", "second", "third"))
    first.done("none", 0.5)
    first.done("kd", 0.6)
    second.done("cwd", 0.7)
    third.done("none", 0.4, crop=32)
    for builder in (first, second, third):
        builder.plan()
    report = build_report(first.run, second.run, third.run, output=tmp_path / "all")
    assert [[row.label for row in board.rows] for board in report.boards] == [["none", "cwd", "kd"], ["none"]]
    assert (tmp_path / "all" / "report.html").is_file()
    assert not (tmp_path / "first" / "leaderboard.md").exists()
    assert "# quick + quick + quick" in (tmp_path / "all" / "leaderboard.md").read_text()
    with pytest.raises(BenchError, match="--output"):
        build_report(first.run, second.run)


def test_a_cell_that_lies_in_two_runs_counts_once_if_equal_and_not_at_all_if_not(tmp_path: Path) -> None:
    first = RunBuilder(tmp_path / "first")
    first.done("none", 0.5)
    cell = first.done("kd", 0.6)
    shutil.copytree(tmp_path / "first", tmp_path / "copy")
    same = build_report(first.run, RunFolder(tmp_path / "copy"), output=tmp_path / "all")
    assert [(row.label, row.n_seeds) for row in same.boards[0].rows] == [("none", 1), ("kd", 1)]
    path = tmp_path / "copy" / "cells" / cell.path.name / RESULT
    record = json.loads(path.read_text())
    record["metrics"]["miou"] = 0.9
    write_json(path, seal(record))
    apart = build_report(first.run, RunFolder(tmp_path / "copy"), output=tmp_path / "all")
    row = next(row for row in apart.boards[0].rows if row.label == "kd")
    assert (row.n_seeds, row.score_mean) == (0, None)
    assert any("several results" in note for note in row.notes)
