"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

MatrixOption = Annotated[str, typer.Option("--matrix", "-m", help="A YAML file, or the name of a preset.")]

SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Override a key, as in recipe.iterations=200. Repeatable.")
]

ResultsOption = Annotated[Path, typer.Option("--results", help="Folder for runs, trained teachers and the cache.")]

DataRootOption = Annotated[
    list[Path] | None,
    typer.Option("--data-root", help="Folder that holds datasets. Repeatable; BENCH_DATA adds more."),
]

NoBaselineOption = Annotated[bool, typer.Option("--no-baseline", help="Allow a matrix without the method none.")]

AcceptStaleOption = Annotated[
    bool, typer.Option("--accept-stale", help="Keep finished cells made by other code, versions or data.")
]

RetrainOption = Annotated[
    list[str] | None, typer.Option("--retrain", help="Train cells again whose id matches this pattern. Repeatable.")
]

WorkersOption = Annotated[
    int | None,
    typer.Option(min=0, help="Processes that load data; 0 loads in the main one. Left out: by the size of the images."),
]


def make_settings(results: Path, data_root: list[Path] | None, **given: Any) -> Any:
    """Return the settings of a command; imported here, as they need what datasets are."""
    from bench.matrix.settings import Settings, data_roots

    return Settings(results=results, data_roots=data_roots(data_root), **given)
