"""What a checkpoint is made of, told from its pickle without running any of it.

Every name that the pickle asks for is answered with a class that takes everything and does nothing, and tensors are not
read. So the objects that a file needs, and where its tensors lie, are known without trust in whoever made it.
"""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_MOST_BYTES = 2**26
"""Bytes of a pickle that are looked at; those of the tensors are not in it."""
_LEGACY = 0x1950A86A20F9469CFC6C
"""Number that torch's files of before 2020 begin with; version, machine and then the content follow."""
_TENSOR = re.compile(r"torch\._utils\._rebuild_\w+|torch\._tensor\._rebuild_\w+|torch\.nn\.parameter\.\w+")
_PLAIN = re.compile(
    r"torch\.(\w+\.)?\w*Storage|torch\.(Size|device|Tensor)|torch\.(u?int|float|bfloat|complex|bool|q?u?int)\w*|"
    r"torch\.serialization\._get_layout|collections\.(OrderedDict|Counter)|_codecs\.encode|"
    r"builtins\.(set|bytearray|complex)"
)
_RUNS = re.compile(
    r"(os|posix|nt|sys|subprocess|shutil|socket|importlib|runpy|pty|ctypes|webbrowser|code|marshal|pickle)(\.|$)|"
    r"builtins\.(eval|exec|compile|getattr|open|breakpoint|input|__\w+__)$|"
    r"(\w+\.)+[A-Z]\w*\.[a-z]\w*$"  # a method of a class, such as pathlib.Path.unlink
)


class Inert:
    """Stands for an object that was not made."""

    name = ""

    def __new__(cls, *_: Any, **__: Any) -> Inert:
        """Take whatever the object is made of."""
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        """Do nothing with it."""

    def __call__(self, *_: Any, **__: Any) -> Inert:
        """Stand for what the object returns as well."""
        return self

    def __setstate__(self, _: Any) -> None:
        """Do nothing with it."""

    def __setitem__(self, _: Any, __: Any) -> None:
        """Do nothing with it."""

    def append(self, _: Any) -> None:
        """Do nothing with it."""

    extend = add = update = append


class InertTensor(Inert):
    """Stands for a tensor."""


class _Mapping(dict[Any, Any]):
    """Stands for an ordered dictionary."""

    def __setstate__(self, _: Any) -> None:
        """Do nothing with what is not among its items."""


class _Reader(pickle._Unpickler):  # the one in Python: it takes no memory for numbers that a file makes up
    """Reads a pickle whose every name stands for nothing."""

    def __init__(self, file: IO[bytes], names: dict[str, None]) -> None:
        super().__init__(file, encoding="utf-8", errors="replace")
        self._names = names

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name."""
        older = (IMPORT_MAPPING.get(module, module), name)  # Python 2's, which torch writes
        full = ".".join(NAME_MAPPING.get((module, name), older))
        if full == "collections.OrderedDict":
            return _Mapping
        self._names[full] = None
        kind = InertTensor if _TENSOR.fullmatch(full) else Inert
        return type("Inert", (kind,), {"name": full})

    def persistent_load(self, pid: Any) -> Any:
        """Return nothing for the bytes of a tensor, but what stands for it for the class of a module in an old file."""
        return pid[1] if isinstance(pid, tuple) and pid[:1] in (("module",), (b"module",)) and len(pid) > 1 else None

    def get_extension(self, code: int) -> None:
        """Refuse a number that stands for a name."""
        raise pickle.UnpicklingError(f"extension {code}")


@dataclass(frozen=True)
class Outline:
    """What a checkpoint is made of.

    Attributes:
        content: dictionaries, lists and plain values, with :class:`Inert` in place of all else.
        needed: names of the objects that are no tensors, each once.
        bare: whether it was written by pickle, which torch.load does not read.
    """

    content: Any
    needed: tuple[str, ...]
    bare: bool = False

    @property
    def running(self) -> tuple[str, ...]:
        """Of the names needed those that no weights need, and that can do anything."""
        return tuple(name for name in self.needed if _RUNS.match(name))


def outline(path: Path) -> Outline | None:
    """Return what a checkpoint is made of; None where its pickle cannot be followed.

    Args:
        path: a file of ``torch.save`` of any age, or a bare pickle.
    """
    names: dict[str, None] = {}
    bare = not zipfile.is_zipfile(path)
    try:
        with _pickle_of(path) as file:
            content = _Reader(file, names).load()
            if bare and content == _LEGACY:
                bare = False
                *_, content = (_Reader(file, names).load() for _ in range(3))
    except Exception:  # noqa: BLE001 - bytes that are no pickle raise whatever the reader stumbles over
        if not names:
            return None
        content = None
    return Outline(content, tuple(_needed(names)), bare)


def is_program(path: Path) -> bool:
    """Tell whether a file is a TorchScript archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile, ValueError):
        return False


def _pickle_of(path: Path) -> IO[bytes]:
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            return io.BytesIO(file.read(_MOST_BYTES))
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
        with archive.open(name) as member:
            return io.BytesIO(member.read(_MOST_BYTES))


def _needed(names: dict[str, None]) -> Iterator[str]:
    return (name for name in names if not _TENSOR.fullmatch(name) and not _PLAIN.fullmatch(name))
