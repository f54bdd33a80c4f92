"""Shapes stand in docstrings; a function fits a screen, a class two or three."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("bench", "methods", "students", "teachers")
SHAPE = re.compile(r"\b[A-Z]\w*'? x \w|\b[Ss]calars?\b|\b(any|whatever) shapes?\b")
"""``N x C x h x w``, or words for what has no sizes to tell."""
FUNCTION_LINES = 60
CLASS_LINES = 210

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Definition:
    """A function or class and where it stands.

    Attributes:
        name: dotted from the module.
        node: its syntax tree.
        public: whether neither it nor a class around it begins with an underscore, nor a function is around it.
    """

    name: str
    node: Function | ast.ClassDef
    public: bool

    @property
    def lines(self) -> int:
        """Length in lines, decorators left out."""
        return (self.node.end_lineno or self.node.lineno) - self.node.lineno + 1


def definitions(parent: ast.AST, prefix: str = "", public: bool = True) -> Iterator[Definition]:
    """Yield all that is defined below a node, at whatever depth."""
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, Function | ast.ClassDef):
            seen = public and not node.name.startswith("_")
            yield Definition(prefix + node.name, node, seen)
            yield from definitions(node, f"{prefix}{node.name}.", seen and isinstance(node, ast.ClassDef))
        else:
            yield from definitions(node, prefix, public)


def names_tensor(annotation: ast.expr | None) -> bool:
    """Return whether an annotation holds ``Tensor``, at whatever depth."""
    return annotation is not None and re.search(r"\bTensor\b", ast.unparse(annotation)) is not None


def handles_tensors(function: Function) -> bool:
    """Return whether a parameter or the result is annotated with tensors."""
    given = function.args
    parameters = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    annotations = [parameter.annotation for parameter in parameters if parameter is not None]
    return any(names_tensor(annotation) for annotation in (*annotations, function.returns))


def without_shape(tree: ast.AST) -> list[str]:
    """Return the public functions that take or give tensors and whose docstring tells no shape."""
    return [
        one.name
        for one in definitions(tree)
        if isinstance(one.node, Function)
        and one.public
        and handles_tensors(one.node)
        and not SHAPE.search(ast.get_docstring(one.node) or "")
    ]


def long_functions(tree: ast.AST) -> list[str]:
    """Return the functions that are longer than a screen."""
    return [one.name for one in definitions(tree) if isinstance(one.node, Function) and one.lines > FUNCTION_LINES]


def large_classes(tree: ast.AST) -> list[str]:
    """Return the classes that do too much to be read at once."""
    return [one.name for one in definitions(tree) if isinstance(one.node, ast.ClassDef) and one.lines > CLASS_LINES]


TO_BE_EMPTIED: dict[Callable[[ast.AST], list[str]], set[str]] = {
    without_shape: set(),
    long_functions: set(),
    large_classes: set(),
}
"""What does not keep a rule yet. Nothing is added; what keeps it is taken out."""


@pytest.mark.parametrize("rule", TO_BE_EMPTIED, ids=lambda rule: rule.__name__)
def test_every_file_keeps_the_rule(rule: Callable[[ast.AST], list[str]]) -> None:
    broken = {
        f"{path.relative_to(ROOT).as_posix()}: {name}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name in rule(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert sorted(broken - TO_BE_EMPTIED[rule]) == [], "these break the rule"
    assert sorted(TO_BE_EMPTIED[rule] - broken) == [], "these keep the rule: take them out of TO_BE_EMPTIED"


def planted(docstring: str, signature: str = "scores: Tensor", name: str = "forward", around: str = "Head") -> ast.AST:
    return ast.parse(f'class {around}:\n    def {name}(self, {signature}):\n        """{docstring}"""\n')


@pytest.mark.parametrize(
    "signature",
    ["scores: Tensor", "*, masks: Sequence[torch.Tensor]", "**maps: Tensor", "run: Callable[[Tensor], int]"],
)
def test_a_missing_shape_is_noticed(signature: str) -> None:
    assert without_shape(planted("Return the scores.", signature)) == ["Head.forward"]


def test_a_missing_docstring_and_a_tensor_that_is_only_returned_are_noticed() -> None:
    assert without_shape(ast.parse("def draw() -> tuple[Tensor, int]: ...")) == ["draw"]


@pytest.mark.parametrize(
    "docstring",
    [
        "N x C x h x w to N x C' x h x w.",
        "Return C' x h.",
        "A scalar.",
        "Scalars by name.",
        "Of any shape.",
    ],
)
def test_a_shape_is_recognised(docstring: str) -> None:
    assert without_shape(planted(docstring)) == []


@pytest.mark.parametrize("docstring", ["A 3 x 3 window.", "Reshape it.", "Scale it, matrix by matrix."])
def test_what_only_looks_like_a_shape_is_none(docstring: str) -> None:
    assert without_shape(planted(docstring)) == ["Head.forward"]


@pytest.mark.parametrize(
    "tree",
    [
        planted("Return it.", name="_forward"),
        planted("Return it.", around="_Head"),
        planted("Return it.", signature="n: int, loader: TensorLoader"),
        ast.parse("def outer():\n    def inner(one: Tensor): ...\n"),
    ],
    ids=["private function", "private class", "no tensor", "local function"],
)
def test_what_no_other_module_calls_with_tensors_owes_no_shape(tree: ast.AST) -> None:
    assert without_shape(tree) == []


def test_lengths_are_counted_from_the_first_line_to_the_last() -> None:
    def of(lines: int) -> str:
        return "def one():\n" + "    pass\n" * (lines - 1)

    assert long_functions(ast.parse(of(FUNCTION_LINES))) == []
    assert long_functions(ast.parse(of(FUNCTION_LINES + 1))) == ["one"]
    assert large_classes(ast.parse("class A:\n" + "    b = 0\n" * (CLASS_LINES - 1))) == []
    assert large_classes(ast.parse("class A:\n" + "    b = 0\n" * CLASS_LINES)) == ["A"]
