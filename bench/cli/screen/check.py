"""What a check found, for people, for GitHub's annotations, as JUnit XML and as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.base.files import write_atomic
from bench.base.text import one_line
from bench.cli.screen.console import literal
from bench.leaderboard.arms import Arm
from bench.leaderboard.findings import Checked, Finding, Gate
from bench.report.values import interval
from bench.store.folders import Record
from bench.tasks.metric import Metric

CHECK_SCHEMA = 2

_STYLES = {
    Finding.WORSE: "bold red",
    Finding.LOST: "bold red",
    Finding.PERHAPS_WORSE: "bold yellow",
    Finding.BETTER: "green",
    Finding.SAME: "dim",
}
_SKIPPED = (Finding.NEW, Finding.MISSING, Finding.NOT_COMPARABLE)
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def print_gate(gate: Gate, console: Console) -> None:
    """Print a table for each dataset and pair, what is to be said of single rows, and one sentence on the whole."""
    for place in dict.fromkeys(row.place for row in gate.rows):
        found = [row for row in gate.rows if row.place == place]
        console.print()
        console.print(Text(one_line(place), style="bold"))
        console.print(_table(found, console.width))
        for row in found:
            for reason in ("; ".join(row.reasons),) if row.warning else row.reasons:
                line = f"{'warning: ' if row.warning else ' '}{one_line(row.name, 60)}: {one_line(reason, 300)}"
                console.print(Text(line, style="yellow" if row.warning else ""), soft_wrap=True)
    console.print()
    for note in gate.notes:
        console.print(Text(f"note: {one_line(note, 300)}"), soft_wrap=True)
    failed = any(row.regression for row in gate.rows)
    console.print(Text(gate.summary, style="bold red" if failed else "bold"), soft_wrap=True)


def _table(rows: list[Checked], width: int) -> Table:
    metric = rows[0].metric
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False, show_edge=False)
    table.add_column("Method", overflow="fold", max_width=max(12, width // 3))
    for heading in ("n", *_headings(metric), "p (Holm)"):
        table.add_column(literal(heading), justify="right", overflow="fold")
    table.add_column("Finding")
    for row in rows:
        # Text, not str: a str would be read as markup, and a method may be called "[red]"
        finding = Text(_verdict(row), style=_STYLES.get(row.finding, "bold red" if row.regression else ""))
        table.add_row(Text(one_line(row.name, 80)), *(Text(cell) for cell in _numbers(row)), finding)
    return table


def _headings(metric: Metric) -> list[str]:
    units = {"Baseline": metric.unit, "Run": metric.unit, "Difference": metric.difference_unit}
    return [f"{word} ({unit})" if unit else word for word, unit in units.items()]


def _verdict(row: Checked) -> str:
    if row.crossed:
        return f"{row.finding}, threshold crossed"
    return f"{row.finding}, but required" if row.required else str(row.finding)


def _numbers(row: Checked) -> tuple[str, ...]:
    means, judgement, metric = row.tested, row.judgement, row.metric
    if means is None or judgement is None:
        sides = (arm and list(arm.known().values()) for arm in (row.reference, row.current))
        before, now = (metric.text(sum(side) / len(side)) if side else "" for side in sides)
        return "", before, now, "", ""
    difference = judgement.difference
    mine, theirs = difference.n
    n = str(mine) if difference.test == "paired" else f"{theirs} v {mine}"
    told = metric.difference(means.difference) if means.difference else "0"
    if difference.interval is not None and difference.p != 1:
        told += f" {interval(metric, difference.interval.low, difference.interval.high)}"
    p = "" if judgement.p_adjusted is None else f"{judgement.p_adjusted:.2g}"
    return n, metric.text(means.reference), metric.text(means.current), told, p


def sentence(row: Checked) -> str:
    """Return what was found of a row in one line."""
    means, metric = row.tested, row.metric
    moved = ""
    if means is not None:
        sides = f"{metric.header} {metric.text(means.reference)} -> {metric.text(means.current)}"
        moved = f", {sides} ({metric.difference_with_unit(means.difference)})"
    return "; ".join([f"{row.finding}{moved}", *row.reasons])


def github_annotations(gate: Gate) -> Iterator[str]:
    """Yield workflow commands of GitHub Actions: an error a regression, a warning for what may be one or is unknown."""
    for row in gate.rows:
        if row.regression or row.warning or row.finding in (Finding.MISSING, Finding.NOT_COMPARABLE):
            kind = "error" if row.regression else "warning"
            title = _property(one_line(f"{row.place}: {row.name}", 200))
            yield f"::{kind} title={title}::{_data(one_line(sentence(row), 1000))}"
    kind = "error" if gate.exit_code else "notice"
    yield f"::{kind} title=bench check::{_data(one_line(gate.summary))}"


def _data(text: str) -> str:
    """Escape a message as GitHub's runner reads it back."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def write_junit(path: Path, gate: Gate, run: str) -> None:
    """Write one test case a row: a failure where it is worse, an error where its score is lost.

    New, missing and not comparable rows are skipped, unless they are required.
    """
    counts = {"failures": 0, "errors": 0, "skipped": 0}
    suite = ElementTree.Element("testsuite", name=_legal(f"bench check {run}"), tests=str(len(gate.rows)), time="0")
    for row in gate.rows:
        case = ElementTree.SubElement(suite, "testcase", classname=_legal(row.place), name=_legal(row.name), time="0")
        kind = _outcome(row)
        if kind is not None:
            counts[{"failure": "failures", "error": "errors"}.get(kind, kind)] += 1
            message = _legal(sentence(row))
            ElementTree.SubElement(case, kind, message=message, type=str(row.finding)).text = message
        else:
            # JUnit has no warnings; what stands in system-err is shown beside a case that passed
            stream = "system-err" if row.warning else "system-out"
            ElementTree.SubElement(case, stream).text = _legal(f"{'warning: ' if row.warning else ''}{sentence(row)}")
    for name, count in counts.items():
        suite.set(name, str(count))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    write_atomic(path, lambda file: ElementTree.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True))


