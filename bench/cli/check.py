"""``check``: whether a run is worse than the references that it is held against."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.base.errors import EXIT_DONE, BenchError, NotComparable
from bench.cli.screen.terminal import console, say

if TYPE_CHECKING:
    from bench.leaderboard.findings import Gate
    from bench.leaderboard.thresholds import Threshold
    from bench.tasks.metric import Scoring

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A result folder, such as results/quick.")]


def check(
    run: RunArgument,
    baseline: Annotated[
        Path, typer.Option(metavar="FILE", help="Reference scores, such as results/baselines/quick.json.")
    ],
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EXPR",
            help="Fail where a difference, in the unit of the tables, does this, as in 'gain < -1.0'; of the gain, or "
            "any metric by its key. Repeatable. One on the score or its gain takes the place of the floor, below which "
            "a mean fails without a test: 5 points of a score in percent with one seed, less with more, deeper where "
            "the seeds of the reference differ by more.",
        ),
    ] = None,
    alpha: Annotated[float, typer.Option(help="Level of the test over all rows together.")] = 0.05,
    margin: Annotated[float, typer.Option(min=0, help="Difference, as tables show it, that does not matter.")] = 0.0,
    require_all: Annotated[
        bool, typer.Option("--require-all", help="Fail where a row or a seed of the baseline is not in the run.")
    ] = False,
    update: Annotated[
        bool, typer.Option("--update", help="Write the scores of the run to the file, after telling the difference.")
    ] = False,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a JUnit report.")] = None,
    github: Annotated[bool, typer.Option("--github", help="Print annotations for GitHub Actions.")] = False,
    json_: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all of it as JSON.")] = None,
) -> None:
    """Hold a run against reference scores: exit code 3 where a method is worse, 4 where nothing could be compared."""
    from bench.cli.screen.check import github_annotations, print_gate
    from bench.leaderboard.arms import read_arms, require_run
    from bench.leaderboard.baseline import read_baseline, write_baseline
    from bench.leaderboard.findings import Rules
    from bench.leaderboard.gate import check as hold
    from bench.leaderboard.gate import lowered

    level = _level(alpha)
    arms = read_arms(require_run(run))
    scorings = {arm.scoring.name: arm.scoring for arm in arms.arms}
    rules = Rules(level, margin, tuple(_thresholds(fail_on or [], scorings.values())), require_all)
    name = run.resolve().name
    reference = None
    try:
        reference = read_baseline(baseline)
    except NotComparable:
        if not update:
            raise
    gate = hold(arms, reference.arms if reference else (), rules)
    if reference is not None:
        say(f"{name} against {baseline}: {reference.run} of {reference.created}")
    print_gate(gate, console())
    if github:
        say(*github_annotations(gate))
    _write(gate, name, baseline, junit, json_)
    if update:
        say(*(f"note: {note}" for note in lowered(gate)))
        write_baseline(baseline, arms.arms, name, datetime.now(UTC).isoformat(timespec="seconds"))
        say(f"wrote {baseline}")
    raise typer.Exit(EXIT_DONE if update else gate.exit_code)


def _write(gate: Gate, name: str, baseline: Path, junit: Path | None, json_: Path | None) -> None:
    """Write the files for other programs that are asked for."""
    from bench.base.files import write_json
    from bench.cli.screen.check import gate_record, write_junit

    if junit is not None:
        write_junit(junit, gate, name)
        say(f"wrote {junit}")
    if json_ is not None:
        write_json(json_, gate_record(gate, name, str(baseline)))
        say(f"wrote {json_}")


def _level(alpha: float) -> float:
    if not 0 < alpha < 1:
        raise BenchError(f"--alpha {alpha:g}: a level is between 0 and 1, as in --alpha 0.05")
    return alpha


def _thresholds(texts: Iterable[str], scorings: Collection[Scoring]) -> list[Threshold]:
    from bench.leaderboard.thresholds import parse

    found: list[Threshold] = []
    problems: list[str] = []
    for text in texts:
        try:
            found.append(parse(text, scorings))
        except BenchError as error:
            problems += error.problems
    if problems:
        raise BenchError(*problems)
    return found


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(check)
