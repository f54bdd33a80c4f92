"""What is known by name: methods, students, teachers, datasets; where each came from; how plug-ins join.

Built-in entries live in the packages ``bench.methods``, ``bench.students``, ``bench.teachers`` and ``bench.data.sets``.
Others come from the entry-point groups ``bench.methods``, ``bench.students``, ``bench.teachers``, ``bench.datasets`` of
installed distributions, or from files named under ``plugins:`` in a matrix.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

from bench.base.errors import BenchError, describe_error, unknown
from bench.base.options import Options, OptionsOfParts

T = TypeVar("T", bound=Callable[..., Any])


@dataclass(frozen=True)
class Entry(Generic[T]):
    """One registered name.

    Attributes:
        name: the name used in matrices and tables.
        builder: the class or function behind it.
        origin: ``file:line`` of its definition.
        parts: the entries that it is made of; none of most.
    """

    name: str
    builder: T
    origin: str
    parts: tuple[Entry[T], ...] = ()

    @property
    def members(self) -> tuple[Entry[T], ...]:
        """Its parts, or itself where it has none."""
        return self.parts or (self,)

    @property
    def options(self) -> Options:
        """What its builder takes.

        Raises:
            BenchError: the builder's signature cannot be read.
        """
        if self.parts:
            return OptionsOfParts({part.name: part.options for part in self.parts})
        return Options.of(self.builder)

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        builder = self.builder.func if isinstance(self.builder, functools.partial) else self.builder
        return (inspect.getdoc(builder) or "").partition("\n")[0]

    @property
    def code_digest(self) -> str:
        """Digest of the source file that defines the entry; tells whether stored results are of other code."""
        if self.parts:
            digests = "".join(part.code_digest for part in self.parts)
            return hashlib.sha256(digests.encode()).hexdigest()[:16]
        path = Path(self.origin.rpartition(":")[0])
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else ""


@dataclass(frozen=True)
class BrokenPlugin:
    """A plug-in that could not be loaded: where it is and the original error."""

    source: str
    error: str


class Registry(Generic[T]):
    """Names of one kind.

    Args:
        kind: the word for an entry, as in ``unknown method``.
        siblings: registries that share the name space (a model name works as student and as teacher).
    """

    def __init__(self, kind: str, *siblings: Registry[T]) -> None:
        self.kind = kind
        self.siblings = siblings
        self._entries: dict[str, Entry[T]] = {}
        self._families: dict[str, Entry[T]] = {}
        self._members: dict[str, Entry[T]] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Register the decorated class or function under ``name``.

        Raises:
            BenchError: the name is taken; both origins are named.
        """

        def add(builder: T) -> T:
            entry = Entry(name, builder, _origin(builder))
            for registry in (self, *self.siblings):
                taken = registry._entries.get(name)
                if taken and taken.origin != entry.origin:
                    raise BenchError(
                        f"the {registry.kind} name '{name}' is taken: "
                        f"defined at {taken.origin}, again at {entry.origin}. Rename one of them."
                    )
            self._entries[name] = entry
            return builder

        return add

    def register_family(self, prefix: str) -> Callable[[T], T]:
        """Register the decorated function for every name ``prefix:rest``; it is called as ``(rest, num_classes, ...)``.

        Its ``check(rest)``, where it has one, raises BenchError for a rest that it cannot build.
        """

        def add(builder: T) -> T:
            self._families[prefix] = Entry(f"{prefix}:...", builder, _origin(builder))
            return builder

        return add

    def families(self) -> list[Entry[T]]:
        """Return the entries behind names of the form ``prefix:rest``."""
        return sorted(self._families.values(), key=lambda entry: entry.name)

    def _member(self, name: str) -> Entry[T] | None:
        """Return the entry of ``prefix:rest``, made when it is first asked for."""
        prefix, colon, rest = name.partition(":")
        if not colon:
            return None
        for registry in (self, *self.siblings):
            family = registry._families.get(prefix)
            if family is not None and rest:
                check = getattr(family.builder, "check", None)
                if check is not None:
                    check(rest)
                if name not in registry._members:
                    builder: Any = functools.partial(family.builder, rest)
                    registry._members[name] = Entry(name, builder, family.origin)
                return registry._members[name]
        return None

    def get(self, name: str) -> Entry[T]:
        """Return the entry of ``name``, here or in a sibling.

        Raises:
            BenchError: nothing has that name.
        """
        for registry in (self, *self.siblings):
            if name in registry._entries:
                return registry._entries[name]
        if (member := self._member(name)) is not None:
            return member
        raise BenchError(self.problem(name))

    def __contains__(self, name: str) -> bool:
        if any(name in registry._entries for registry in (self, *self.siblings)):
            return True
        try:
            return self._member(name) is not None
        except BenchError:
            return False

    def __iter__(self) -> Iterator[Entry[T]]:
        return iter(sorted(self._entries.values(), key=lambda entry: entry.name))

    def problem(self, name: str) -> str:
        """Return why a name cannot be had, with the nearest names."""
        try:
            self._member(name)
        except BenchError as error:
            return str(error)
        return unknown(self.kind, name, self.names(everywhere=True))

    def names(self, everywhere: bool = False) -> list[str]:
        """Return the registered names; with ``everywhere`` those of the siblings too."""
        registries = (self, *self.siblings) if everywhere else (self,)
        return sorted({name for registry in registries for name in registry._entries})

    def snapshot(self) -> dict[str, Entry[T]]:
        """Return a copy of the entries, for :meth:`restore`."""
        return dict(self._entries)

    def restore(self, entries: dict[str, Entry[T]]) -> None:
        """Put back what :meth:`snapshot` returned."""
        self._entries = dict(entries)