def _outcome(row: Checked) -> str | None:
    if row.finding is Finding.LOST:
        return "error"
    if row.regression:
        return "failure"
    return "skipped" if row.finding in _SKIPPED else None


def _legal(text: str) -> str:
    """Return the text without characters that XML 1.0 cannot hold."""
    return _NOT_IN_XML.sub("", text)


def gate_record(gate: Gate, run: str, baseline: str) -> Record:
    """Return the whole check for other programs; scores as stored, differences, intervals and limits as shown."""
    scorings = {arm.scoring.name: arm.scoring for row in gate.rows if (arm := row.current or row.reference)}
    primary = {scoring.primary.key: scoring for scoring in scorings.values()}
    return {
        "schema": CHECK_SCHEMA,
        "run": run,
        "baseline": baseline,
        "exit_code": gate.exit_code,
        "summary": gate.summary,
        "rules": {
            "alpha": gate.rules.alpha,
            "margin": gate.rules.margin,
            "fail_on": [str(threshold) for threshold in gate.rules.thresholds],
            "single_seed": {
                key: None if gate.rules.guards(scoring) else scoring.primary.limit for key, scoring in primary.items()
            },
            "large": {key: scoring.primary.shown(scoring.primary.large) for key, scoring in primary.items()},
            "require_all": gate.rules.require_all,
        },
        "notes": list(gate.notes),
        "rows": [_row(row) for row in gate.rows],
    }


def _row(row: Checked) -> Record:
    arm = row.current or row.reference
    assert arm is not None
    identity = arm.identity
    parts = {name: json.loads(getattr(identity, name)) for name in ("dataset", "teacher", "student", "method")}
    return {
        **parts,
        "label": identity.label,
        "metric": row.metric.key,
        "finding": str(row.finding),
        "regression": row.regression,
        "warning": row.warning,
        "floor": row.floor,
        "reasons": list(row.reasons),
        "test": _test(row),
        "metrics": {
            key: {"baseline": means.reference, "run": means.current, "difference": _shown(arm, key, means.difference)}
            for key, means in row.means.items()
        },
        "scores": {
            side: None if arm is None else {str(seed): value for seed, value in arm.scores().items()}
            for side, arm in (("baseline", row.reference), ("run", row.current))
        },
    }


def _shown(arm: Arm, key: str, difference: float) -> float:
    return (arm.scoring.metric(key) or arm.scoring.primary).shown(difference)


def _test(row: Checked) -> dict[str, Any] | None:
    if row.judgement is None:
        return None
    metric = row.metric
    difference = row.judgement.difference
    ends = difference.interval
    return {
        "kind": difference.test,
        "n": list(difference.n),
        "difference": None if difference.mean is None else metric.shown(difference.mean),
        "interval": None if ends is None else [metric.shown(ends.low), metric.shown(ends.high)],
        "p": difference.p,
        "p_holm": row.judgement.p_adjusted,
        "reason": None if row.judgement.reason is None else str(row.judgement.reason),
    }
