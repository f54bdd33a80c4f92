"""Which methods are meant, and with which hyperparameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.base.errors import BenchError, did_you_mean
from bench.base.options import sentences
from bench.base.registry import REGISTRIES, Entry, discover, load_plugin
from bench.matrix.yamlfile import dotted
from bench.method.registry import methods
from bench.train.conformance.lockstep import companion_alone
from bench.train.conformance.models import KINDS
from bench.train.conformance.result import FAILED, Result
from bench.train.conformance.subject import Subject
from bench.train.conformance.suite import check

FILE = ".py"


def check_methods(names: Sequence[str], given: Mapping[str, Any] | None = None) -> Iterator[Result]:
    """Check methods and yield what is found, in order.

    What a file registers, and what the checks register, is forgotten at the end.

    Args:
        names: registered names, sums ``a+b``, or plug-in files, all of whose methods are checked.
        given: hyperparameters that are not to have their defaults; each goes to every method that has it.

    Raises:
        BenchError: an unknown name, a file that is not there or registers no method, an unknown, missing or wrong
            hyperparameter.
    """
    discover()
    for kind in KINDS:
        companion_alone(kind)  # before any author's code could disturb it
    known = {registry: registry.snapshot() for registry in REGISTRIES.values()}
    try:
        found = [item for name in names for item in _entries(name)]
        for item in _with_options(found, given or {}):
            if isinstance(item, Result):
                yield item
            else:
                yield from check(item)
    finally:
        for registry, entries in known.items():
            registry.restore(entries)


def _entries(name: str) -> list[Entry[Any] | Result]:
    if name.endswith(FILE):
        return _from_file(Path(name))
    if name not in methods:
        broken = [f"plug-in {plugin.source} failed to load: {plugin.error}" for plugin in discover()]
        raise BenchError(methods.problem(name), *broken)
    return [methods.get(name)]


def _from_file(path: Path) -> list[Entry[Any] | Result]:
    before = {kind: registry.snapshot() for kind, registry in REGISTRIES.items()}
    broken = load_plugin(path)
    if broken is not None:
        return [Result(path.name, "loads", FAILED, broken.error)]
    added = {
        kind: [entry for entry in registry if before[kind].get(entry.name) is not entry]
        for kind, registry in REGISTRIES.items()
    }
    if not added["methods"]:
        others = [f"the {kind[:-1]} '{entry.name}'" for kind, entries in added.items() for entry in entries]
        raise BenchError(
            f"{path} registers no method; it registers {', '.join(others) or 'nothing'}. "
            'Write @methods.register("name") above the class, with methods from bench.method'
        )
    return list(added["methods"])


def _with_options(found: list[Entry[Any] | Result], given: Mapping[str, Any]) -> list[Subject | Result]:
    """Resolve the hyperparameters of every method before the first is checked."""
    fields = {
        item.name: set(item.options.schema.model_fields)
        for item in found
        if not isinstance(item, Result) and _unreadable(item) is None
    }
    everything = {name for names in fields.values() for name in names}
    if fields and (strange := sorted(set(given) - everything)):
        raise BenchError(
            *(
                f"--set {key}: no method that is checked has it.{did_you_mean(key, everything)} "
                f"Known: {', '.join(sorted(everything)) or 'none'}"
                for key in strange
            )
        )
    return [item if isinstance(item, Result) else _subject(item, given) for item in found]


def _unreadable(entry: Entry[Any]) -> str | None:
    try:
        _ = entry.options
    except BenchError as error:
        return str(error)
    return None


def _subject(entry: Entry[Any], given: Mapping[str, Any]) -> Subject | Result:
    if (problem := _unreadable(entry)) is not None:
        return Result(entry.name, "options", FAILED, problem)
    model = entry.options.schema
    try:
        return Subject(entry, entry.options.resolve({k: v for k, v in given.items() if k in model.model_fields}))
    except ValidationError as error:
        raise BenchError(
            *(f"{entry.name}: --set {dotted(path)}: {sentence}" for path, sentence in sentences(error, model))
        ) from None
