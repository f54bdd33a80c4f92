"""``compare``: two runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.screen.terminal import console, say


def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN_A", help="The result folder to compare with.")],
    second: Annotated[Path, typer.Argument(metavar="RUN_B", help="The other; differences are RUN_B - RUN_A.")],
    json_: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all of it as JSON.")] = None,
) -> None:
    """Compare two runs row by row with their seeds paired; exit code 4 where they have no finished cell in common."""
    from bench.base.files import write_json
    from bench.cli.screen.comparison import comparison_record, print_comparison
    from bench.leaderboard.arms import read_arms, require_run
    from bench.leaderboard.compare import compare as pair

    one, other = require_run(first), require_run(second)
    found = pair(read_arms(one), read_arms(other))
    named = first.resolve().name, second.resolve().name
    runs = named if named[0] != named[1] else (str(first), str(second))
    print_comparison(found, runs, console())
    if json_ is not None:
        write_json(json_, comparison_record(found, runs))
        say(f"wrote {json_}")
    raise typer.Exit(found.exit_code)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(compare)
