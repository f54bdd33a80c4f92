"""The names that the files of a package register, read from their text.

``@methods.register("name")`` above a class or a function says all that a list, a plan or a refusal needs: name, place,
docstring, options. The file is imported when the class or the function itself is asked for.
"""

from __future__ import annotations

import ast
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from bench.base.options import FORWARDED, Options
from bench.base.source import Definition, SourceFile, Unread, folders_of, read_module

_DECORATORS = {"register": False, "register_family": True}
"""Names of the decorators, and whether they register a whole family of names."""
_MENTION = re.compile(rb"\.[\s\\]*register(?:_family)?\b")
"""A use of either; found in a comment it costs an import and no more."""


@dataclass(frozen=True)
class Registration:
    """One name that a file registers.

    Attributes:
        registry: the name of the registry, such as ``methods``.
        name: what is registered; of a family, the prefix.
        is_family: whether the name stands for every ``name:rest``.
        file: the file.
        definition: the class or function under the decorator.
    """

    registry: str
    name: str
    is_family: bool
    file: SourceFile
    definition: Definition

    @property
    def origin(self) -> str:
        """``file:line`` of the decorator, where ``inspect`` lets a decorated definition begin."""
        return f"{self.file.path}:{self.definition.decorator_list[0].lineno}"

    @property
    def doc(self) -> str:
        """The docstring, its indentation cleaned up; empty where the text has none."""
        return ast.get_docstring(self.definition) or ""

    @cached_property
    def options(self) -> Options | None:
        """The options that the signature says; None where only importing the file tells."""
        try:
            fields = {
                keyword.name: (keyword.type(), keyword.default())
                for keyword in self.file.keywords(self.definition)
                if keyword.name not in FORWARDED
            }
            return Options.of_fields(self.definition.name, fields)
        except Exception:  # noqa: BLE001 - what it is, the import tells better
            return None


def registrations(package: str) -> Iterator[Registration | str]:
    """Yield what the files of a package register, in their order; modules whose text does not tell it, by name.

    Those whose names begin with an underscore are left out. A package in it may import from anywhere in itself, so its
    text is not asked.

    Args:
        package: its dotted name.
    """
    for found in pkgutil.iter_modules([str(folder) for folder in folders_of(package)]):
        module = f"{package}.{found.name}"
        if found.name.startswith("_"):
            continue
        if found.ispkg:
            yield module
            continue
        try:
            yield from _of_file(read_module(module))
        except Unread:
            yield module


def _of_file(file: SourceFile) -> list[Registration]:
    """Return what a file registers.

    Raises:
        Unread: it registers something otherwise than by a decorator above a top-level definition.
    """
    found = [
        registration
        for statement in file.tree.body
        if isinstance(statement, ast.ClassDef | ast.FunctionDef)
        if (registration := _registration(file, statement)) is not None
    ]
    if len(_MENTION.findall(file.text)) != len(found):
        raise Unread(f"{file.path} registers in its own way")
    return found


def _registration(file: SourceFile, definition: Definition) -> Registration | None:
    match definition.decorator_list:
        case [
            ast.Call(
                func=ast.Attribute(value=ast.Name(id=registry), attr=("register" | "register_family") as decorator),
                args=[ast.Constant(value=str(name))],
                keywords=[],
            )
        ]:
            origin = file.origin(registry)
            if origin is not None and file.defines(definition.name):
                return Registration(origin.rpartition(".")[2], name, _DECORATORS[decorator], file, definition)
    return None
