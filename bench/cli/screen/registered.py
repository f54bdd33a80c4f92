"""What ``list`` prints."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from bench.base.errors import BenchError, unknown
from bench.base.registry import datasets, discover, students, teachers
from bench.cli.screen.console import literal
from bench.matrix.find import presets
from bench.method.registry import methods

SHOWN = {"methods": methods, "students": students, "teachers": teachers, "datasets": datasets}
"""Registries by kind, in the order of their tables."""


def print_registered(kind: str | None, console: Console) -> None:
    """Print everything of one kind, or of all."""
    kinds = [name for name in SHOWN if kind in (None, name)]
    broken = discover(*kinds) if kinds else []
    for name in kinds:
        table = Table(title=name, title_justify="left")
        for heading in ("name", "options", "description", "defined at"):
            table.add_column(heading, overflow="fold")
        for entry in SHOWN[name]:
            table.add_row(
                *(literal(text) for text in (entry.name, _options(entry), entry.summary, _short(entry.origin)))
            )
        console.print(table)
    if kind in (None, "presets"):
        table = Table("name", "file", title="presets", title_justify="left")
        for name, path in presets().items():
            table.add_row(literal(name), literal(str(path)))
        console.print(table)
    for plugin in broken:
        console.print(f"plug-in {plugin.source} failed to load: {plugin.error}", markup=False, highlight=False)


def print_entry(kind: str | None, name: str, console: Console) -> None:
    """Print one entry: options, where it is defined, its module's and its own documentation.

    Raises:
        BenchError: nothing has that name.
    """
    if kind == "presets" or (kind is None and name in presets()):
        _print_preset(name, console)
        return
    registries = [registry for key, registry in SHOWN.items() if kind in (None, key)]
    entry = next((registry.get(name) for registry in registries if name in registry), None)
    if entry is None:
        known = [known for registry in registries for known in registry.names()]
        raise BenchError(unknown(kind.rstrip("s") if kind else "name", name, known))
    for part in entry.members:
        for text in (f"{part.name} ({part.origin})", part.definition.module_doc, part.definition.doc):
            console.print(f"{text}\n", markup=False, highlight=False, soft_wrap=True)
    for option, type_, default in entry.options.describe():
        console.print(f"  {option}: {type_} = {default}", markup=False, highlight=False)


def _print_preset(name: str, console: Console) -> None:
    known = presets()
    if name not in known:
        raise BenchError(unknown("preset", name, known))
    console.print(f"{name} ({known[name]})\n", markup=False, highlight=False, soft_wrap=True)
    console.print(known[name].read_text(encoding="utf-8"), markup=False, highlight=False, soft_wrap=True)


def _options(entry: Any) -> str:
    try:
        described = entry.options.describe()
    except BenchError as error:
        return str(error)
    return "\n".join(f"{name}: {type_} = {default}" for name, type_, default in described)


def _short(origin: str) -> str:
    return "/".join(origin.split("/")[-2:])
