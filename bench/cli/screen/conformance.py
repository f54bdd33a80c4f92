"""Results as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from bench.cli.screen.console import literal
from bench.train.conformance.result import FAILED, PASSED, SKIPPED, Result
from bench.train.conformance.suite import CHECKS

STYLES = {PASSED: "green", FAILED: "bold red", SKIPPED: "dim"}


def print_results(results: Iterable[Result], console: Console) -> Counter[str]:
    """Print a row for each check, and how many passed, failed and were skipped; return these counts.

    A check that passed and has nothing to tell shows what it holds.
    """
    about = {check.name: check.description for check in CHECKS}
    table = Table("method", "check", "state", "details")
    for column in table.columns:
        column.overflow = "fold"
    counts: Counter[str] = Counter()
    for result in results:
        counts[result.state] += 1
        details = result.details or about.get(result.check, "")
        state = f"[{STYLES[result.state]}]{result.state}[/]"
        table.add_row(literal(result.method), result.check, state, literal(details))
    console.print(table)
    summary = ", ".join(f"{counts[state]} {state}" for state in (PASSED, FAILED, SKIPPED))
    console.print(summary, highlight=False)
    return counts
