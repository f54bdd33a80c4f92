"""What is known by name: methods, students, teachers, datasets; where each came from; how plug-ins join.

Built-in entries live in the packages ``bench.methods``, ``bench.students``, ``bench.teachers`` and ``bench.data.sets``;
they are read from the text of their files, and a file is imported when its class or function is asked for. Others come
from the entry-point groups ``bench.methods``, ``bench.students``, ``bench.teachers``, ``bench.datasets`` of installed
distributions, which are imported when a name is not among the built-in ones or all names are asked for, or from files
named under ``plugins:`` in a matrix.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Generic

from bench.base.entry import Defined, Definition, Entry, Member, T, Written
from bench.base.errors import BenchError, describe_error, is_ctrl_c, unknown
from bench.base.index import Registration, registrations

__all__ = [
    "REGISTRIES",
    "BrokenPlugin",
    "Entry",
    "Registry",
    "T",
    "datasets",
    "discover",
    "import_each",
    "load_plugin",
    "load_plugins",
    "loaded_plugins",
    "students",
    "teachers",
]


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
        self._has_built_ins = False

    def register(self, name: str) -> Callable[[T], T]:
        """Register the decorated class or function under ``name``.

        Raises:
            BenchError: the name is taken; both origins are named.
        """

        def add(builder: T) -> T:
            self._read_built_ins()
            if not _is_built_in(self._entries.get(name), builder):
                self._add(Entry(name, Defined(builder), _origin(builder)))
            return builder

        return add

    def register_family(self, prefix: str) -> Callable[[T], T]:
        """Register the decorated function for every name ``prefix:rest``; it is called as ``(rest, num_classes, ...)``.

        Its ``check(rest)``, where it has one, raises BenchError for a rest that it cannot build.
        """

        def add(builder: T) -> T:
            self._read_built_ins()
            if not _is_built_in(self._families.get(prefix), builder):
                self._add_family(prefix, Defined(builder), _origin(builder))
            return builder

        return add

    def _add(self, entry: Entry[T]) -> None:
        for registry in (self, *self.siblings):
            taken = registry._entries.get(entry.name)
            if taken and taken.origin != entry.origin:
                raise BenchError(
                    f"the {registry.kind} name '{entry.name}' is taken: "
                    f"defined at {taken.origin}, again at {entry.origin}. Rename one of them."
                )
        self._entries[entry.name] = entry

    def _add_family(self, prefix: str, definition: Definition[T], origin: str) -> None:
        self._families[prefix] = Entry(f"{prefix}:...", definition, origin)

    def _read_built_ins(self) -> None:
        """Add the built-in entries, the siblings' too, at the first use; files that do not tell theirs are imported.

        Raises:
            BenchError: two of them have one name.
        """
        if self._has_built_ins:
            return
        self._has_built_ins = True  # files that are imported here ask again
        try:
            for registry in self.siblings:
                registry._read_built_ins()
            for found in _built_in(_key(self)):
                if isinstance(found, Registration):
                    self._add_written(found)
                else:
                    _guarded(found, functools.partial(importlib.import_module, found))
        except BenchError:
            self._has_built_ins = False
            raise

    def _add_written(self, found: Registration) -> None:
        definition = Written[T](found, functools.partial(_imported, self.kind))
        if found.is_family:
            self._add_family(found.name, definition, found.origin)
        else:
            self._add(Entry(found.name, definition, found.origin))

    def _here(self) -> dict[str, Entry[T]]:
        """Return the entries by name that are known without importing installed distributions."""
        self._read_built_ins()
        return self._entries

    def _all(self) -> dict[str, Entry[T]]:
        """Return every entry by name."""
        _load_installed(_key(self))
        return self._here()

    def _known(self, name: str) -> Entry[T] | None:
        """Return what has a name, here or in a sibling; installed distributions are asked where nothing else has it.

        Raises:
            BenchError: the name is one of a family that cannot build it.
        """
        if (entry := self._found(name)) is not None:
            return entry
        for registry in (self, *self.siblings):
            registry._all()
        return self._found(name)

    def _found(self, name: str) -> Entry[T] | None:
        for registry in (self, *self.siblings):
            if (entry := registry._here().get(name)) is not None:
                return entry
        return self._member(name)

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
                    registry._members[name] = Entry(name, Member(family.definition, rest), family.origin)
                return registry._members[name]
        return None

    def get(self, name: str) -> Entry[T]:
        """Return the entry of ``name``, here or in a sibling.

        Raises:
            BenchError: nothing has that name.
        """
        if (entry := self._known(name)) is not None:
            return entry
        raise BenchError(self.problem(name))

    def __contains__(self, name: str) -> bool:
        try:
            return self._known(name) is not None
        except BenchError:
            return False

    def __iter__(self) -> Iterator[Entry[T]]:
        return iter(sorted(self._all().values(), key=lambda entry: entry.name))

    def families(self) -> list[Entry[T]]:
        """Return the entries behind names of the form ``prefix:rest``."""
        self._all()
        return sorted(self._families.values(), key=lambda entry: entry.name)

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
        return sorted({name for registry in registries for name in registry._all()})

    def snapshot(self) -> dict[str, Entry[T]]:
        """Return a copy of the entries, for :meth:`restore`."""
        return dict(self._all())

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
_installed: set[str] = set()
"""Registries whose entry points were loaded."""


def discover(*kinds: str) -> list[BrokenPlugin]:
    """Find every built-in and installed entry; return the plug-ins that failed to load.

    Args:
        kinds: names among :data:`REGISTRIES`; all of them if left out.
    """
    for kind in kinds or tuple(REGISTRIES):
        REGISTRIES[kind].names()
    return list(_broken.values())


def _key(registry: Registry[Any]) -> str:
    """Return the name that a registry has among :data:`REGISTRIES`; nothing for one of its own."""
    return next((key for key, known in REGISTRIES.items() if known is registry), "")


@cache
def _index() -> tuple[Registration | str, ...]:
    return tuple(found for package in _BUILT_IN.values() for found in registrations(package))


def _built_in(key: str) -> Iterator[Registration | str]:
    """Yield what the built-in files register in a registry, and the modules that have to be imported to be known."""
    for found in _index() if key else ():
        if isinstance(found, str) or found.registry == key:
            yield found


def _imported(kind: str, found: Registration) -> Any:
    """Import the file of a built-in entry and return its class or function.

    Raises:
        BenchError: the file cannot be imported.
    """
    try:
        module = importlib.import_module(found.file.module)
    except BaseException as error:
        if is_ctrl_c(error):
            raise
        raise BenchError(
            f"the {kind} '{found.name}' ({found.origin}) cannot be imported: {describe_error(error)}"
        ) from error
    return getattr(module, found.definition.name)


def _is_built_in(entry: Entry[Any] | None, builder: Callable[..., Any]) -> bool:
    """Tell whether a class or function that is registered is the one that its entry was read from."""
    if entry is None or not isinstance(entry.definition, Written):
        return False
    found = entry.definition.registration
    return (found.file.module, found.origin) == (builder.__module__, _origin(builder))


def _load_installed(key: str) -> None:
    """Import the entry points of a registry, once."""
    if not key or key in _installed:
        return
    _installed.add(key)
    for point in entry_points(group=f"bench.{key}"):
        _guarded(f"entry point {point.name} = {point.value}", point.load)


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


def load_plugins(paths: Iterable[Path]) -> None:
    """Import plug-in files that a command is given.

    Raises:
        BenchError: a file does not exist or cannot be loaded.
    """
    for path in paths:
        if broken := load_plugin(path):
            raise BenchError(f"plug-in {broken.source} failed to load: {broken.error}")


def loaded_plugins() -> tuple[Path, ...]:
    """Return the plug-in files that were loaded, for another process that is to know the same classes."""
    return tuple(_loaded)


def import_each(package_name: str, module_name: str) -> None:
    """Import the module of a name in every folder of a package that has one."""
    package = importlib.import_module(package_name)
    for found in pkgutil.iter_modules(package.__path__):
        if found.ispkg and importlib.util.find_spec(f"{package_name}.{found.name}.{module_name}") is not None:
            importlib.import_module(f"{package_name}.{found.name}.{module_name}")


def _guarded(source: str, load: Callable[[], object]) -> BrokenPlugin | None:
    before = {registry: (dict(registry._entries), dict(registry._families)) for registry in REGISTRIES.values()}
    _broken.pop(source, None)
    try:
        load()
    except BaseException as error:
        if is_ctrl_c(error):
            raise
        for registry, (entries, families) in before.items():
            registry._entries, registry._families = entries, families
        _broken[source] = BrokenPlugin(source, describe_error(error))
        return _broken[source]
    return None
