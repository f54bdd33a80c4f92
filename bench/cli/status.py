"""``status``: how a run stands, from another shell."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.screen.terminal import console

if TYPE_CHECKING:
    from bench.store.status import Status, Watcher


def status(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A result folder, such as results/quick.")],
    watch: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0.1, help="Look again so often, until no process is at it any more."),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON; with --watch one line each time.")] = False,
) -> None:
    """Show cells by state, what trains now and how long it will take, and whether a process is alive."""
    from rich.live import Live

    from bench.cli.screen.status import status_record, status_view
    from bench.leaderboard.arms import require_run
    from bench.store.status import Watcher

    looks = _looks(Watcher(require_run(run)), watch)
    shown = console()
    with contextlib.suppress(KeyboardInterrupt):  # whoever watches ends it so
        if json_:
            for found in looks:
                typer.echo(json.dumps(status_record(found), indent=None if watch else 1))
        elif watch is None or not shown.is_terminal:
            for found in looks:
                shown.print(status_view(found))
        else:
            with Live(console=shown, auto_refresh=False) as live:
                for found in looks:
                    live.update(status_view(found), refresh=True)


def _looks(watcher: Watcher, every_s: float | None) -> Iterator[Status]:
    """Yield how the run stands, again and again while a process is at it."""
    while True:
        found = watcher.look()
        yield found
        if every_s is None or not found.life.alive:
            return
        time.sleep(every_s)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(status)
