"""A cell that a matrix asks for, and how it stands."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.matrix.cell import Cell
from bench.store.folders import Record

FINISHED = frozenset({"done", "diverged"})


@dataclass(frozen=True)
class Wanted:
    """A cell that a matrix asks for.

    Attributes:
        cell: what to train.
        refused: why it is skipped, None where it is not.
        remarks: what the method does otherwise than its paper because of this pair.
    """

    cell: Cell
    refused: str | None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlannedCell:
    """A cell with its state.

    Attributes:
        cell: what to train.
        state: ``planned``, ``interrupted``, ``done``, ``failed``, ``diverged``, ``stale``, ``corrupt`` or ``skipped``.
        reason: why, for the states that need one.
        provenance: digests of code, data and versions that a result made now would carry.
        remarks: what the method does otherwise than its paper because of this pair.
        other_dataset: what is there is of a dataset whose files differ and lay in another place.
    """

    cell: Cell
    state: str
    reason: str = ""
    provenance: Record = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    other_dataset: bool = False

    @property
    def to_train(self) -> bool:
        """Whether a run will train it."""
        return self.state not in FINISHED and self.state != "skipped"
