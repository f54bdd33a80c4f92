"""``python -m bench`` takes no module from the folder where it is called."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clone import ROOT, clone, environment
from tests.harness import PLUGINS, write_matrix

THIRD_PARTY = ("pandas", "torch", "numpy", "typer", "rich", "yaml", "pydantic", "wandb")
OURS = ("methods", "students", "teachers", "plugin")
SPAWN = """
from bench.base.checkout import leave_current_folder

leave_current_folder()
import inspect, multiprocessing

from bench.data.feed.loader import _Plain
from bench.methods.kd import KD

with multiprocessing.get_context("spawn").Pool(1) as pool:
    print(*(pool.apply(inspect.getsourcefile, (found,)) for found in (KD, _Plain)), sep="\\n")
"""


def taken_by_python() -> set[str]:
    """Return the modules that ``python -m`` itself loads before it comes to ``bench``."""
    code = "import runpy, sys; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def plant(folder: Path) -> Path:
    """Put files with the names of modules into a folder; return the file that tells which of them were executed."""
    mark = folder / "executed.txt"
    code = f"with open({str(mark)!r}, 'a') as file:\n    file.write(__name__ + '\\n')\n"
    for name in {*THIRD_PARTY, *OURS, *sys.stdlib_module_names} - taken_by_python() - {"__main__"}:
        if not (folder / name).exists():
            (folder / f"{name}.py").write_text(code)
    if not (folder / "methods").exists():
        (folder / "methods.py").unlink()
        (folder / "methods").mkdir()
        (folder / "methods" / "__init__.py").write_text(code)
    (folder / "plugin-1.dist-info").mkdir()
    (folder / "plugin-1.dist-info" / "METADATA").write_text("Name: plugin\nVersion: 1\n")
    (folder / "plugin-1.dist-info" / "entry_points.txt").write_text("[bench.methods]\nplanted = plugin\n")
    return mark


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clone(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="module")
def planted_checkout(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A clone with planted files at its root, and the file that they write."""
    root = clone(tmp_path_factory.mktemp("planted"))
    return root, plant(root)


def bench(arguments: list[str], folder: Path, *searched: Path) -> tuple[int, str, str]:
    """Run ``python -m bench`` in a folder; return exit code, output and errors."""
    command = [sys.executable, "-m", "bench", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment(*searched), capture_output=True, text=True, timeout=300, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["report", "{run}/absent"],
        pytest.param(["report", "{run}"], marks=pytest.mark.slow),
        pytest.param(["list", "methods"], marks=pytest.mark.slow),
        pytest.param(["plan", "--matrix", "{matrix}", "--results", "{results}"], marks=pytest.mark.slow),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_files_beside_the_caller_change_nothing(
    tmp_path: Path, checkout: Path, planted_checkout: tuple[Path, Path], command: list[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(ROOT / "tests" / "fixtures" / "before_rooms" / "results" / "old", run)
    matrix = write_matrix(tmp_path, plugins=[str(PLUGINS / "shapes.py")])
    arguments = [text.format(run=run, matrix=matrix, results=tmp_path / "results") for text in command]
    empty, planted = tmp_path / "empty", tmp_path / "planted"
    empty.mkdir()
    planted.mkdir()
    mark = plant(planted)
    expected = bench(arguments, empty, checkout)
    assert expected[0] == (2 if "{run}/absent" in command else 0), expected
    assert bench(arguments, planted, checkout) == expected
    assert not mark.exists(), mark.read_text()
    root, mark = planted_checkout
    assert bench(arguments, root) == expected
    assert not mark.exists(), mark.read_text()


def test_planted_files_would_be_noticed(tmp_path: Path) -> None:
    mark = plant(tmp_path)
    subprocess.run([sys.executable, "-c", "import pandas, plugin"], cwd=tmp_path, env=environment(), check=True)
    assert mark.read_text().split() == ["pandas", "plugin"]


@pytest.mark.slow
def test_child_processes_take_bench_from_where_their_parent_did(
    planted_checkout: tuple[Path, Path], checkout: Path
) -> None:
    root, mark = planted_checkout
    done = subprocess.run(
        [sys.executable, "-c", SPAWN], cwd=root, env=environment(checkout), capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(root / "methods" / "kd.py"), str(root / "bench" / "data" / "feed" / "loader.py")]
    assert not mark.exists(), mark.read_text()
