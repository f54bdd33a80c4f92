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
from bench.base.source import read_module
from bench.matrix.matrix import load_matrix
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
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Install one distribution that offers ``dist_plugin:entry`` as a method."""

    def install_with(source: str) -> None:
        plugin(tmp_path, source, "dist_plugin.py")
        point = EntryPoint("theirs", "dist_plugin:entry", "bench.methods")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == point.group else [])
        monkeypatch.setattr(registry, "_installed", set())

    yield install_with
    sys.modules.pop("dist_plugin", None)


INSTALLED = GOOD.replace("out_of_tree():", "entry():")
Install = Callable[[str], None]


def test_an_installed_plugin_is_found_through_its_entry_point(install: Install) -> None:
    install(INSTALLED)
    assert discover() == []
    assert methods.get("out_of_tree").origin.endswith("dist_plugin.py:4")


def test_a_broken_installed_plugin_does_not_hide_the_others(install: Install) -> None:
    install("raise RuntimeError('old driver')")
    (broken,) = discover()
    assert broken.source == "entry point theirs = dist_plugin:entry"
    assert broken.error.startswith("RuntimeError: old driver (")
    assert "kd" in methods


@pytest.mark.parametrize(
    ("ask", "needed"),
    [
        (lambda: methods.get("kd"), False),
        (lambda: methods.get("kd+cwd"), False),
        (lambda: "cwd" in methods, False),
        (lambda: students.names(), False),
        (lambda: "out_of_tree" in methods, True),
        (lambda: methods.get("out_of_tree+kd"), True),
        (lambda: methods.names(), True),
        (lambda: list(methods), True),
        (lambda: methods.snapshot(), True),
        (lambda: methods.problem("out"), True),
    ],
)
def test_installed_plugins_are_imported_when_a_name_or_a_list_needs_them(
    install: Install, ask: Callable[[], object], needed: bool
) -> None:
    install(INSTALLED)
    assert ask()
    assert ("dist_plugin" in sys.modules) is needed


Built = Callable[..., None]


@pytest.fixture
def built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Built]:
    """Let the built-in methods be those of the given files, and nothing else be built in."""
    package = "built_in_methods"

    def build(**sources: str) -> None:
        folder = tmp_path / package
        folder.mkdir()
        plugin(folder, "", "__init__.py")
        for name, source in sources.items():
            plugin(folder, source, f"{name}.py")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(registry, "_BUILT_IN", {"methods": package})
        monkeypatch.setattr(methods, "_has_built_ins", False)
        methods.restore({})
        registry._index.cache_clear()

    methods.names()
    yield build
    registry._index.cache_clear()
    read_module.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


def test_a_new_file_is_known_and_imported_when_its_class_is_asked_for(built_in: Built, tmp_path: Path) -> None:
    built_in(mine=GOOD.replace("():", "(pair, *, weight: float = 2.0):"))
    entry = methods.get("out_of_tree")
    assert entry.origin == f"{tmp_path}/built_in_methods/mine.py:4"
    assert (entry.summary, entry.options.defaults()) == ("First line.", {"weight": 2.0})
    assert "built_in_methods.mine" not in sys.modules
    assert entry.builder.__module__ == "built_in_methods.mine"
    assert methods.get("out_of_tree") is entry


def test_options_that_the_text_does_not_tell_come_from_the_import(built_in: Built) -> None:
    built_in(mine="def two(): return 2.0\n" + GOOD.replace("():", "(pair, *, weight: float = two()):"))
    assert methods.get("out_of_tree").options.defaults() == {"weight": 2.0}
    assert "built_in_methods.mine" in sys.modules


def test_an_inherited_docstring_comes_from_the_import(built_in: Built) -> None:
    built_in(mine="from bench.method import Method, methods\n@methods.register('bare')\nclass Bare(Method): ...\n")
    assert methods.get("bare").summary == "Base class of all methods."


def test_a_file_that_registers_in_its_own_way_is_imported(built_in: Built) -> None:
    built_in(mine="from bench.method import methods\nfor n in '12':\n    methods.register(f'm{n}')(lambda: None)\n")
    assert methods.names() == ["m1", "m2"]


@pytest.mark.parametrize(
    "source",
    [
        "from bench.method import methods\nadd = methods.register\nadd('m1')(lambda: None)\n",
        "import bench.method as b\n@b.methods.register('m1')\ndef one(): ...\n",
        "from bench.method import methods\n@methods.register('m' + '1')\ndef one(): ...\n",
        "from bench.method import methods\n@methods.register(name='m1')\ndef one(): ...\n",
        "from bench.method import methods\nmethods. \\\n  register('m1')(lambda: None)\n",
        "from bench.method import methods\nif True:\n    @methods.register('m1')\n    def one(): ...\n",
        "from bench.method import methods\n@methods.register('m1')\n@staticmethod\ndef one(): ...\n",
        "from bench.method import methods\n# or methods.register('m2')\n@methods.register('m1')\ndef one(): ...\n",
    ],
)
def test_other_ways_to_register_are_found_too(built_in: Built, source: str) -> None:
    built_in(mine=source)
    assert methods.names() == ["m1"]
    assert "built_in_methods.mine" in sys.modules


def test_a_file_that_is_no_python_is_told_and_hides_nothing(built_in: Built) -> None:
    built_in(mine=GOOD, torn="1 +")
    assert methods.names() == ["out_of_tree"]
    (broken,) = discover()
    assert broken.source == "built_in_methods.torn"
    assert broken.error.startswith("SyntaxError: invalid syntax")


def test_a_file_that_cannot_be_imported_is_told_when_it_is_needed(built_in: Built, tmp_path: Path) -> None:
    built_in(mine="import no_such_package\n" + GOOD)
    path = tmp_path / "built_in_methods" / "mine.py"
    assert methods.get("out_of_tree").summary == "First line."
    with pytest.raises(BenchError) as caught:
        _ = methods.get("out_of_tree").builder
    assert str(caught.value) == (
        f"the method 'out_of_tree' ({path}:5) cannot be imported: "
        f"ModuleNotFoundError: No module named 'no_such_package' ({path}:1)"
    )


def test_two_built_in_files_cannot_share_a_name(built_in: Built, tmp_path: Path) -> None:
    built_in(one=GOOD, two=GOOD)
    folder = tmp_path / "built_in_methods"
    for _ in range(2):
        with pytest.raises(BenchError) as caught:
            methods.get("out_of_tree")
        assert str(caught.value) == (
            f"the method name 'out_of_tree' is taken: defined at {folder}/one.py:4, again at {folder}/two.py:4. "
            "Rename one of them."
        )


def test_a_matrix_of_built_in_names_imports_no_installed_plugin(install: Install) -> None:
    install("raise RuntimeError('old driver')")
    assert load_matrix("quick").broken == []
    assert registry._installed == set()


def test_a_method_that_an_installed_plugin_may_have_held_is_told_with_its_fault(install: Install) -> None:
    install("raise RuntimeError('old driver')")
    loaded = load_matrix("quick", ["methods[1]=theirs"])
    assert (
        "plug-in entry point theirs = dist_plugin:entry failed: RuntimeError: old driver"
        in (loaded.unavailable["theirs"])
    )


def test_snapshot_and_restore() -> None:
    known: Registry[Any] = Registry("thing")
    known.register("a")(lambda: None)
    before = known.snapshot()
    known.register("b")(lambda: None)
    assert [entry.name for entry in known] == ["a", "b"]
    known.restore(before)
    assert known.names() == ["a"]
