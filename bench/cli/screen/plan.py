"""Tables of plans and of what is registered."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from bench.cli.screen.console import literal
from bench.plan.aside import changed_data
from bench.plan.groups import Plan, PlannedCell


def print_plan(plan: Plan, console: Console) -> None:
    """Print groups, cells and their states."""
    numbers = {item.cell.key: str(number) for number, group in enumerate(plan.groups, 1) for item in group.cells}
    table = Table(
        title=f"{literal(plan.name)}: {len(plan.cells)} cells, {len(plan.groups)} groups", title_justify="left"
    )
    for heading in ("group", "teacher", "student", "method", "seed", "state", "cell"):
        table.add_column(heading, overflow="fold")
    for teacher in plan.teachers:
        _add(table, "teacher", teacher)
    for planned in plan.cells:
        _add(table, numbers.get(planned.cell.key, "-"), planned)
    console.print(table)
    remarks = (remark for planned in plan.cells for remark in planned.remarks)
    for remark in dict.fromkeys((*plan.notes, *remarks, *changed_data(plan))):
        console.print(f"note: {remark}", markup=False, highlight=False)
    for sentence in plan.data.missing(plan.cells[0].cell.dataset.splits):
        console.print(f"missing: {sentence}", markup=False, highlight=False)
    outlook = plan.data.outlook(plan.cells[0].cell.dataset.splits)
    for word, sentences in (("problem", outlook.problems), ("warning", outlook.remarks)):
        for sentence in sentences:
            console.print(f"{word}: {sentence}", markup=False, highlight=False, soft_wrap=True)
    for file in plan.published:
        if sentence := file.missing():
            ending = "; a run fetches it" if file.can_be_fetched else ""
            console.print(f"missing: {sentence}{ending}", markup=False, highlight=False)
    waiting = sum(planned.to_train for planned in (*plan.cells, *plan.teachers))
    console.print(f"{waiting} to train, {len(plan.cells) + len(plan.teachers) - waiting} not.", highlight=False)
    console.print(f"results: {plan.run.path}", markup=False, highlight=False)


def _add(table: Table, group: str, planned: PlannedCell) -> None:
    cell = planned.cell
    state = f"{planned.state} ({planned.reason})" if planned.reason else planned.state
    teacher = cell.teacher.name if cell.teacher else "-"
    row = (group, teacher, cell.student.name, cell.method.label, str(cell.seed), state, cell.key[:12])
    table.add_row(*(literal(text) for text in row))
