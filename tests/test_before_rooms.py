"""A run folder that the version before wrote is read by every command; its own tables are kept beside it."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from bench.leaderboard.arms import read_arms, require_run
from bench.leaderboard.baseline import read_baseline
from bench.leaderboard.compare import compare
from bench.leaderboard.gate import Rules, check
from bench.matrix.matrix import load_matrix
from bench.matrix.settings import Settings
from bench.report import build_report
from bench.store.folders import RunFolder
from bench.store.status import Watcher
from bench.train.events import Listener

FOLDER = Path(__file__).parent / "fixtures" / "before_rooms"
RENAMED = {"boundary_iou": "mean_boundary_iou"}


@pytest.fixture
def old(tmp_path: Path) -> RunFolder:
    shutil.copytree(FOLDER, tmp_path / "before")
    return RunFolder(tmp_path / "before" / "results" / "old")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_report_has_the_numbers_that_it_had(old: RunFolder) -> None:
    before = rows(old.path / "leaderboard.csv")
    build_report(old)
    after = rows(old.path / "leaderboard.csv")
    assert len(before) == len(after) == 4
    for was, now in zip(before, after, strict=True):
        for name, value in was.items():
            assert now[RENAMED.get(name, name)] == value, name


def test_the_report_says_what_it_said(old: RunFolder) -> None:
    before = (old.path / "leaderboard.md").read_text()
    build_report(old)
    after = (old.path / "leaderboard.md").read_text()

    def sentences(text: str) -> set[str]:
        return {re.sub(r"\s+", " ", line) for line in text.splitlines() if not line.startswith(("![", "|:"))}

    assert sentences(before) - sentences(after) == set()


def test_its_references_give_differences_of_exactly_nothing(old: RunFolder) -> None:
    reference = read_baseline(FOLDER / "references.json")
    gate = check(read_arms(require_run(old.path)), reference.arms, Rules())
    compared = [row for row in gate.rows if row.compared and row.means]
    assert {row.name for row in compared} == {"none", "cwd"}
    assert {means.points for row in compared for means in row.means.values()} == {0.0}


def test_compare_pairs_it_with_itself(old: RunFolder) -> None:
    arms = read_arms(require_run(old.path))
    assert compare(arms, arms).exit_code == 0


def test_status_counts_its_cells(old: RunFolder) -> None:
    status = Watcher(old).look()
    assert dict(status.states) == {"done": 4, "diverged": 2}


def test_its_students_are_drawn_and_exported(old: RunFolder, tmp_path: Path) -> None:
    from bench.deploy.export import export_student
    from bench.deploy.gallery.redraw import redraw

    results = old.path.parent
    loaded = load_matrix(str(old.path.parent.parent / "old.yaml"), no_baseline=True)
    made = redraw(old.path, loaded, Settings(results=results, accept_stale=True), Listener(), 1)
    assert made.problems == ()
    assert made.boards == 1
    cell = next(folder.path for folder in old.cells() if ".cwd.s0." in folder.cell_id)
    record = export_student(cell, "torchscript", tmp_path / "student.pt")
    assert record.num_classes == len(json.loads((cell / "result.json").read_text())["metrics"]["iou"])