def _origin(builder: Callable[..., Any]) -> str:
    try:
        return f"{inspect.getsourcefile(builder)}:{inspect.getsourcelines(builder)[1]}"
    except (OSError, TypeError):
        return f"{builder.__module__}:0"


students: Registry[Any] = Registry("student")
teachers: Registry[Any] = Registry("teacher", students)
students.siblings = (teachers,)
datasets: Registry[Any] = Registry("dataset")

REGISTRIES: dict[str, Registry[Any]] = {"students": students, "teachers": teachers, "datasets": datasets}
"""Every registry by the plural of its kind; methods join from :mod:`bench.method.registry`."""
_BUILT_IN = {
    "methods": "bench.methods",
    "students": "bench.students",
    "teachers": "bench.teachers",
    "datasets": "bench.data.sets",
}
_broken: dict[str, BrokenPlugin] = {}
_loaded: list[Path] = []
_discovered = False


def discover() -> list[BrokenPlugin]:
    """Import every built-in and installed entry once; return the plug-ins that failed to load."""
    global _discovered
    if not _discovered:
        _discovered = True
        for package in _BUILT_IN.values():
            _import_all(package)
        for kind in REGISTRIES:
            for point in entry_points(group=f"bench.{kind}"):
                _guarded(f"entry point {point.name} = {point.value}", point.load)
    return list(_broken.values())


def load_plugin(path: Path) -> BrokenPlugin | None:
    """Import a plug-in file named in a matrix; return what went wrong, or None.

    Raises:
        BenchError: the file does not exist.
    """
    path = path.resolve()
    if not path.is_file():
        raise BenchError(f"plugin file not found: {path}")
    module_name = f"bench_plugin_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"

    def execute() -> None:
        spec = importlib.util.spec_from_file_location(module_name, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[module_name]
            raise

    broken = _guarded(str(path), execute)
    if broken is None and path not in _loaded:
        _loaded.append(path)
    return broken


def loaded_plugins() -> tuple[Path, ...]:
    """Return the plug-in files that were loaded, for another process that is to know the same classes."""
    return tuple(_loaded)


def import_each(package_name: str, module_name: str) -> None:
    """Import the module of a name in every folder of a package that has one."""
    package = importlib.import_module(package_name)
    for found in pkgutil.iter_modules(package.__path__):
        if found.ispkg and importlib.util.find_spec(f"{package_name}.{found.name}.{module_name}") is not None:
            importlib.import_module(f"{package_name}.{found.name}.{module_name}")


def _import_all(package_name: str) -> None:
    package = importlib.import_module(package_name)
    for module in pkgutil.iter_modules(package.__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"{package_name}.{module.name}")


def _guarded(source: str, load: Callable[[], object]) -> BrokenPlugin | None:
    snapshots = {kind: registry.snapshot() for kind, registry in REGISTRIES.items()}
    _broken.pop(source, None)
    try:
        load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plug-in raises must not stop the others
        for kind, registry in REGISTRIES.items():
            registry.restore(snapshots[kind])
        _broken[source] = BrokenPlugin(source, describe_error(error))
        return _broken[source]
    return None
