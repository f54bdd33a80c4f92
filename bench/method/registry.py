"""The registry of methods, which knows sums."""

from __future__ import annotations

from typing import Any

from bench.base.entry import Defined, Entry, T
from bench.base.errors import BenchError
from bench.base.registry import REGISTRIES, Registry
from bench.method.composition import SIGN, SumOf, parts_of


class MethodRegistry(Registry[T]):
    """Methods, and sums of them: ``a+b`` is an entry whose options are those of its parts."""

    def get(self, name: str) -> Entry[T]:
        """Return the entry of a method or of a sum.

        Raises:
            BenchError: nothing has that name, or the parts make no sum.
        """
        if SIGN not in name or name in self._here():
            return super().get(name)
        parts = tuple(super(MethodRegistry, self).get(part) for part in parts_of(name))
        builder: Any = SumOf(parts)
        return Entry(name, Defined(builder), "; ".join(part.origin for part in parts), parts)

    def __contains__(self, name: str) -> bool:
        if SIGN not in name:
            return super().__contains__(name)
        try:
            return bool(self.get(name))
        except BenchError:
            return False

    def problem(self, name: str) -> str:
        """Return why a method or a part of a sum cannot be had."""
        if SIGN not in name:
            return super().problem(name)
        try:
            parts = parts_of(name)
        except BenchError as error:
            return str(error)
        missing = [super(MethodRegistry, self).problem(part) for part in parts if part not in self]
        return f"'{name}': {'; '.join(missing)}"


methods: Registry[Any] = MethodRegistry("method")
REGISTRIES["methods"] = methods
