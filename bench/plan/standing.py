"""How cells stand in the store: done, to be trained, or made by something that is no longer the same."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

from bench.base.errors import BenchError
from bench.base.files import digest, file_digest
from bench.data.base import Data
from bench.matrix.cell import Cell, DatasetSpec, ModelSpec, TeacherSpec
from bench.matrix.settings import Settings
from bench.method.registry import methods
from bench.plan.code import model_code
from bench.plan.planned import PlannedCell, Wanted
from bench.store.folders import CONFIG, RESULT, STUDENT, CellFolder, Record, RunFolder

PLACE = "place"
"""Key of where the dataset's files lay; that they were moved alone makes nothing stale."""
DATASET_CHANGED = "the content of the dataset changed"
_CHANGED = {
    "method": "the method's code changed",
    "student": "the student's code changed",
    "teacher": "the teacher's code changed",
    "teacher_weights": "the teacher's weights changed",
}


@dataclass
class Standing:
    """Looks up how cells stand; what cannot change during a run, such as code, is looked at once.

    Attributes:
        run: folder of the matrix's cells.
        teachers_run: folder of teachers trained by the harness.
        data: the dataset.
        dataset: its description.
        settings: what counts as stale.
    """

    run: RunFolder
    teachers_run: RunFolder
    data: Data
    dataset: DatasetSpec
    settings: Settings
    _code: dict[str, str] = field(default_factory=dict)
    _fingerprint: str | None = None
    _place: str | None = None
    _trained: dict[str, str | None] = field(default_factory=dict)

    def of(self, wanted: Wanted, *, teacher: bool = False) -> PlannedCell:
        """Return how a cell stands now.

        Args:
            wanted: the cell.
            teacher: look in the folder of teachers, whose weights must be whole.
        """
        if wanted.refused is not None:
            return PlannedCell(wanted.cell, "skipped", wanted.refused)
        cell, provenance = wanted.cell, self.provenance(wanted.cell)
        folder = (self.teachers_run if teacher else self.run).cell(cell.id)
        state, reason = self._state(cell, folder, provenance, teacher)
        elsewhere = state == "stale" and DATASET_CHANGED in reason and _lay_elsewhere(folder, provenance)
        return PlannedCell(cell, state, reason, provenance, wanted.remarks, elsewhere)

    def _state(self, cell: Cell, folder: CellFolder, provenance: Record, teacher: bool) -> tuple[str, str]:
        state, record = folder.state()
        if self.asked_again(cell):
            return "stale" if state != "planned" else "planned", "asked to train again"
        if state == "planned":
            return state, ""
        changes = changed(folder.config().get("provenance"), provenance, self._data_changed)
        if state == "done" and teacher and file_digest(folder.path / STUDENT) != record["files"].get(STUDENT):
            return "corrupt", f"{STUDENT} does not match the digest in {RESULT}"
        if changes and state == "done" and self.settings.accept_stale:
            return state, "accepted though stale: " + "; ".join(changes)
        if changes and state != "corrupt":
            return "stale", "; ".join(changes)
        return state, str(record.get("reason", ""))

    def asked_again(self, cell: Cell) -> bool:
        """Tell whether the user asked to train this cell again."""
        return any(fnmatch.fnmatch(cell.id, pattern) for pattern in self.settings.retrain)

    def provenance(self, cell: Cell) -> Record:
        """Return the digests of code, weights and versions that a result made now would carry."""
        record: Record = {
            **({PLACE: self._where} if self._where else {}),
            "method": methods.get(cell.method.name).code_digest,
            "student": self._model_code(cell.student),
            "torch": version("torch"),
        }
        if cell.teacher:
            record["teacher"] = self._model_code(cell.teacher)
            record["teacher_weights"] = cell.teacher.weights_sha256 or self._trained_digest(cell.teacher)
        return record

    @property
    def _where(self) -> str:
        """Digest of where the dataset's files lie, as no path stands in a record; empty where nothing tells."""
        if self._place is None:
            places = [str(place.resolve()) for place in self.data.located()]
            self._place = digest(places, 16) if places else ""
        return self._place

    def _model_code(self, model: ModelSpec) -> str:
        key = digest(model.model_dump(mode="json"))
        if key not in self._code:
            self._code[key] = model_code(model)
        return self._code[key]

    def now(self, settings: Settings | None = None) -> Standing:
        """Return the same with what a run may have changed since to be looked up again."""
        return replace(self, settings=settings or self.settings, _trained={})

    def _trained_digest(self, teacher: TeacherSpec) -> str | None:
        if teacher.key not in self._trained:
            self._trained[teacher.key] = self._look_up(teacher)
        return self._trained[teacher.key]

    def _look_up(self, teacher: TeacherSpec) -> str | None:
        for folder in self.teachers_run.cells():
            if folder.cell_id.endswith(f".{teacher.key[:12]}") and folder.state()[0] == "done":
                return file_digest(folder.path / STUDENT)
        return None

    def _data_changed(self, fingerprint: str) -> bool:
        if self._fingerprint is None:
            try:
                self.data.require(self.dataset.splits)
                self._fingerprint = self.data.fingerprint(self.dataset.splits)
            except BenchError:
                self._fingerprint = ""
        return bool(self._fingerprint) and self._fingerprint != fingerprint


def _lay_elsewhere(folder: CellFolder, current: Record) -> bool:
    """Tell whether the dataset of a result is known to have lain in another place."""
    places = folder.config()["provenance"].get(PLACE), current.get(PLACE)
    return None not in places and places[0] != places[1]


def changed(recorded: Any, current: Record, data_changed: Callable[[str], bool]) -> list[str]:
    """Return what differs between the making of a result and now, in words.

    Args:
        recorded: provenance of the result, of whatever kind a damaged file holds.
        current: what a result made now would carry.
        data_changed: tells whether the dataset has another fingerprint now.
    """
    if not isinstance(recorded, dict):
        return [f"{CONFIG} does not tell by which code it was made"]
    changes = [
        _CHANGED.get(name, f"{name} {recorded[name]} -> {current[name]}")
        for name in sorted((set(recorded) & set(current)) - {PLACE})
        if current[name] is not None and recorded[name] != current[name]
    ]
    if "dataset" in recorded and data_changed(recorded["dataset"]):
        changes.append(DATASET_CHANGED)
    return changes
