"""From a matrix to cells, and from a cell to its state in the store."""

from __future__ import annotations

import fnmatch
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError, Unsupported, describe_error
from bench.base.files import digest, file_digest
from bench.base.registry import Entry, students
from bench.matrix.cell import Cell, MethodSpec, ModelSpec, TeacherSpec
from bench.matrix.matrix import BASELINE, Expected, LoadedMatrix, MethodChoice, Model, PairEntry
from bench.matrix.settings import Settings
from bench.method import Method, OutputSpec, Pair
from bench.method.registry import methods
from bench.models.base import SegmentationModel, output_spec
from bench.models.weights.pretrained import PublishedFile
from bench.models.weights.published import recognised, under_own_names
from bench.models.weights.reading import read_weights, require_fit
from bench.plan.build import build_spec
from bench.plan.dataset import build_dataset
from bench.plan.filters import _axes, _matches
from bench.plan.plan import TEACHERS, PlannedCell
from bench.plan.state import _changes, model_code
from bench.plan.weights import find_weights
from bench.store.folders import RESULT, STUDENT, CellFolder, Record, RunFolder

Row = tuple[PairEntry, int, MethodChoice]


class Planner:
    """Expands a matrix into cells and looks up how each one stands.

    Args:
        loaded: the matrix.
        settings: folders and what counts as stale.
    """

    def __init__(self, loaded: LoadedMatrix, settings: Settings) -> None:
        self.loaded, self.matrix, self.settings = loaded, loaded.matrix, settings
        self.data, self.dataset = build_dataset(self.matrix.dataset, settings.locations, loaded.path.parent)
        self.run = RunFolder(settings.results / self.matrix.name)
        self.teachers_run = RunFolder(settings.results / TEACHERS)
        self.weights: dict[str, Path] = {}
        self.published: dict[str, PublishedFile] = {}
        self.expected: dict[str, Expected] = {}
        self.notes: dict[str, None] = {}
        self._specs: dict[str, OutputSpec] = {}
        self._code: dict[str, str] = {}
        self._trained: dict[str, str | None] = {}
        self._fingerprint: str | None = None

    def model_spec(self, model: Model) -> ModelSpec:
        """Return a model with its options filled in and its weights file digested."""
        given = students.get(model.name).options.resolve(model.options)
        sha256 = None
        if model.weights is not None:
            sha256 = self._weights_digest(model)
        return ModelSpec(name=model.name, options=given, weights_sha256=sha256, input=model.input)

    def _weights_digest(self, model: Model) -> str:
        """Return the digest of a model's weights; where they are not here yet, of what names them."""
        found = find_weights(str(model.weights), self.loaded.path.parent)
        path = found if isinstance(found, Path) else found.path
        if isinstance(found, PublishedFile):
            self.published[found.file] = found
            if not path.is_file():
                return digest({"absent": found.url})
        sha256 = file_digest(path)
        self.weights[sha256] = path
        return sha256

    def teacher_cell(self, model: Model) -> Cell:
        """Return the cell that trains a teacher without weights."""
        return Cell(
            dataset=self.dataset,
            teacher=None,
            student=self.model_spec(model.model_copy(update={"weights": None})),
            method=MethodSpec(name=BASELINE, params={}, label=BASELINE),
            seed=self.matrix.teacher_seed,
            recipe=self.matrix.recipe_of_teachers(),
        )

    def teacher_spec(self, model: Model) -> TeacherSpec:
        """Return a teacher with the key of what its weights are."""
        spec = self.model_spec(model)
        trained_by = None if spec.weights_sha256 else self.teacher_cell(model).key
        teacher = TeacherSpec(**spec.model_dump(), trained_by=trained_by)
        if model.expected is not None:
            self.expected[teacher.key] = model.expected
        return teacher

    def cells(self) -> list[Cell]:
        """Return every cell of the matrix, each once.

        Raises:
            BenchError: a filter fits nothing, or the filters leave nothing.
        """
        found: dict[str, Cell] = {}
        rows = list(itertools.product(self.matrix.pairs, self.matrix.seeds, self.loaded.choices))
        self._require_matching_filters(rows)
        for entry, seed, choice in rows:
            if self._wanted(entry, seed, choice):
                cell = self._cell(entry, seed, choice)
                found.setdefault(cell.key, cell)
        if not found:
            raise BenchError(
                f"{self.loaded.path}: no cell is left after include and exclude: "
                f"include={self.matrix.include}, exclude={self.matrix.exclude}. Loosen one of them."
            )
        return list(found.values())

    def _cell(self, entry: PairEntry, seed: int, choice: MethodChoice) -> Cell:
        listens = choice.name not in methods or getattr(methods.get(choice.name).builder, "needs_teacher", True)
        return Cell(
            dataset=self.dataset,
            teacher=self.teacher_spec(entry.teacher) if listens else None,
            student=self.model_spec(entry.student),
            method=MethodSpec(name=choice.name, params=choice.params, label=choice.label),
            seed=seed,
            recipe=self.matrix.recipe,
        )

    def _require_matching_filters(self, rows: Sequence[Row]) -> None:
        """Refuse a filter that no cell fits: it is a mistyped one."""
        problems = [
            f"{self.loaded.path}: {key}[{index}]: {rule} fits no cell of the matrix. Correct it, or take it out."
            for key, rules in (("include", self.matrix.include), ("exclude", self.matrix.exclude))
            for index, rule in enumerate(rules)
            if not any(_matches(rule, _axes(*row)) for row in rows)
        ]
        if problems:
            raise BenchError(*problems)

    def _wanted(self, entry: PairEntry, seed: int, choice: MethodChoice) -> bool:
        axes = _axes(entry, seed, choice)
        included = not self.matrix.include or any(_matches(rule, axes) for rule in self.matrix.include)
        return included and not any(_matches(rule, axes) for rule in self.matrix.exclude)

    def planned(self, cell: Cell, run: RunFolder) -> PlannedCell:
        """Return how a cell stands in a run folder.

        Raises:
            BenchError: a model's class count differs from the dataset's, or a model cannot be built.
        """
        if cell.method.name in self.loaded.unavailable:
            return PlannedCell(cell, "skipped", self.loaded.unavailable[cell.method.name])
        try:
            remarks = self._require_support(cell)
        except Unsupported as verdict:
            return PlannedCell(cell, "skipped", str(verdict))
        return replace(self._found(cell, run), remarks=remarks)

    def _found(self, cell: Cell, run: RunFolder) -> PlannedCell:
        """Return how a cell that can be trained stands."""
        provenance = self.provenance(cell)
        folder = run.cell(cell.id)
        state, record = folder.state()
        if self.asked_again(cell):
            return PlannedCell(cell, "stale" if state != "planned" else "planned", "asked to train again", provenance)
        if state == "planned":
            return PlannedCell(cell, state, "", provenance)
        changes = _changes(folder.config().get("provenance"), provenance, self._data_changed)
        if state == "done" and run is self.teachers_run and self._weights_damaged(folder, record):
            return PlannedCell(cell, "corrupt", f"{STUDENT} does not match the digest in {RESULT}", provenance)
        if changes and state == "done" and self.settings.accept_stale:
            return PlannedCell(cell, state, "accepted though stale: " + "; ".join(changes), provenance)
        if changes and state != "corrupt":
            return PlannedCell(cell, "stale", "; ".join(changes), provenance)
        return PlannedCell(cell, state, str(record.get("reason", "")), provenance)

    def asked_again(self, cell: Cell) -> bool:
        """Tell whether the user asked to train this cell again."""
        return any(fnmatch.fnmatch(cell.id, pattern) for pattern in self.settings.retrain)

    def _require_support(self, cell: Cell) -> tuple[str, ...]:
        """Return the method's remarks on the pair.

        Raises:
            Unsupported: the method refuses the pair.
            BenchError: a model's class count differs from the dataset's.
        """
        student = self.spec(cell.student)
        teacher = self.spec(cell.teacher) if cell.teacher else student
        info = self.data.info
        for role, model, spec in (("student", cell.student, student), ("teacher", cell.teacher, teacher)):
            if model is not None and spec.logits.channels != info.num_classes:
                raise BenchError(
                    f"{role} '{model.name}' gives {spec.logits.channels} classes, dataset '{cell.dataset.name}' has "
                    f"{info.num_classes}: {', '.join(info.class_names[:20])}"
                )
        pair = Pair(info.num_classes, info.ignore_index, student, teacher, self.size)
        return tuple(_build_method(methods.get(cell.method.name), pair, cell.method.params).remarks)

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width of the images that models train on; where they are not here to be asked, 256 x 256."""
        if crop := self.matrix.recipe.augment.crop:
            return crop[0], crop[1]
        try:
            self.data.require((self.dataset.eval_split,))
            height, width = self.data.split(self.dataset.eval_split)[0][1].shape[-2:]
        except BenchError:
            return 256, 256
        return int(height), int(width)

    def spec(self, model: ModelSpec) -> OutputSpec:
        """Return a model's output shapes at the size it is trained at; a given weights file is tried on it.

        Raises:
            BenchError: the model cannot be built with its options, or the weights do not fit.
        """
        key = digest(model.model_dump(mode="json"))
        if key not in self._specs:
            size = self.size
            try:
                module = build_spec(model, self.data.info.num_classes, device="meta")
                self._specs[key] = output_spec(module, size)
            except BenchError:
                raise
            except Exception as error:  # a builder's own code meets the options of a matrix here for the first time
                raise BenchError(
                    f"model '{model.name}' with {model.options or 'no options'} and input {size[0]}x{size[1]} "
                    f"does not work: {describe_error(error)}"
                ) from error
            if model.weights_sha256 is None:
                self.published |= {source.file: source for source in module.pretrained}
            elif path := self.weights.get(model.weights_sha256):
                self._require_fit(model, module, path)
        return self._specs[key]

    def _require_fit(self, model: ModelSpec, module: SegmentationModel, path: Path) -> None:
        """Try weights on a model; where their form is a publisher's who prepares images otherwise, note that."""
        weights = read_weights(path)
        require_fit(module, under_own_names(module, weights), f"{path} (model '{model.name}')")
        found = recognised(module, weights) if path.suffix != ".safetensors" else None
        other = {k: v for k, v in found.preparation.items() if model.options.get(k) != v} if found else {}
        if found and other:
            shown = ", ".join(f"{key}: {value}" for key, value in other.items())
            self.notes[f"{path.name} has the form of {found.layout}, which goes with {shown} of '{model.name}'"] = None

    def provenance(self, cell: Cell) -> Record:
        """Return the digests of code, weights and versions that a result made now would carry."""
        record: Record = {
            "method": methods.get(cell.method.name).code_digest,
            "student": self._model_code(cell.student),
            "torch": version("torch"),
        }
        if cell.teacher:
            record["teacher"] = self._model_code(cell.teacher)
            record["teacher_weights"] = cell.teacher.weights_sha256 or self._trained_digest(cell.teacher)
        return record

    def _model_code(self, model: ModelSpec) -> str:
        key = digest(model.model_dump(mode="json"))
        if key not in self._code:
            self._code[key] = model_code(model)
        return self._code[key]

    def _trained_digest(self, teacher: TeacherSpec) -> str | None:
        if teacher.key not in self._trained:
            self._trained[teacher.key] = None
            for folder in self.teachers_run.cells():
                if folder.cell_id.endswith(f".{teacher.key[:12]}") and folder.state()[0] == "done":
                    self._trained[teacher.key] = file_digest(folder.path / STUDENT)
        return self._trained[teacher.key]

    @staticmethod
    def _weights_damaged(folder: CellFolder, record: Record) -> bool:
        return bool(file_digest(folder.path / STUDENT) != record["files"].get(STUDENT))

    def _data_changed(self, fingerprint: str) -> bool:
        if self._fingerprint is None:
            try:
                self.data.require(self.dataset.splits)
                self._fingerprint = self.data.fingerprint(self.dataset.splits)
            except BenchError:
                self._fingerprint = ""
        return bool(self._fingerprint) and self._fingerprint != fingerprint


def _build_method(entry: Entry[Any], pair: Pair, params: Mapping[str, Any]) -> Method:
    """Try a method on a pair.

    Raises:
        Unsupported: it refuses the pair, or its own code fails; the other methods are not to suffer for that.
    """
    try:
        method = entry.builder(pair, **params)
    except Unsupported:
        raise
    except Exception as error:
        raise Unsupported(f"'{entry.name}' ({entry.origin}) cannot be built: {describe_error(error)}") from error
    if not isinstance(method, Method):
        raise Unsupported(f"'{entry.name}' ({entry.origin}) is no bench.method.Method")
    return method
