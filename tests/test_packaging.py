"""What is installed, under which names."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.base.text import install_hint
from tests.clone import ROOT, clone, environment

CONFIGURATION: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT: dict[str, Any] = CONFIGURATION["project"]
ENTRIES = ("methods", "students", "teachers")
TEXT = "\n".join(
    path.read_text(encoding="utf-8")
    for name in ("bench", *ENTRIES, "docs", ".ci", "pyproject.toml", "tox.ini", "README.md", "CONTRIBUTING.md")
    for path in ((ROOT / name).rglob("*") if (ROOT / name).is_dir() else [ROOT / name])
    if path.is_file() and path.suffix != ".pyc"
)
"""All that a user may read of this project."""


def test_the_code_knows_name_and_version_of_the_distribution() -> None:
    assert (bench.DISTRIBUTION, bench.__version__) == (PROJECT["name"], PROJECT["version"])
    assert install_hint("export") == f'pip install "{PROJECT["name"]}[export]"'


def test_every_extra_that_is_recommended_is_one_of_this_distribution() -> None:
    written = re.findall(r"(?<![\w.-])([\w-]*bench)\[(\w+)\]", TEXT)
    assert {name for name, _ in written} == {bench.DISTRIBUTION}
    made = re.findall(r"install_hint\(['\"](\w+)['\"]\)", TEXT)
    assert {"export", "huggingface", "loggers", "mask2former"} <= set(made)
    assert {*made, *(extra for _, extra in written)} <= set(PROJECT["optional-dependencies"])


def test_the_oldest_file_lock_does_not_follow_a_planted_link() -> None:
    (oldest,) = (found[1] for text in PROJECT["dependencies"] if (found := re.fullmatch(r"filelock>=([\d.]+)", text)))
    # CVE-2025-68146 was mended in 3.20.1, CVE-2026-22701 in 3.20.3
    assert tuple(map(int, oldest.split("."))) >= (3, 20, 3)


def test_only_bench_is_installed_at_the_top() -> None:
    folders = CONFIGURATION["tool"]["setuptools"]["package-dir"]
    assert {name.partition(".")[0] for name in folders} == {"bench"}
    assert all((ROOT / folder / "__init__.py").is_file() for folder in folders.values())


def process(command: list[str], folder: Path, *searched: Path) -> str:
    """Run a command in a folder, with more places to find modules in; return its output."""
    done = subprocess.run(
        command, cwd=folder, env=environment(*searched), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pip(*arguments: str | Path, folder: Path) -> None:
    process([sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)], folder)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of a clone, with the setuptools that is installed."""
    root = clone(tmp_path_factory.mktemp("built"))
    pip("wheel", ".", "--no-deps", "--no-build-isolation", "--no-cache-dir", "--wheel-dir", "out", folder=root)
    (built,) = (root / "out").iterdir()
    return built


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_packages_and_no_other_package(wheel: Path) -> None:
    stem = f"{bench.DISTRIBUTION.replace('-', '_')}-{bench.__version__}"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        entry_points = configparser.ConfigParser()
        entry_points.read_string(archive.read(f"{stem}.dist-info/entry_points.txt").decode())
    assert {name.partition("/")[0] for name in names} == {"bench", f"{stem}.dist-info", f"{stem}.data"}
    expected = {
        (target / path.relative_to(ROOT / source)).as_posix()
        for source, target in [("bench", Path("bench")), *((name, Path("bench", name)) for name in ENTRIES)]
        for path in (ROOT / source).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {"bench/methods/kd.py", "bench/matrix/presets/quick.yaml", "bench/py.typed"} <= expected
    assert {name for name in names if name.startswith("bench/")} == expected
    assert {group: dict(entry_points[group]) for group in entry_points.sections()} == {
        "console_scripts": {"bench": "bench.cli.main:main"},
        "pytest11": {"bench": "bench.train.conformance.pytest_plugin"},
    }


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    pip("install", "--no-deps", "--no-index", "--target", folder, wheel, folder=folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), [("methods", "kd"), ("students", "tiny_fpn_8"), ("presets", "quick")])
def test_an_installed_wheel_lists_what_it_has_without_a_checkout(
    installed: Path, tmp_path: Path, kind: str, name: str
) -> None:
    listed = process([sys.executable, "-m", "bench", "list", kind], tmp_path, installed)
    assert re.search(rf"\b{name}\b", listed)


@pytest.mark.slow
def test_an_installed_wheel_has_its_methods_below_bench(installed: Path, tmp_path: Path) -> None:
    code = "import inspect; from bench.methods.kd import KD; print(inspect.getsourcefile(KD))"
    found = process([sys.executable, "-c", code], tmp_path, installed)
    assert found.strip() == str(installed / "bench" / "methods" / "kd.py")


@pytest.mark.slow
def test_an_editable_installation_works_from_anywhere(tmp_path: Path) -> None:
    root, folder = clone(tmp_path / "clone"), tmp_path / "editable"
    pip("install", "--no-deps", "--no-build-isolation", "--target", folder, "--editable", root, folder=tmp_path)
    code = f"import site; site.addsitedir({str(folder)!r}); import bench.methods.kd as kd; print(kd.__file__)"
    # an editable installation of the tests' own checkout, which has files of the same names, would come first otherwise
    found = process([sys.executable, "-S", "-c", code], tmp_path, folder, Path(sysconfig.get_path("purelib")))
    assert found.strip() == str(root / "methods" / "kd.py")
