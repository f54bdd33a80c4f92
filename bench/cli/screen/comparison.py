"""Two runs side by side, for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.base.text import one_line
from bench.cli.screen.console import literal
from bench.leaderboard.compare import Compared, ComparedRuns
from bench.leaderboard.gate import beyond, differences, large_but_unclear
from bench.leaderboard.statistics import Interval
from bench.report.values import interval
from bench.store.folders import Record
from bench.tasks.metric import Metric

COMPARISON_SCHEMA = 1
READING = (
    "Seeds: 95 % Student-t interval and paired t-test, Holm-adjusted over all rows; one seed has neither.",
    "Images: 95 % paired bootstrap over the images of the split; it tells nothing about other seeds.",
)


def print_comparison(found: ComparedRuns, runs: tuple[str, str], console: Console) -> None:
    """Print a table for each dataset and pair, what differs between the runs, and rows without counterpart."""
    for place in dict.fromkeys(row.place for row in found.rows):
        rows = [row for row in found.rows if row.place == place]
        console.print()
        console.print(Text(one_line(place), style="bold"))
        console.print(_table(rows, runs, console.width))
        for row in rows:
            if row.differing:
                told = differences(row.differing, f"in {runs[0]}", f"in {runs[1]}")
                _line(console, f" {one_line(row.name, 60)}: not under one protocol: {told}")
            if row.beyond_seeds or row.unclear_but_large:
                _line(console, f"{' ' if row.beyond_seeds else 'warning: '}{one_line(row.name, 60)}: {_large(row)}")
    console.print()
    if found.rows:
        for line in (*dict.fromkeys(_reading(row.metric) for row in found.rows), *READING):
            _line(console, line)
    for name, (before, now) in found.apart.items():
        _line(console, f"differs: {name}: {before} in {runs[0]}, {now} in {runs[1]}")
    for left in found.alone:
        where = "in both" if left.side is None else f"only in {runs[left.side]}"
        _line(console, f"not compared: {left.place}: {left.name}: {where}: {left.reason}")
    if not found.rows:
        _line(console, "the runs have no finished cell in common: nothing was compared", "bold red")


def _reading(metric: Metric) -> str:
    direction = "" if metric.higher_is_better else " (lower is better)"
    return f"Difference: second minus first, in {metric.difference_title}{direction}, over the seeds that both have."


def _large(row: Compared) -> str:
    moved = row.metric.difference_with_unit(row.difference.mean or 0.0)
    n = row.difference.n
    return f"{moved}, {beyond(row.metric, row.allowed, n) if row.beyond_seeds else large_but_unclear(row.metric, n)}"


def _line(console: Console, text: str, style: str = "") -> None:
    lead = " " if text.startswith(" ") else ""
    console.print(Text(lead + one_line(text, 400), style=style), soft_wrap=True)


def _table(rows: Sequence[Compared], runs: tuple[str, str], width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False, show_edge=False)
    table.add_column("Method", overflow="fold", max_width=max(12, width // 4))
    metric = rows[0].metric
    unit = f" ({metric.unit})" if metric.unit else ""
    for heading in ("n", *(f"{one_line(run, 20)}{unit}" for run in runs), "Difference", "Seeds", "p (Holm)", "Images"):
        table.add_column(literal(heading), justify="right", overflow="fold")
    for row in rows:
        first, second = (sum(arm.known()[s] for s in row.seeds) / len(row.seeds) for arm in (row.first, row.second))
        cells = (
            str(len(row.seeds)),
            metric.text(first),
            metric.text(second),
            metric.difference(second - first) if second != first else "0",
            _interval(metric, row.difference.interval),
            "" if row.p_holm is None else f"{row.p_holm:.2g}",
            _interval(metric, row.images.interval if row.images else None),
        )
        table.add_row(Text(one_line(row.name, 80)), *(Text(cell) for cell in cells))
    return table


def _interval(metric: Metric, ends: Interval | None) -> str:
    return "—" if ends is None else interval(metric, ends.low, ends.high)


def comparison_record(found: ComparedRuns, runs: tuple[str, str]) -> Record:
    """Return the whole comparison for other programs; scores as stored, differences and intervals as shown."""
    return {
        "schema": COMPARISON_SCHEMA,
        "runs": list(runs),
        "exit_code": found.exit_code,
        "rows": [_row(row) for row in found.rows],
        "alone": [{**vars(row), "run": None if row.side is None else runs[row.side]} for row in found.alone],
        "differs": {name: list(sides) for name, sides in found.apart.items()},
    }


def _row(row: Compared) -> Record:
    identity, difference, metric = row.first.identity, row.difference, row.metric
    return {
        **{name: json.loads(getattr(identity, name)) for name in ("dataset", "teacher", "student", "method")},
        "label": identity.label,
        "metric": metric.key,
        "seeds": list(row.seeds),
        "scores": [[arm.known()[seed] for seed in row.seeds] for arm in (row.first, row.second)],
        "difference": None if difference.mean is None else metric.shown(difference.mean),
        "interval": _shown(metric, difference.interval),
        "p": difference.p,
        "p_holm": row.p_holm,
        "beyond_seeds": row.beyond_seeds,
        "unclear_but_large": row.unclear_but_large,
        "images_interval": _shown(metric, row.images.interval if row.images else None),
        "differing": {path: list(sides) for path, sides in row.differing.items()},
    }


def _shown(metric: Metric, ends: Interval | None) -> list[float] | None:
    return None if ends is None else [metric.shown(ends.low), metric.shown(ends.high)]
