"""``plan``: cells, groups and what is done already."""

from __future__ import annotations

from pathlib import Path

import typer

from bench.cli.options import (
    AcceptStaleOption,
    DataRootOption,
    MatrixOption,
    NoBaselineOption,
    ResultsOption,
    RetrainOption,
    SetOption,
    make_settings,
)
from bench.cli.screen import terminal


def plan(
    matrix: MatrixOption = "quick",
    set_: SetOption = None,
    results: ResultsOption = Path("results"),
    data_root: DataRootOption = None,
    no_baseline: NoBaselineOption = False,
    accept_stale: AcceptStaleOption = False,
    retrain: RetrainOption = None,
) -> None:
    """Show cells, groups and what is done already, without training."""
    from bench.matrix.matrix import load_matrix

    loaded = load_matrix(matrix, tuple(set_ or ()), no_baseline)
    settings = make_settings(results, data_root, accept_stale=accept_stale, retrain=tuple(retrain or ()))

    from bench.cli.screen.plan import print_plan  # a mistake is told before the slow imports
    from bench.plan.aside import require_one_dataset
    from bench.plan.groups import build_plan

    built = build_plan(loaded, settings)
    print_plan(built, terminal.console())
    require_one_dataset(built)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(plan)
