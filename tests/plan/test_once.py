"""The plan is built once a run, and no file is read for its digest twice."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.base import files
from bench.base.files import file_digest
from bench.matrix.matrix import load_matrix
from bench.matrix.settings import Settings
from bench.plan import groups
from bench.plan.groups import build_plan, refreshed
from bench.report import build_report
from bench.train import run as main_job
from tests.harness import run, weights, write_matrix


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Count how often each file is read for its digest."""
    seen: Counter[str] = Counter()
    original = hashlib.file_digest

    def counting(file: Any, kind: str) -> Any:
        seen[str(Path(file.name).resolve())] += 1
        return original(file, kind)

    monkeypatch.setattr(files.hashlib, "file_digest", counting)
    return seen


def test_a_run_and_its_report_hash_no_file_twice(tmp_path: Path, hashed: Counter[str]) -> None:
    path = write_matrix(tmp_path, seeds=[0, 1])
    plan = run(path, tmp_path / "results")
    build_report(plan.run)
    assert {name: count for name, count in hashed.items() if count > 1} == {}
    assert any("counts.npz" in name for name in hashed)


def test_a_run_builds_its_plan_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[int] = []
    original = main_job.build_plan
    monkeypatch.setattr(main_job, "build_plan", lambda *given: built.append(1) or original(*given))
    run(write_matrix(tmp_path), tmp_path / "results")
    assert built == [1]


def test_a_large_weights_file_is_hashed_once_for_all_cells(tmp_path: Path, hashed: Counter[str]) -> None:
    trained = run(write_matrix(tmp_path), tmp_path / "results")
    (teacher,) = trained.teachers
    given = tmp_path / "teacher.safetensors"
    given.write_bytes((trained.teachers_run.cell(teacher.cell.id).path / "student.safetensors").read_bytes())
    pair = {"teacher": {"name": "net_large", "weights": str(given)}, "student": "net_small"}
    path = write_matrix(tmp_path, "given", pairs=[pair], methods=["none", "kd", "cwd", "pkd"], seeds=[0, 1, 2, 3])
    hashed.clear()
    plan = build_plan(load_matrix(str(path)), Settings(results=tmp_path / "results"))
    refreshed(plan)
    assert len(plan.cells) == 16
    assert hashed[str(given.resolve())] == 1


def test_a_changed_file_is_hashed_again(tmp_path: Path, hashed: Counter[str]) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"one")
    first = [file_digest(path), file_digest(path)]
    path.write_bytes(b"two")  # as long as before
    second = file_digest(path)
    path.replace(tmp_path / "g")
    (tmp_path / "f").write_bytes(b"six")
    third = file_digest(path)
    assert first == [hashlib.sha256(b"one").hexdigest()] * 2
    assert (second, third) == (hashlib.sha256(b"two").hexdigest(), hashlib.sha256(b"six").hexdigest())
    assert hashed[str(path)] == 3


def test_a_refreshed_plan_tells_what_became_of_the_cells(tmp_path: Path) -> None:
    path = write_matrix(tmp_path)
    before = build_plan(load_matrix(str(path)), Settings(results=tmp_path / "results"))
    assert {planned.state for planned in before.cells} == {"planned"}
    run(path, tmp_path / "results")
    after = refreshed(before)
    assert {planned.state for planned in after.cells} == {"done"}
    assert after.groups == ()
    assert after.wanted is before.wanted
    fresh = groups.build_plan(load_matrix(str(path)), Settings(results=tmp_path / "results"))
    assert [planned.state for planned in fresh.cells] == [planned.state for planned in after.cells]
    assert weights(after.run)
