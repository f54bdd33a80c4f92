"""``a+b``: the sum of several methods' terms, each with its own hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.base.errors import BenchError

if TYPE_CHECKING:
    from bench.base.registry import Entry
    from bench.method import Method, Pair

SIGN = "+"


@dataclass(frozen=True)
class SumOf:
    """Builds the sum of methods; its options are those of the parts, under their names.

    Attributes:
        parts: the registered methods, in the order written.
    """

    parts: tuple[Entry[Any], ...]

    def __call__(self, pair: Pair, **options: Mapping[str, Any]) -> Method:
        """Return the sum for a pair.

        Raises:
            Unsupported: a part refuses the pair.
        """
        from bench.method.sum import Sum

        return Sum(pair, {part.name: part.builder(pair, **options.get(part.name, {})) for part in self.parts})

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that every part is for."""
        from bench.method.base import common_tasks

        return common_tasks([part.builder.tasks for part in self.parts])

    @property
    def needs_teacher(self) -> bool:
        """Whether a part looks at the teacher."""
        return any(getattr(part.builder, "needs_teacher", True) for part in self.parts)


def parts_of(name: str) -> Sequence[str]:
    """Return the names in ``a+b``.

    Raises:
        BenchError: a name is empty or stands twice, or the baseline is among them.
    """
    parts = [part.strip() for part in name.split(SIGN)]
    if not all(parts):
        raise BenchError(f"'{name}': a method's name is missing beside a '{SIGN}'")
    if len(set(parts)) < len(parts):
        raise BenchError(f"'{name}': a method stands twice in a sum; raise its weight instead")
    if "none" in parts:
        raise BenchError(f"'{name}': 'none' adds nothing to a sum; leave it out")
    return parts
