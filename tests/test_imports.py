"""Imports run downward only."""

from __future__ import annotations

import ast
import graphlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.base.checkout import ENTRIES

ROOT = Path(__file__).resolve().parent.parent
FILES = {
    folder: sorted(path for path in (ROOT / folder).rglob("*.py"))
    for folder in ("bench", "methods", "students", "teachers")
}


def imported(path: Path, module_level_only: bool = False) -> Iterator[str]:
    """Yield the modules that a file imports, those for type checkers left out."""
    pending: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if module_level_only and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        pending.extend(ast.iter_child_nodes(node))


ORDER = (
    "base", "method", "models", "data", "tasks", "matrix", "store", "plan", "leaderboard", "train", "report", "deploy",
    "cli",
)  # fmt: skip
"""The folders of ``bench`` from the ground up: each imports those before it, and itself."""


def test_the_rooms_are_the_folders() -> None:
    entries = {path.name for path in (ROOT / "bench").iterdir() if not path.name.startswith("__pycache__")}
    files = {"__init__.py", "__main__.py", "py.typed"}
    assert {entry for entry in entries if (ROOT / "bench" / entry).is_dir()} == set(ORDER)
    assert entries - set(ORDER) <= files


@pytest.mark.parametrize("folder", ORDER)
def test_nothing_imports_upward(folder: str) -> None:
    above = ORDER[ORDER.index(folder) + 1 :]
    upward = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sorted((ROOT / "bench" / folder).rglob("*.py"))
        for module in imported(path)
        if of(module, *(f"bench.{name}" for name in above))
    ]
    assert upward == []


def of(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("path", FILES["bench"], ids=lambda path: str(path.relative_to(ROOT)))
def test_the_harness_knows_no_method_student_or_teacher(path: Path) -> None:
    assert [module for module in imported(path) if of(module, *ENTRIES)] == []


def test_the_folders_at_the_top_are_imported_below_bench_alone() -> None:
    """A user's own packages may be called like them."""
    folders = [entry.removeprefix("bench.") for entry in ENTRIES]
    files = [*(path for paths in FILES.values() for path in paths), *(ROOT / "tests").rglob("*.py")]
    assert [(path, module) for path in files for module in imported(path) if of(module, *folders)] == []


def test_only_discovery_imports_by_name() -> None:
    by_name = [
        path.relative_to(ROOT).as_posix()
        for path in FILES["bench"]
        if any(of(module, "importlib.import_module", "runpy") for module in imported(path))
        or "import_module(" in path.read_text()
        or "__import__" in path.read_text()
    ]
    assert by_name == ["bench/base/registry.py"]


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [
        ("methods", ("bench.method", "torch")),
        ("students", ("bench.models", "torch")),
        ("teachers", ("bench.models", "torch")),
    ],
)
def test_entries_know_only_their_contract(folder: str, allowed: tuple[str, ...]) -> None:
    assert len(FILES[folder]) > 1
    for path in FILES[folder]:
        for module in imported(path):
            assert of(module, *allowed, *sys.stdlib_module_names), f"{path} imports {module}"


def bench_file(module: str) -> Path | None:
    """Return the file of ``bench.x`` or of ``bench.x.name``."""
    for name in (module, module.rpartition(".")[0]):
        base = ROOT / name.replace(".", "/")
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if of(name, "bench") and path.is_file():
                return path
    return None


def reached(start: Path) -> Iterator[tuple[Path, str]]:
    """Yield ``(file, module)`` for everything that importing a file imports, through the harness's own modules."""
    seen, pending = set(), [start]
    while pending:
        path = pending.pop()
        if path in seen:
            continue
        seen.add(path)
        for module in imported(path, module_level_only=True):
            yield path, module
            if (file := bench_file(module)) is not None:
                pending.append(file)


@pytest.mark.parametrize(
    "name",
    [
        "store/folders",
        "store/frame",
        "store/status",
        "leaderboard/__init__",
        "leaderboard/draws",
        "leaderboard/gate",
        "leaderboard/compare",
        "report/__init__",
        "cli/main",
        "tasks/scorings",
        "tasks/segmentation/scores",
    ],
)
def test_tables_are_made_without_torch(name: str) -> None:
    for path, module in reached(ROOT / "bench" / f"{name}.py"):
        assert not of(module, "torch", "torchvision", "timm", "lightning_fabric"), f"{path} imports {module}"


def test_the_walk_would_notice_torch() -> None:
    assert any(of(module, "torch") for _, module in reached(ROOT / "bench" / "plan" / "groups.py"))


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {
        path: {file for module in imported(path) if (file := bench_file(module)) is not None and file != path}
        for path in FILES["bench"]
        if path.name != "__init__.py"  # what a package offers is imported from it by those outside alone
    }
    graphlib.TopologicalSorter(graph).prepare()
