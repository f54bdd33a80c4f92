"""The command line: one thin function a command. What needs torch is imported inside the command."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Annotated

import typer

from bench import __version__
from bench.base.errors import BenchError, Interrupted
from bench.base.text import is_text, not_text
from bench.cli import (
    check,
    check_method,
    compare,
    data,
    deploy,
    evaluate,
    gallery,
    init,
    models,
    plan,
    report,
    run,
    status,
)
from bench.cli import list as list_
from bench.cli.screen.terminal import say

app = typer.Typer(
    name="bench",
    help="Fair comparison of knowledge-distillation methods for dense prediction.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

for _module in (
    run,
    plan,
    list_,
    models,
    report,
    check_method,
    evaluate,
    check,
    compare,
    status,
    data,
    init,
    gallery,
    deploy,
):
    _module.add_to(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bench {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def _require_text() -> None:
    """Refuse names that are no UTF-8: neither a result nor a table could hold them.

    Raises:
        BenchError: an argument, the current folder or a folder of the environment is called so.
    """
    places = {f"argument '{text}'": text for text in sys.argv[1:]}
    places |= {f"{name}={text}": text for name, text in os.environ.items() if name.startswith("BENCH_")}
    with contextlib.suppress(OSError):  # the folder may have been removed
        folder = os.getcwd()  # noqa: PTH109 - whose own error is wanted
        places[f"current folder {folder}"] = folder
    if problems := [not_text(place) for place, text in places.items() if not is_text(text)]:
        raise BenchError(*problems)


def main() -> None:
    """Run the command line; a user's mistake ends in its message and exit code 2, without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may know fewer letters than names have
    try:
        _require_text()
        app()
    except BenchError as error:
        say(*(f"error: {problem}" for problem in error.problems), stderr=True)
        raise SystemExit(error.exit_code) from None
    except Interrupted as stop:
        say(f"stopped; {stop.kept}. The same command goes on from here.", stderr=True)
        raise SystemExit(stop.exit_code) from None
    except OSError as error:
        from bench.base.files import system_problem

        if error.filename is None and error.errno is None:
            raise
        say(f"error: {system_problem(error)}", stderr=True)
        raise SystemExit(BenchError.exit_code) from None
