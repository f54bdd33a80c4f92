"""The YAML file: dataset, recipe, pairs, methods, seeds; read strictly, every mistake told at once with its line."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.base import options
from bench.base.errors import BenchError, unknown
from bench.base.registry import BrokenPlugin, Registry, datasets, discover, load_plugin, students, teachers
from bench.base.temporary import MOST_NAME_BYTES
from bench.matrix.baseline import BASELINE
from bench.matrix.find import find_matrix
from bench.matrix.overrides import apply_override
from bench.matrix.schema import Matrix, matrix_for
from bench.matrix.yamlfile import Document, KeyPath, dotted, read_yaml
from bench.method.registry import methods
from bench.method.strength import with_strength
from bench.tasks.scorings import DEFAULT

AXES = ("teacher", "student", "method", "seed")
DATASET_KEYS = ("train_split", "eval_split", "normalization", "shared_images")
MODEL_KEYS = ("weights", "sha256", "expected", "input")
"""Keys beside a name that are not its own options."""
MOST_CELLS = 10_000
"""Cells that a matrix may stand for."""
RESERVED_NAMES = ("teachers", "cache")
"""Folders beside those of the runs."""


@dataclass(frozen=True)
class MethodChoice:
    """One method with one set of hyperparameters."""

    name: str
    params: dict[str, Any]
    label: str


@dataclass(frozen=True)
class LoadedMatrix:
    """A matrix with what came of reading it.

    Attributes:
        matrix: the validated content.
        path: the file it was read from.
        choices: methods with sweeps expanded.
        broken: plug-ins that failed to load, of the installed ones those that a name was looked for in.
        unavailable: why a method of that name cannot be had: a broken plug-in may hold it.
        no_baseline: the user allowed a matrix without the method ``none``.
    """

    matrix: Matrix
    path: Path
    choices: list[MethodChoice]
    broken: list[BrokenPlugin] = field(default_factory=list)
    unavailable: dict[str, str] = field(default_factory=dict)
    no_baseline: bool = False


def load_matrix(name: str, overrides: Sequence[str] = (), no_baseline: bool = False) -> LoadedMatrix:
    """Read, override and validate a matrix.

    Args:
        name: path of a file or name of a preset.
        overrides: ``key.path=value`` texts; they win over the file.
        no_baseline: allow a matrix without the method ``none``.

    Raises:
        BenchError: with one line for each mistake: file, line, key path, what was expected, the nearest name.
    """
    path = find_matrix(name)
    document = read_yaml(path)
    if not isinstance(document.data, dict):
        raise BenchError(f"{path}:1: a mapping is needed (dataset:, recipe:, pairs:, methods:, seeds:)")
    reader = _Reader(document, overrides)
    reader.load_plugins()
    matrix = reader.validate()
    choices = reader.choices()
    reader.check_named()
    reader.check_axes(no_baseline)
    reader.check_name()
    if reader.problems or matrix is None:
        raise BenchError(*dict.fromkeys(reader.problems))
    if not matrix.name:
        matrix = matrix.model_copy(update={"name": path.stem})
    return LoadedMatrix(matrix, path, choices, reader.broken, reader.unavailable, no_baseline)


class _Reader:
    """Collects the problems of one file while it is read."""

    def __init__(self, document: Document, overrides: Sequence[str]) -> None:
        self.document = document
        self.problems: list[str] = []
        self.unavailable: dict[str, str] = {}
        self.overridden: dict[KeyPath, str] = {}
        self.broken: list[BrokenPlugin] = []
        self.data: dict[str, Any] = document.data
        for text in overrides:
            try:
                self.overridden[apply_override(self.data, text)] = f"--set {text}"
            except BenchError as error:
                self.problems.extend(error.problems)

    def where(self, path: KeyPath) -> str:
        for length in range(len(path), 0, -1):
            if path[:length] in self.overridden:
                return f"{self.overridden[path[:length]]}: {dotted(path)}"
        return self.document.where(path)

    def report(self, path: KeyPath, sentence: str) -> None:
        self.problems.append(f"{self.where(path)}: {sentence}")

    def load_plugins(self) -> None:
        """Import the files under ``plugins:``; they lie relative to the matrix."""
        plugins = self.data.get("plugins") or []
        for index, name in enumerate(plugins if isinstance(plugins, list) else []):
            if not isinstance(name, str):
                continue
            file = self.document.path.parent / name
            try:
                broken = load_plugin(file)
            except BenchError as error:
                self.report(("plugins", index), str(error))
                continue
            if broken:
                self.broken.append(broken)

    def schema(self) -> type[Matrix]:
        """Return the schema of matrices for the dataset's task; where the dataset is not known, that of the default."""
        name, _ = _split_named(self.data.get("dataset"), ())
        task = getattr(datasets.get(name).builder, "task", DEFAULT) if name and name in datasets else DEFAULT
        try:
            return matrix_for(task)
        except BenchError as error:
            self.report(("dataset",), str(error))
            return matrix_for(DEFAULT)

    def validate(self) -> Matrix | None:
        """Return the content as the schema reads it, or None where that is not possible."""
        schema = self.schema()
        try:
            matrix = schema.model_validate(self.data)
            options.require_numbers(self.data, matrix.model_dump())
        except ValidationError as error:
            for path, sentence in options.sentences(error, schema):
                self.report(path, sentence)
            return None
        try:
            options.require_numbers(matrix.teacher_recipe, matrix.recipe_of_teachers().model_dump())
        except ValidationError as error:
            for path, sentence in options.sentences(error, type(matrix.recipe)):
                self.report(("teacher_recipe", *path), sentence)
        return matrix

    def _named(self, path: KeyPath, item: Any, registry: Registry[Any], reserved: Sequence[str]) -> None:
        name, given = _split_named(item, reserved)
        if name is None:
            return
        if name not in registry:
            self._missing(path, registry, name)
            return
        try:
            registry.get(name).options.resolve(given)
        except ValidationError as error:
            for tail, sentence in options.sentences(error, registry.get(name).options.schema):
                self.report((*path, *tail), sentence)
        except BenchError as error:
            self.report(path, f"{error} ({registry.get(name).origin})")

    def _missing(self, path: KeyPath, registry: Registry[Any], name: str) -> None:
        self.broken = list(dict.fromkeys((*self.broken, *discover())))  # an installed one may have held the name
        if self.broken and registry is methods:
            failed = (f"plug-in {plugin.source} failed: {plugin.error}" for plugin in self.broken)
            self.unavailable[name] = "; ".join((registry.problem(name), *failed))
            return
        self.report(path, registry.problem(name))
        self.problems.extend(f"plug-in {plugin.source} failed to load: {plugin.error}" for plugin in self.broken)

    def check_named(self) -> None:
        self._named(("dataset",), self.data.get("dataset"), datasets, DATASET_KEYS)
        self._check_splits()
        pairs = self.data.get("pairs")
        for index, pair in enumerate(pairs if isinstance(pairs, list) else []):
            if isinstance(pair, dict):
                for role, registry in (("teacher", teachers), ("student", students)):
                    self._named(("pairs", index, role), pair.get(role), registry, MODEL_KEYS)

    def _check_splits(self) -> None:
        name, given = _split_named(self.data.get("dataset"), ())
        if name is None or name not in datasets:
            return
        known = getattr(datasets.get(name).builder, "info", None)
        for key in ("train_split", "eval_split"):
            if known is not None and isinstance(given.get(key), str) and given[key] not in known.splits:
                self.report(("dataset", key), unknown("split", given[key], known.splits))
        if known is not None:
            evaluated = given.get("eval_split") or known.eval_split
            if evaluated == given.get("train_split", "train"):
                self.report(("dataset", "eval_split"), f"'{evaluated}' is trained on; evaluate on another split")

    def choices(self) -> list[MethodChoice]:
        """Return the methods with sweeps expanded and hyperparameters filled in."""
        entries = self.data.get("methods")
        found: dict[str, MethodChoice] = {}
        for index, entry in enumerate(entries if isinstance(entries, list) else []):
            name, given = _split_named(entry, ())
            if name is None:
                continue
            path: KeyPath = ("methods", index)
            if name not in methods:
                self._missing(path, methods, name)
                if name in self.unavailable:
                    found[name] = MethodChoice(name, given, name)
                continue
            try:
                expanded = list(self._expand(path, name, given))
            except BenchError as error:
                self.unavailable[name] = f"{error} ({methods.get(name).origin})"
                expanded = [MethodChoice(name, given, name)]
            for choice in expanded:
                if choice.label in found:
                    self.report(path, f"{choice.label} stands twice with the same hyperparameters")
                found[choice.label] = choice
        return list(found.values())

    def _expand(self, path: KeyPath, name: str, given: dict[str, Any]) -> Iterator[MethodChoice]:
        taken = methods.get(name).options
        taken = taken if name == BASELINE else with_strength(taken)  # the baseline adds nothing
        swept = taken.sweeps(given)
        for keys in (keys for keys, values in swept.items() if not values):
            self.report((*path, *keys), "an empty list leaves no value to train with")
        if math.prod(map(len, swept.values())) > MOST_CELLS:
            self.report(path, f"the lists of '{name}' stand for more than {MOST_CELLS:,} cells, which nobody can train")
            return
        base = taken.defaults()
        for values in itertools.product(*swept.values()):
            try:
                params = taken.resolve(options.replaced(given, dict(zip(swept, values, strict=True))))
            except ValidationError as error:
                for tail, sentence in options.sentences(error, taken.schema):
                    self.report((*path, *tail), sentence)
                continue
            shown = [f"{key}={_short(value)}" for key, value in options.changed(params, base)]
            yield MethodChoice(name, params, f"{name} ({', '.join(shown)})" if shown else name)

    def check_name(self) -> None:
        """Keep the run's folder inside the results and apart from what else lies there."""
        given = self.data.get("name")
        name = given if isinstance(given, str) and given else self.document.path.stem
        if name in RESERVED_NAMES:
            self.report(("name",), f"'{name}' is taken by the harness's own folder of the results: choose another name")
        elif name in (".", "..") or len(name) > 100 or re.search(r'[/\\:*?"<>|\x00-\x1f]', name):
            self.report(("name",), f"{name!r} names the result folder: use up to 100 letters, digits, '-', '_' and '.'")
        elif problem := _unfit_for_disk(name):
            self.report(("name",), f"{name!r} names the result folder: {problem}")

    def check_axes(self, no_baseline: bool) -> None:
        """Look for a missing baseline, repeated seeds and filters on something that is no axis."""
        entries = self.data.get("methods")
        if isinstance(entries, list):
            names = [_split_named(entry, ())[0] for entry in entries]
            if BASELINE not in names and not no_baseline:
                self.report(
                    ("methods",),
                    "no baseline: every gain is measured against the method 'none'. Add under methods:\n    - none\n"
                    "  or give --no-baseline, which marks every table",
                )
        seeds = self.data.get("seeds")
        seen: set[str] = set()  # of their texts: a wrong one may be a list
        for index, seed in enumerate(seeds if isinstance(seeds, list) else []):
            if repr(seed) in seen:
                self.report(("seeds", index), f"seed {seed} stands twice; a repeated seed is no new evidence")
            seen.add(repr(seed))
        for key in ("include", "exclude"):
            filters = self.data.get(key)
            for index, rule in enumerate(filters if isinstance(filters, list) else []):
                for axis in rule if isinstance(rule, dict) else ():
                    if axis not in AXES:
                        self.report((key, index, axis), unknown("axis", str(axis), AXES))


def _unfit_for_disk(name: str) -> str:
    """Return why no folder can have a name; empty where it can."""
    try:
        n_bytes = len(name.encode())
    except UnicodeEncodeError:
        return "it holds what is no text in UTF-8. Use letters, digits, '-', '_' and '.'"
    if n_bytes > MOST_NAME_BYTES:
        return f"it takes {n_bytes} bytes in UTF-8, and file systems take up to {MOST_NAME_BYTES}. Use fewer letters"
    return ""


def _split_named(item: Any, reserved: Sequence[str]) -> tuple[str | None, dict[str, Any]]:
    if isinstance(item, str):
        return item, {}
    if isinstance(item, dict) and isinstance(item.get("name"), str):
        return item["name"], {key: value for key, value in item.items() if key != "name" and key not in reserved}
    return None, {}


def _short(value: Any) -> str:
    """Return a value for a label; two different values never look the same."""
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
