"""What a Python file says without being run: its definitions, signatures, and the values of simple expressions.

Reading a few dozen small files takes hundredths of a second; importing them takes seconds, most of it torch. What the
text alone does not tell raises :class:`Unread`, and whoever asks imports the module instead.
"""

from __future__ import annotations

import ast
import collections.abc
import importlib.util
import math
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import annotated_types

from bench.base.checkout import ENTRIES

OWN = "bench"
"""The package whose files are read wherever a file imports from them."""
_LIGHT = {module.__name__: module for module in (annotated_types, collections.abc, math, typing)}
"""What annotations and defaults are written with besides: modules that are here already."""

Definition = ast.ClassDef | ast.FunctionDef


class Unread(Exception):  # noqa: N818 - no fault: another way is taken
    """The text of a file alone does not tell."""


@dataclass(frozen=True)
class Keyword:
    """A keyword-only argument as it is written.

    Attributes:
        name: its name.
        file: where it stands.
        written_type: its annotation; None where there is none.
        written_default: its default; None where there is none.
    """

    name: str
    file: SourceFile
    written_type: ast.expr | None
    written_default: ast.expr | None

    def type(self) -> Any:
        """Return what the annotation means; anything goes where there is none.

        Raises:
            Unread: only running the module tells.
        """
        found = Any if self.written_type is None else self.file.evaluate(self.written_type)
        if isinstance(found, str):
            raise Unread(f"{self.file.path}: {self.name}: a type in quotes")
        return found

    def default(self) -> Any:
        """Return the default, or an ellipsis where there is none.

        Raises:
            Unread: only running the module tells.
        """
        return ... if self.written_default is None else self.file.evaluate(self.written_default)


@dataclass(frozen=True)
class _Borrowed:
    """A name that a file imports: the module and the name there; None for the module itself."""

    module: str
    name: str | None


class SourceFile:
    """One module as it is written.

    Args:
        module: its dotted name.
        path: its file.

    Attributes:
        text: the bytes of the file.
        tree: what it says.

    Raises:
        OSError: it cannot be read.
        SyntaxError: it is no Python.
        ValueError: it is no text that Python reads.
    """

    def __init__(self, module: str, path: Path) -> None:
        self.module, self.path = module, path
        self.text = path.read_bytes()
        self.tree = ast.parse(self.text, str(path))

    @cached_property
    def doc(self) -> str:
        """The docstring of the module, its indentation cleaned up; empty where there is none."""
        return ast.get_docstring(self.tree) or ""

    @cached_property
    def _bindings(self) -> dict[str, ast.expr | Definition | _Borrowed | None]:
        """What every top-level name stands for; None where only running the module tells."""
        pairs = [pair for statement in self.tree.body for pair in _bound(statement)]
        found: dict[str, ast.expr | Definition | _Borrowed | None] = {}
        for name, value in pairs:
            found[name] = None if name in found else value
        if "__getattr__" in found:  # a package that imports what it offers when it is asked for, see PEP 562
            found = {**dict(_imported_for_type_checkers(self.tree)), **found}
        return found

    def origin(self, name: str) -> str | None:
        """Return the module that an imported name comes from, followed by the name there; None for no such name."""
        bound = self._bindings.get(name)
        return f"{bound.module}.{bound.name}" if isinstance(bound, _Borrowed) and bound.name else None

    def defines(self, name: str) -> bool:
        """Tell whether a top-level name stands for one class or function and for nothing else."""
        return isinstance(self._bindings.get(name), Definition)

    def evaluate(self, expression: ast.expr) -> Any:
        """Return the value of an expression.

        Raises:
            Unread: a name in it is not among those that the text explains.
        """
        try:
            code = compile(ast.Expression(expression), str(self.path), "eval")
            return eval(code, {}, _Names(self))
        except Exception as error:
            raise Unread(f"{self.path}:{expression.lineno}: {error}") from error

    def value(self, name: str) -> Any:
        """Return the value of a top-level name.

        Raises:
            Unread: only running the module tells.
        """
        bound = self._bindings.get(name)
        if isinstance(bound, ast.expr):
            return self.evaluate(bound)
        if not isinstance(bound, _Borrowed):
            raise Unread(f"{self.path}: {name}")
        if (module := _LIGHT.get(bound.module)) is not None:
            return module if bound.name is None else getattr(module, bound.name)
        return self._lender(bound).value(str(bound.name))

    def definition(self, name: str) -> tuple[SourceFile, Definition]:
        """Return the class or function that a top-level name stands for, and the file that defines it.

        Raises:
            Unread: it is neither, or stands in no file that is read.
        """
        bound = self._bindings.get(name)
        if isinstance(bound, Definition):
            return self, bound
        if isinstance(bound, _Borrowed):
            return self._lender(bound).definition(str(bound.name))
        raise Unread(f"{self.path}: {name}")

    def _lender(self, bound: _Borrowed) -> SourceFile:
        top = bound.module.partition(".")[0]
        if bound.name is None or top not in (OWN, self.module.partition(".")[0]):
            raise Unread(f"{self.path}: {bound.module}")
        return read_module(bound.module)

    def keywords(self, definition: Definition) -> list[Keyword]:
        """Return the keyword-only arguments of a function, or of a class's ``__init__``, in order.

        Args:
            definition: of this file, under no decorator but the one that registers it.

        Raises:
            Unread: something else than a plain definition decides what they are.
        """
        if isinstance(definition, ast.ClassDef):
            return self._keywords_of_class(definition)
        arguments = definition.args
        pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        return [Keyword(argument.arg, self, argument.annotation, default) for argument, default in pairs]

    def _keywords_of_class(self, definition: ast.ClassDef) -> list[Keyword]:
        own = [value for statement in definition.body for name, value in _bound(statement) if name == "__init__"]
        if own:
            if len(own) > 1 or not isinstance(own[0], ast.FunctionDef) or own[0].decorator_list:
                raise Unread(f"{self.path}: __init__ of {definition.name}")
            return self.keywords(own[0])
        if not definition.bases:
            return []
        base = definition.bases[0]
        if len(definition.bases) > 1 or not isinstance(base, ast.Name):
            raise Unread(f"{self.path}: bases of {definition.name}")
        file, parent = self.definition(base.id)
        if not isinstance(parent, ast.ClassDef) or parent.decorator_list:
            raise Unread(f"{self.path}: base of {definition.name}")
        return file.keywords(parent)


