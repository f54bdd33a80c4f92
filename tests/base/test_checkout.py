from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.base import checkout

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The current folder, as Python writes it into ``sys.path``; what the tests change is put back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONSAFEPATH", "")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return str(Path.cwd())


@pytest.mark.parametrize(
    ("path", "left"),
    [
        (["{here}", "/lib"], ["/lib"]),
        (["", "/lib"], ["/lib"]),
        (["{here}", "/a", "{here}", "/lib"], ["/a", "/lib", "{here}"]),
        (["/bin", "/lib"], ["/bin", "/lib"]),
        (["/bin", "", "/lib"], ["/bin", "/lib", "{here}"]),
    ],
)
def test_the_current_folder_is_not_searched_before_what_is_installed(
    here: str, monkeypatch: pytest.MonkeyPatch, path: list[str], left: list[str]
) -> None:
    monkeypatch.setattr(sys, "path", [entry.format(here=here) for entry in path])
    checkout.leave_current_folder()
    assert sys.path == [entry.format(here=here) for entry in left]
    assert os.environ["PYTHONSAFEPATH"] == "1"


@pytest.mark.parametrize("named", ["{here}", "."])
def test_a_current_folder_that_was_asked_for_stays(here: str, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/a", named.format(here=here)]))
    monkeypatch.setattr(sys, "path", [here, "/a", here, "/lib"])
    checkout.leave_current_folder()
    assert sys.path == ["/a", here, "/lib"]


def test_a_folder_that_is_gone_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(os, "getcwd", gone)
    before = list(sys.path)
    checkout.leave_current_folder()
    assert sys.path == before


def test_a_checkout_as_current_folder_leaves_a_door_to_bench_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONSAFEPATH", "")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [str(ROOT), "/lib"])
    checkout.leave_current_folder()
    assert sys.path == [str(ROOT / "bench" / "base" / "door"), "/lib"]


def test_a_safe_path_is_left_alone(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.append({str(ROOT)!r}); before = list(sys.path); from bench.base import checkout; "
        "checkout.leave_current_folder(); sys.exit(sys.path != before)"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"}
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=False).returncode == 0


def test_the_door_leads_to_the_package() -> None:
    code = "import bench, bench.base.text; print(bench.__file__, bench.__path__, bench.base.text.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "bench" / "base" / "door"), "PYTHONSAFEPATH": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    package = ROOT / "bench"
    assert done.stdout.split() == [str(package / "__init__.py"), str([str(package)]), str(package / "base" / "text.py")]


def test_only_the_entries_are_found_beside_bench() -> None:
    finder = checkout.EntriesFinder(str(ROOT))
    spec = finder.find_spec("bench.methods")
    assert spec is not None
    assert spec.submodule_search_locations == [str(ROOT / "methods")]
    assert [finder.find_spec(name) for name in ("bench.tests", "bench.docs", "methods", "bench.methods.kd")] == [
        None
    ] * 4


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('[project]\nname = "ours"\n', True),
        ('[project]\r\nname = "ours"\r\n', True),
        ('[project]\nname = "theirs"\n', False),
        (None, False),
    ],
)
def test_a_checkout_is_known_by_its_project_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, found: bool
) -> None:
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text)
    monkeypatch.setattr(checkout, "ROOT", str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", [])
    checkout.find_entries("ours")
    assert bool(sys.meta_path) is found
