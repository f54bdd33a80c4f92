from __future__ import annotations

import ast
import sys
import textwrap
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge

from bench.base.source import Definition, SourceFile, Unread, folders_of, read_module


def written(folder: Path, source: str) -> SourceFile:
    path = folder / "written.py"
    path.write_text(textwrap.dedent(source))
    return SourceFile("written", path)


def definition(file: SourceFile, name: str = "Built") -> Definition:
    found = next(item for item in file.tree.body if getattr(item, "name", "") == name)
    assert isinstance(found, ast.ClassDef | ast.FunctionDef)
    return found


def keywords(file: SourceFile, name: str = "Built") -> dict[str, tuple[Any, Any]]:
    return {found.name: (found.type(), found.default()) for found in file.keywords(definition(file, name))}


def test_keywords_of_an_initializer_are_read_with_the_names_of_their_file(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        import math
        from typing import Annotated, Literal
        from annotated_types import Ge
        from bench.method import NonNegative, Pair
        import torch

        Mode = Literal["a", "b"]
        Modes = tuple[Mode, ...]
        POSITIONS = 64 * 128

        class Built(torch.nn.Module):
            def __init__(self, pair: Pair, *, weight: NonNegative = 1e4 / POSITIONS, modes: Modes = ("a",),
                         depth: Annotated[int, Ge(1)] = 2, tau: float = math.pi, any=None, given: str) -> None: ...
        """,
    )
    assert keywords(file) == {
        "weight": (Annotated[float, Ge(0)], 1e4 / 8192),
        "modes": (tuple[Literal["a", "b"], ...], ("a",)),
        "depth": (Annotated[int, Ge(1)], 2),
        "tau": (float, 3.141592653589793),
        "any": (Any, None),
        "given": (str, ...),
    }


def test_an_initializer_is_inherited(tmp_path: Path) -> None:
    source = "from bench.data.read.standard import StandardData\nclass Built(StandardData): ..."
    assert keywords(written(tmp_path, source)) == {"folder": (str | None, None)}
    source = "class Base:\n    def __init__(self, *, x: int = 1): ...\nclass Built(Base): ..."
    assert keywords(written(tmp_path, source)) == {"x": (int, 1)}
    assert keywords(written(tmp_path, "class Built: ...")) == {}


@pytest.mark.parametrize(
    "source",
    [
        "import torch\nclass Built(torch.nn.Module): ...",
        "from torch import nn\nclass Built(nn): ...",
        "class One: ...\nclass Two: ...\nclass Built(One, Two): ...",
        "class Built:\n    __init__ = print",
        "class Built:\n    @wrapped\n    def __init__(self, *, x: int = 1): ...",
        "class Built:\n    if True:\n        def __init__(self, *, x: int = 1): ...",
        "@dataclass\nclass Base: ...\nclass Built(Base): ...",
        "from numpy import int64\ndef Built(*, x: int64 = 1): ...",
        "def Built(*, x: 'int' = 1): ...",
        "def Built(*, x: int = one()): ...\ndef one(): return 1",
        "X = 1\nX = 2\ndef Built(*, x: int = X): ...",
        "if input:\n    X = 1\ndef Built(*, x: int = X): ...",
        "for X in (1, 2): ...\ndef Built(*, x: int = X): ...",
        "X = Y\nY = X\ndef Built(*, x: int = X): ...",
        "from bench.method import nothing as X\ndef Built(*, x: int = X): ...",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from bench.method import Positive\n"
        "def Built(*, x: Positive = 1.0): ...",
        "from .near import X\ndef Built(*, x: int = X): ...",
        "from bench.no_such_module import X\ndef Built(*, x: int = X): ...",
        "def Built(*, x: int = 1 / 0): ...",
    ],
)
def test_what_only_running_tells_is_not_guessed(tmp_path: Path, source: str) -> None:
    with pytest.raises(Unread):
        keywords(written(tmp_path, source))


def test_origin_of_an_imported_name(tmp_path: Path) -> None:
    file = written(tmp_path, "import os\nfrom bench.method import methods as known, Pair\nX = 1\n")
    names = ("known", "Pair", "os", "X", "absent")
    assert [file.origin(name) for name in names] == ["bench.method.methods", "bench.method.Pair", None, None, None]


def test_a_module_is_read_and_not_imported() -> None:
    before = set(sys.modules)
    assert read_module("bench.report.figures.sweeps").doc.startswith("The gain over the values of a hyperparameter")
    assert set(sys.modules) == before
    assert [folder.name for folder in folders_of("bench.data.sets")] == ["sets"]
    assert folders_of("no_such_package") == []
    with pytest.raises(Unread, match=r"bench\.absent has no source file"):
        read_module("bench.absent")