class _Names(Mapping[str, Any]):
    """The names of a file as the local variables of an expression."""

    def __init__(self, file: SourceFile) -> None:
        self.file = file

    def __getitem__(self, name: str) -> Any:
        if name not in self.file._bindings:
            raise KeyError(name)  # it is a builtin, or unknown
        return self.file.value(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.file._bindings)

    def __len__(self) -> int:
        return len(self.file._bindings)


def _bound(statement: ast.stmt) -> Iterator[tuple[str, ast.expr | Definition | _Borrowed | None]]:
    """Yield the names that a statement binds where it stands, and what to."""
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield name, statement
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield name, value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value
        case ast.Import() | ast.ImportFrom():
            yield from _borrowed(statement)
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=[]):
            pass
        case _:
            yield from ((name, None) for name in _names_inside(statement))


def _borrowed(statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, _Borrowed | None]]:
    for alias in statement.names:
        if isinstance(statement, ast.Import):
            whole = alias.asname or "." not in alias.name
            yield alias.asname or alias.name.partition(".")[0], _Borrowed(alias.name, None) if whole else None
        elif statement.level == 0 and statement.module:
            yield alias.asname or alias.name, _Borrowed(statement.module, alias.name)
        else:
            yield alias.asname or alias.name, None


def _names_inside(statement: ast.stmt) -> Iterator[str]:
    """Yield every name that a compound or unusual statement may bind."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]


def _imported_for_type_checkers(tree: ast.Module) -> Iterator[tuple[str, _Borrowed | None]]:
    for statement in tree.body:
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
            for inner in statement.body:
                if isinstance(inner, ast.ImportFrom):
                    yield from _borrowed(inner)


@cache
def read_module(module: str) -> SourceFile:
    """Return a module as it is written; neither it nor a package above it is imported.

    Raises:
        Unread: it has no source file that Python reads.
    """
    for path in _candidates(module):
        try:
            return SourceFile(module, path)
        except FileNotFoundError:
            continue
        except (OSError, SyntaxError, ValueError) as error:
            raise Unread(f"{path}: {error}") from error
    raise Unread(f"{module} has no source file")


def folders_of(package: str) -> list[Path]:
    """Return the folders of a package, without importing it or a package above it; none where it is not found."""
    # in a checkout the entries lie outside the folder of ``bench``; to find them imports nothing but ``bench``
    top = next((entry for entry in ENTRIES if f"{package}.".startswith(f"{entry}.")), package.partition(".")[0])
    rest = package.removeprefix(top).split(".")[1:]
    spec = importlib.util.find_spec(top)
    places = [] if spec is None else spec.submodule_search_locations or []
    return [folder for place in places if (folder := Path(place, *rest)).is_dir()]


def _candidates(module: str) -> Iterator[Path]:
    parent, _, name = module.rpartition(".")
    for folder in folders_of(parent) if parent else []:
        yield folder / f"{name}.py"
    yield from (folder / "__init__.py" for folder in folders_of(module))
