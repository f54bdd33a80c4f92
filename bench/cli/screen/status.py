"""How a run stands, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bench.base.text import one_line
from bench.cli.screen.console import literal
from bench.store.folders import Record
from bench.store.status import Beat, Life, Status

STATUS_SCHEMA = 1
MOST_FAILURES = 5
_ORDER = ("done", "running", "planned", "interrupted", "skipped", "failed", "diverged", "corrupt")


def status_view(status: Status) -> Group:
    """Return the whole status as something to print."""
    parts: list[Any] = [Text(line, no_wrap=False) for line in lines(status)]
    if status.life is Life.TRAINING and status.beat and (table := _running(status.beat)).row_count:
        parts.append(table)
    for failure in status.failures[:MOST_FAILURES]:
        parts.append(Text(f"{failure.state}: {failure.cell_id}: {one_line(failure.reason, 300)}", style="red"))
    if len(status.failures) > MOST_FAILURES:
        parts.append(Text(f"and {len(status.failures) - MOST_FAILURES} more without a result"))
    parts += [Text(f"note: {note}") for note in status.notes]
    return Group(*parts)


def lines(status: Status) -> Iterator[str]:
    """Yield name, process, cells and progress, a line each."""
    yield f"{one_line(status.name)}: {_process(status)}"
    order = sorted(status.states, key=lambda state: (_ORDER.index(state) if state in _ORDER else len(_ORDER), state))
    counts = ", ".join(f"{status.states[state]} {state}" for state in order) or "none yet"
    yield f"cells: {counts}" + (f", of {status.total}" if len(order) > 1 else "")
    if status.life is Life.TRAINING and status.beat:
        yield from _progress(status.beat)


def _process(status: Status) -> str:
    beat = status.beat
    age = f", last sign of life {_span(beat.age_s)} ago" if beat else ""
    who = f"process {beat.pid} on {one_line(beat.host)}" if beat else "a process"
    ended = f"{one_line(beat.ended, 200)}, {_span(beat.age_s)} ago" if beat and beat.ended else ""
    return {
        Life.TRAINING: f"{who} is training{age}",
        Life.PREPARING: "a process holds the run and does not train yet: it prepares and checks the data",
        Life.DEAD: f"{who} died without a word{age}. The same command goes on from the last checkpoints",
        Life.ENDED: f"no process is running, the last one ended: {ended}",
        Life.IDLE: "no process is running, and none has left a sign of life",
        Life.UNKNOWN: f"whether a process is running cannot be told: its lock cannot be asked here{age}",
    }[status.life]


def _progress(beat: Beat) -> Iterator[str]:
    group = beat.group
    if group is not None:
        share = f" ({100 * group.iteration / group.iterations:.0f} %)" if group.iterations else ""
        yield f"group: {one_line(group.name, 120)}: iteration {group.iteration} of {group.iterations}{share}"
    pace = ""
    if beat.iterations_per_s and beat.eta_s is not None:
        pace = f", {beat.iterations_per_s:.3g} it/s, ETA {_span(beat.eta_s)}"
    yield f"all groups: iteration {beat.iterations_done} of {beat.iterations_total}{pace}"


def _running(beat: Beat) -> Table:
    header = next((one_line(score.metric) for score in beat.scores.values()), "score")
    table = Table("training now", literal(header), "at iteration", box=None, padding=(0, 2, 0, 0))
    for cell_id in beat.group.cells if beat.group else ():
        score = beat.scores.get(cell_id)
        value, iteration = (one_line(score.text), str(score.iteration)) if score else ("-", "-")
        table.add_row(Text(one_line(cell_id)), Text(value), iteration)
    return table


def _span(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def status_record(status: Status) -> Record:
    """Return the status for other programs."""
    return {
        "schema": STATUS_SCHEMA,
        "run": status.name,
        "process": str(status.life),
        "age_s": status.beat.age_s if status.beat else None,
        "cells": dict(status.states),
        "total": status.total,
        "failures": [asdict(failure) for failure in status.failures],
        "heartbeat": status.beat.model_dump(mode="json") if status.beat else None,
        "notes": list(status.notes),
    }
