from __future__ import annotations

import hashlib
import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from bench.base import registry
from bench.base.errors import BenchError
from bench.base.registry import Registry, datasets, discover, load_plugin, students, teachers
from bench.method.registry import methods


def plugin(folder: Path, source: str, name: str = "plug.py") -> Path:
    path = folder / name
    path.write_text(textwrap.dedent(source))
    return path


GOOD = """
from bench.method import methods

@methods.register("out_of_tree")
def out_of_tree():
    \"\"\"First line.

    Second paragraph.
    \"\"\"
"""


def test_built_ins_are_found() -> None:
    assert {"none", "kd", "cwd"} <= set(methods.names())
    assert "tiny_fpn_8" in students.names()
    assert "tiny_fpn_32" in teachers.names()
    assert {"digit-scenes", "camvid"} <= set(datasets.names())


def test_a_plugin_joins_with_its_origin_and_summary(tmp_path: Path) -> None:
    path = plugin(tmp_path, GOOD)
    assert load_plugin(path) is None
    entry = methods.get("out_of_tree")
    assert entry.origin == f"{path}:4"
    assert entry.summary == "First line."
    assert entry.code_digest == hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def test_loading_a_plugin_twice_is_no_collision(tmp_path: Path) -> None:
    path = plugin(tmp_path, GOOD)
    assert load_plugin(path) is None
    assert load_plugin(path) is None


def test_an_unknown_name_is_told_with_the_nearest_and_all_known() -> None:
    with pytest.raises(BenchError) as caught:
        methods.get("cdw")
    told = str(caught.value)
    assert told.startswith("unknown method 'cdw'. Did you mean 'cwd'? Known: ")
    assert {"cwd", "kd", "none"} <= set(told.partition("Known: ")[2].split(", "))


def test_a_name_works_as_student_and_as_teacher() -> None:
    assert "tiny_fpn_32" in students
    assert students.get("tiny_fpn_32") is teachers.get("tiny_fpn_32")
    assert "tiny_fpn_32" not in students.names()
    assert "tiny_fpn_32" in students.names(everywhere=True)


def test_a_taken_name_names_both_origins(tmp_path: Path) -> None:
    path = plugin(tmp_path, GOOD.replace('"out_of_tree"', '"kd"'))
    broken = load_plugin(path)
    assert broken is not None
    assert broken.error == (
        f"BenchError: the method name 'kd' is taken: defined at {methods.get('kd').origin}, again at {path}:4. "
        "Rename one of them."
    )


def test_a_student_cannot_take_a_teachers_name(tmp_path: Path) -> None:
    source = (
        GOOD.replace("bench.method", "bench.base.registry")
        .replace("import methods", "import students")
        .replace("@methods", "@students")
        .replace("out_of_tree", "tiny_fpn_32")
    )
    broken = load_plugin(plugin(tmp_path, source))
    assert broken is not None
    assert "the teacher name 'tiny_fpn_32' is taken" in broken.error


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        ("\n\nraise ValueError('on purpose')", "ValueError: on purpose ({path}:12)"),
        ("\n\nimport no_such_package", "ModuleNotFoundError: No module named 'no_such_package' ({path}:12)"),
        ("\n\nimport sys; sys.exit('bye')", "SystemExit: bye ({path}:12)"),
        ("\n\n1 +", "SyntaxError: invalid syntax (plug.py, line 12)"),
    ],
)
def test_a_plugin_that_raises_leaves_nothing_behind(tmp_path: Path, ending: str, told: str) -> None:
    path = plugin(tmp_path, GOOD + ending)
    modules = set(sys.modules)
    broken = load_plugin(path)
    assert broken is not None
    assert broken.source == str(path)
    assert broken.error == told.format(path=path)
    assert "out_of_tree" not in methods
    assert broken in discover()
    assert set(sys.modules) - modules == set()
    path.write_text(GOOD)
    assert load_plugin(path) is None
    assert broken not in discover()


def test_a_plugin_must_exist_and_be_python(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"plugin file not found: .*absent\.py"):
        load_plugin(tmp_path / "absent.py")
    broken = load_plugin(plugin(tmp_path, "hello", "notes.txt"))
    assert broken is not None
    assert "notes.txt is not a Python file" in broken.error


@pytest.fixture
def installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], list[registry.BrokenPlugin]]]:
    """Discover anew with one distribution installed that offers ``dist_plugin:entry`` as a method."""

    def discover_with(source: str) -> list[registry.BrokenPlugin]:
        plugin(tmp_path, source, "dist_plugin.py")
        point = EntryPoint("theirs", "dist_plugin:entry", "bench.methods")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == point.group else [])
        monkeypatch.setattr(registry, "_discovered", False)
        return discover()

    yield discover_with
    sys.modules.pop("dist_plugin", None)


def test_an_installed_plugin_is_found_through_its_entry_point(installed: Any) -> None:
    assert installed(GOOD.replace("out_of_tree():", "entry():")) == []
    assert methods.get("out_of_tree").origin.endswith("dist_plugin.py:4")


def test_a_broken_installed_plugin_does_not_hide_the_others(installed: Any) -> None:
    (broken,) = installed("raise RuntimeError('old driver')")
    assert broken.source == "entry point theirs = dist_plugin:entry"
    assert broken.error.startswith("RuntimeError: old driver (")
    assert "kd" in methods


def test_snapshot_and_restore() -> None:
    known: Registry[Any] = Registry("thing")
    known.register("a")(lambda: None)
    before = known.snapshot()
    known.register("b")(lambda: None)
    assert [entry.name for entry in known] == ["a", "b"]
    known.restore(before)
    assert known.names() == ["a"]
