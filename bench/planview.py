"""Tables of plans and of what is registered."""

from __future__ import annotations

import inspect
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench import options
from bench.composition import SumOf
from bench.errors import BenchError, unknown
from bench.matrix import presets
from bench.plan import Plan, PlannedCell
from bench.registry import REGISTRIES, discover


def print_plan(plan: Plan, console: Console) -> None:
    """Print groups, cells and their states."""
    numbers = {item.cell.key: str(number) for number, group in enumerate(plan.groups, 1) for item in group.cells}
    table = Table(
        title=f"{escape(plan.name)}: {len(plan.cells)} cells, {len(plan.groups)} groups", title_justify="left"
    )
    for heading in ("group", "teacher", "student", "method", "seed", "state", "cell"):
        table.add_column(heading, overflow="fold")
    for teacher in plan.teachers:
        _add(table, "teacher", teacher)
    for planned in plan.cells:
        _add(table, numbers.get(planned.cell.key, "-"), planned)
    console.print(table)
    for remark in dict.fromkeys((*plan.notes, *(remark for planned in plan.cells for remark in planned.remarks))):
        console.print(f"note: {remark}", markup=False, highlight=False)
    for sentence in plan.data.missing(plan.cells[0].cell.dataset.splits):
        console.print(f"missing: {sentence}", markup=False, highlight=False)
    for sentence in plan.missing:
        console.print(f"missing: {sentence}; a run fetches it", markup=False, highlight=False)
    waiting = sum(planned.to_train for planned in (*plan.cells, *plan.teachers))
    console.print(f"{waiting} to train, {len(plan.cells) + len(plan.teachers) - waiting} not.", highlight=False)
    console.print(f"results: {plan.run.path}", markup=False, highlight=False)


def _add(table: Table, group: str, planned: PlannedCell) -> None:
    cell = planned.cell
    state = f"{planned.state} ({planned.reason})" if planned.reason else planned.state
    teacher = cell.teacher.name if cell.teacher else "-"
    row = (group, teacher, cell.student.name, cell.method.label, str(cell.seed), state, cell.key[:12])
    table.add_row(*(escape(text) for text in row))


def print_registered(kind: str | None, console: Console) -> None:
    """Print everything of one kind, or of all."""
    broken = discover()
    for name, registry in REGISTRIES.items():
        if kind not in (None, name):
            continue
        table = Table(title=name, title_justify="left")
        for heading in ("name", "options", "description", "defined at"):
            table.add_column(heading, overflow="fold")
        for entry in registry:
            table.add_row(
                *(escape(text) for text in (entry.name, _options(entry), entry.summary, _short(entry.origin)))
            )
        console.print(table)
    if kind in (None, "presets"):
        table = Table("name", "file", title="presets", title_justify="left")
        for name, path in presets().items():
            table.add_row(escape(name), escape(str(path)))
        console.print(table)
    for plugin in broken:
        console.print(f"plug-in {plugin.source} failed to load: {plugin.error}", markup=False, highlight=False)


def print_entry(kind: str | None, name: str, console: Console) -> None:
    """Print one entry: options, where it is defined, its module's and its own documentation.

    Raises:
        BenchError: nothing has that name.
    """
    discover()
    if kind == "presets" or (kind is None and name in presets()):
        _print_preset(name, console)
        return
    registries = [registry for key, registry in REGISTRIES.items() if kind in (None, key)]
    entry = next((registry.get(name) for registry in registries if name in registry), None)
    if entry is None:
        known = [known for registry in registries for known in registry.names()]
        raise BenchError(unknown(kind.rstrip("s") if kind else "name", name, known))
    for part in entry.builder.parts if isinstance(entry.builder, SumOf) else (entry,):
        module = inspect.getmodule(part.builder)
        for text in (f"{part.name} ({part.origin})", inspect.getdoc(module), inspect.getdoc(part.builder)):
            console.print(f"{text or ''}\n", markup=False, highlight=False, soft_wrap=True)
    for option, type_, default in options.describe(entry.builder):
        console.print(f"  {option}: {type_} = {default}", markup=False, highlight=False)


def _print_preset(name: str, console: Console) -> None:
    known = presets()
    if name not in known:
        raise BenchError(unknown("preset", name, known))
    console.print(f"{name} ({known[name]})\n", markup=False, highlight=False, soft_wrap=True)
    console.print(known[name].read_text(encoding="utf-8"), markup=False, highlight=False, soft_wrap=True)


def _options(entry: Any) -> str:
    try:
        options.schema(entry.builder)
    except BenchError as error:
        return str(error)
    return "\n".join(f"{name}: {type_} = {default}" for name, type_, default in options.describe(entry.builder))


def _short(origin: str) -> str:
    return "/".join(origin.split("/")[-2:])
