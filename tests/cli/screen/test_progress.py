"""What a user sees while it runs."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from bench.cli.screen.progress import LiveReporter, Pace, PlainReporter, make_reporter
from bench.matrix.cell import Cell, DatasetSpec, MethodSpec, ModelSpec
from bench.matrix.recipe import Recipe
from bench.tasks.segmentation.scores import SCORING
from bench.train.events import Begun, Ended, GroupBegun, Said, Scored, Stepped, TermsRead


def cell(label: str) -> Cell:
    return Cell(
        dataset=DatasetSpec(name="d"),
        teacher=None,
        student=ModelSpec(name="s"),
        method=MethodSpec(name="kd", label=label),
        seed=0,
        recipe=Recipe(iterations=10),
    )


def play(reporter) -> None:
    first, second = cell("kd"), cell("k[d]_2")
    with reporter:
        reporter.tell(Begun(20))
        reporter.tell(GroupBegun("d, t -> s, seed 0", [first, second], 4, 10))
        for done in range(5, 11):
            reporter.tell(Stepped(done, 10))
        reporter.tell(TermsRead(first, 10, {"ce": 1.25, "kd": 0.5}))
        reporter.tell(Scored(first, 10, SCORING.primary, 0.6625))
        reporter.tell(Scored(second, 10, SCORING.primary, None))
        reporter.tell(Ended(first, "done", ""))
        reporter.tell(Ended(second, "failed", "out of [memory]"))
        reporter.tell(Said("note"))


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_live_view_shows_cells_losses_scores_and_eta(width):
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    reporter = LiveReporter(console)
    play(reporter)
    console.print(reporter._render())
    text = console.file.getvalue()
    assert "failed: d.s.k-d-_2.s0" in text.replace("\n", "")
    if width > 40:
        for part in ("iteration 10 of 10", "ce 1.250", "kd 0.500", "66.25 @ 10", "ETA", "10/20", "k[d]_2"):
            assert part in text


def test_plain_lines_tell_every_event_with_its_time():
    console = Console(file=io.StringIO(), width=60)
    play(PlainReporter(console, every_s=0))
    lines = console.file.getvalue().splitlines()
    assert all(line.startswith("[") and "s] " in line for line in lines)
    text = "\n".join(lines)
    for part in ("2 cells, 10 iterations, from iteration 4", "iteration 5/10", "mIoU 66.25", "mIoU -", "note"):
        assert part in text
    assert "failed: d.s.k-d-_2" in text
    assert ": out of [memory]" in text


def test_where_there_is_no_terminal_the_lines_are_plain():
    assert isinstance(make_reporter(Console(file=io.StringIO()), plain=False), PlainReporter)
    assert isinstance(make_reporter(Console(file=io.StringIO(), force_terminal=True), plain=False), LiveReporter)
    assert isinstance(make_reporter(Console(file=io.StringIO(), force_terminal=True), plain=True), PlainReporter)


def test_the_remaining_time_follows_the_recent_pace(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("bench.cli.screen.progress.time.monotonic", lambda: now[0])
    pace = Pace(110)
    assert pace.eta() == "-"
    pace.skip(5)
    for _ in range(5):
        now[0] += 2.0
        pace.tick()
    assert pace.eta() == "0:03:20"
