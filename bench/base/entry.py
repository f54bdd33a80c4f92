"""A registered name, and what stands behind it: a class or function, run already or still to be imported."""

from __future__ import annotations

import functools
import hashlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from bench.base.index import Registration
from bench.base.options import Options, OptionsOfParts

T = TypeVar("T", bound=Callable[..., Any])


class Definition(ABC, Generic[T]):
    """What stands behind a name.

    Attributes:
        builder: the class or function; a definition that is only read imports its file for it.
        options: what the builder takes.
        doc: its docstring, its indentation cleaned up; empty where there is none.
        module_doc: the docstring of its file, likewise.
    """

    @property
    @abstractmethod
    def builder(self) -> T:
        """The class or function."""

    @property
    @abstractmethod
    def options(self) -> Options:
        """What it takes."""

    @property
    @abstractmethod
    def doc(self) -> str:
        """Its docstring."""

    @property
    @abstractmethod
    def module_doc(self) -> str:
        """The docstring of its file."""


class Defined(Definition[T]):
    """A class or function that was given to a registry.

    Args:
        builder: the class or function.
    """

    def __init__(self, builder: T) -> None:
        self._builder = builder

    @property
    def builder(self) -> T:
        """The class or function."""
        return self._builder

    @property
    def options(self) -> Options:
        """What it takes.

        Raises:
            BenchError: its signature cannot be read.
        """
        return Options.of(self._builder)

    @property
    def doc(self) -> str:
        """Its docstring."""
        return inspect.getdoc(self._builder) or ""

    @property
    def module_doc(self) -> str:
        """The docstring of its file."""
        return inspect.getdoc(inspect.getmodule(self._builder)) or ""


class Written(Definition[T]):
    """A class or function that was read and not yet run.

    Args:
        registration: what its file says.
        load: imports the file and returns the class or function.
    """

    def __init__(self, registration: Registration, load: Callable[[Registration], T]) -> None:
        self.registration, self._load = registration, load

    @property
    def builder(self) -> T:
        """The class or function, imported.

        Raises:
            BenchError: its file cannot be imported.
        """
        return self._load(self.registration)

    @property
    def options(self) -> Options:
        """What it takes; where the text does not tell, by importing it.

        Raises:
            BenchError: its signature cannot be read, or its file cannot be imported.
        """
        return self.registration.options or Options.of(self.builder)

    @property
    def doc(self) -> str:
        """Its docstring; one that it inherits by importing it."""
        return self.registration.doc or inspect.getdoc(self.builder) or ""

    @property
    def module_doc(self) -> str:
        """The docstring of its file."""
        return self.registration.file.doc


class Member(Definition[T]):
    """One name of a family.

    Args:
        family: the definition of the family.
        rest: what the name has after the family's prefix.
    """

    def __init__(self, family: Definition[T], rest: str) -> None:
        self._family, self._rest = family, rest

    @property
    def builder(self) -> T:
        """The family's function with the rest of the name as its first argument."""
        return cast(T, functools.partial(self._family.builder, self._rest))

    @property
    def options(self) -> Options:
        """What the family's function takes."""
        return self._family.options

    @property
    def doc(self) -> str:
        """The docstring of the family's function."""
        return self._family.doc

    @property
    def module_doc(self) -> str:
        """The docstring of the family's file."""
        return self._family.module_doc


@dataclass(frozen=True, eq=False)
class Entry(Generic[T]):
    """One registered name.

    Attributes:
        name: the name used in matrices and tables.
        definition: what stands behind it.
        origin: ``file:line`` of its definition.
        parts: the entries that it is made of; none of most.
    """

    name: str
    definition: Definition[T]
    origin: str
    parts: tuple[Entry[T], ...] = ()

    @property
    def members(self) -> tuple[Entry[T], ...]:
        """Its parts, or itself where it has none."""
        return self.parts or (self,)

    @property
    def builder(self) -> T:
        """The class or function behind it, imported where that has not been done.

        Raises:
            BenchError: its file cannot be imported.
        """
        return self.definition.builder

    @property
    def options(self) -> Options:
        """What its builder takes.

        Raises:
            BenchError: the builder's signature cannot be read.
        """
        if self.parts:
            return OptionsOfParts({part.name: part.options for part in self.parts})
        return self.definition.options

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return self.definition.doc.partition("\n")[0]

    @property
    def code_digest(self) -> str:
        """Digest of the source file that defines the entry; tells whether stored results are of other code."""
        if self.parts:
            digests = "".join(part.code_digest for part in self.parts)
            return hashlib.sha256(digests.encode()).hexdigest()[:16]
        path = Path(self.origin.rpartition(":")[0])
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else ""
