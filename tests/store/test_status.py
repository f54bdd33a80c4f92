"""How a run stands, seen from another shell."""

from __future__ import annotations

import errno
import io
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from rich.console import Console

from bench.base.errors import Interrupted
from bench.cli.screen.progress import PlainReporter
from bench.cli.screen.status import MOST_FAILURES, status_record, status_view
from bench.matrix.cell import Cell
from bench.store.folders import CHECKPOINT, RunFolder
from bench.store.status import STATUS, Life, Status, Watcher
from bench.tasks.segmentation.scores import SCORING
from bench.train.events import Begun, Ended, Event, GroupBegun, Listener, Relay, Said, Scored, Stepped, TermsRead
from bench.train.heartbeat import Heartbeat
from tests.cli.screen.test_progress import cell
from tests.run_builder import RunBuilder


@pytest.fixture
def builder(tmp_path: Path) -> RunBuilder:
    made = RunBuilder(tmp_path / "run")
    made.done("none", 0.5)
    return made


def look(builder: RunBuilder) -> Status:
    return Watcher(builder.run).look()


def text_of(status: Status) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(status_view(status))
    return console.file.getvalue()


def stored(builder: RunBuilder) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((builder.run.path / STATUS).read_text())
    return record


def training(builder: RunBuilder, **changes: Any) -> Heartbeat:
    """Let a heartbeat of this process tell of a group in the middle."""
    heart = Heartbeat(builder.run.path, every_s=0)
    cells = [named(label) for label in ("kd", "cwd")]
    heart.__enter__()
    heart.tell(Begun(100))
    heart.tell(GroupBegun("d, t -> s, seed 0", cells, 10, 50))
    for done in range(11, 21):
        heart.tell(Stepped(done, 50))
    heart.tell(Scored(cells[0], 20, SCORING.primary, 0.6125))
    if changes:
        (builder.run.path / STATUS).write_text(json.dumps({**stored(builder), **changes}))
    return heart


def named(label: str) -> Cell:
    return cell(label)


def test_a_training_process_is_told_with_group_pace_and_scores(builder: RunBuilder) -> None:
    for label in ("kd", "cwd"):
        builder.failed(label)
    builder.plan(more=[builder.cell("at")], skipped=[builder.cell("sp")])
    with builder.run.writing():
        training(builder)
        status = look(builder)
    assert status.life is Life.TRAINING
    assert status.states == {"done": 1, "diverged": 2, "planned": 1, "skipped": 1}
    text = text_of(status)
    for part in (f"process {os.getpid()} on ", "is training", "d, t -> s, seed 0: iteration 20 of 50 (40 %)",
                 "all groups: iteration 20 of 100", "it/s, ETA", "61.25", "of 5"):  # fmt: skip
        assert part in text


def test_cells_of_the_group_in_training_are_running(builder: RunBuilder) -> None:
    first, second = named("kd"), named("cwd").model_copy(update={"seed": 1})
    for one in (first, second):
        builder.run.cell(one.id).path.mkdir()
    (builder.run.cell(first.id).path / CHECKPOINT).touch()
    with builder.run.writing(), Heartbeat(builder.run.path, every_s=0) as heart:
        heart.tell(GroupBegun("g", [first, second], 0, 10))
        assert look(builder).states == {"done": 1, "running": 2}
        heart.tell(Ended(second, "failed", "no memory"))
        assert look(builder).states == {"done": 1, "running": 1, "planned": 1}
        assert stored(builder)["failures"] == {second.id: {"state": "failed", "reason": "no memory"}}
    assert look(builder).states == {"done": 1, "interrupted": 1, "planned": 1}


def test_a_process_that_died_is_told_as_such(builder: RunBuilder) -> None:
    training(builder, updated=(datetime.now(UTC) - timedelta(minutes=5)).isoformat())
    status = look(builder)
    assert status.life is Life.DEAD
    assert 299 < (status.beat.age_s if status.beat else 0) < 330
    assert "died without a word, last sign of life 0:05:0" in text_of(status)
    assert not status.life.alive


def test_a_process_that_holds_the_run_and_has_not_begun_prepares(builder: RunBuilder) -> None:
    with builder.run.writing():
        assert look(builder).life is Life.PREPARING
        training(builder, pid=2**22 + 1)  # beyond the largest process id of Linux: what an earlier process left
        assert look(builder).life is Life.PREPARING
        training(builder, ended="finished")
        assert look(builder).life is Life.PREPARING


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (None, "finished"),
        (Interrupted(2), "interrupted"),
        (RuntimeError("no [red]\nway"), "RuntimeError: no [red] way"),
    ],
)
def test_how_the_last_process_ended_is_told(builder: RunBuilder, error: BaseException | None, word: str) -> None:
    heart = training(builder)
    heart.__exit__(type(error) if error else None, error, None)
    status = look(builder)
    assert status.life is Life.ENDED
    assert f"the last one ended: {word}" in text_of(status)


def test_a_run_that_nobody_is_at(builder: RunBuilder) -> None:
    assert look(builder).life is Life.IDLE
    assert "no process is running" in text_of(look(builder))


def test_looking_leaves_no_trace_and_lets_a_run_begin(builder: RunBuilder) -> None:
    before = sorted(path.name for path in builder.run.path.iterdir())
    look(builder)
    assert sorted(path.name for path in builder.run.path.iterdir()) == before
    with builder.run.writing():
        pass
    look(builder)
    with builder.run.writing():
        assert look(builder).life is Life.PREPARING


@pytest.mark.parametrize(("age", "life"), [(1, Life.TRAINING), (600, Life.UNKNOWN)])
def test_where_the_lock_cannot_be_asked_the_age_of_the_heartbeat_speaks(
    builder: RunBuilder, monkeypatch: pytest.MonkeyPatch, age: float, life: Life
) -> None:
    training(builder, host="elsewhere", updated=(datetime.now(UTC) - timedelta(seconds=age)).isoformat())
    (builder.run.path / ".lock").touch()

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    status = look(builder)
    assert status.life is life
    assert text_of(status)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"updated": 7}', '{"group": 7, "scores": []}', '{"pid": "x"}'])
def test_a_torn_or_foreign_heartbeat_is_no_obstacle(builder: RunBuilder, text: str) -> None:
    (builder.run.path / STATUS).write_text(text)
    assert text_of(look(builder))
    with builder.run.writing():
        assert text_of(look(builder))


def test_the_newest_failures_are_shown_and_the_rest_counted(builder: RunBuilder) -> None:
    for number in range(MOST_FAILURES + 3):
        folder = builder.failed(f"m{number}", reason=f"[reason] {number}")
        os.utime(folder.path / "failure.json", (1000 + number, 1000 + number))
    status = look(builder)
    assert [failure.reason for failure in status.failures[:2]] == ["[reason] 7", "[reason] 6"]
    text = text_of(status)
    assert "diverged: digits.m7" in text
    assert "[reason] 3" in text
    assert "[reason] 2" not in text
    assert "and 3 more without a result" in text
    assert json.loads(json.dumps(status_record(status)))["total"] == 9


def test_a_watcher_sees_what_changes(builder: RunBuilder) -> None:
    watcher = Watcher(builder.run)
    assert watcher.look().states == {"done": 1}
    builder.failed("kd")
    assert watcher.look().states == {"done": 1, "diverged": 1}
    (builder.run.cell(builder.cell("none")["id"]).path / "result.json").write_text("{}")
    assert watcher.look().states == {"corrupt": 1, "diverged": 1}


def test_the_heartbeat_writes_seldom_and_only_while_it_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("bench.train.heartbeat.time.monotonic", lambda: now[0])
    heart = Heartbeat(tmp_path)
    heart.tell(Said("before it begins"))
    assert not (tmp_path / STATUS).exists()
    writes = 0
    real = Path.replace
    monkeypatch.setattr(Path, "replace", lambda self, target: (count(), real(self, target))[1])

    def count() -> None:
        nonlocal writes
        writes += 1

    with heart:
        heart.tell(Begun(1000))
        heart.tell(GroupBegun("g", [named("kd")], 0, 1000))
        for done in range(1, 101):
            now[0] += 0.1
            heart.tell(Stepped(done, 1000))
        assert writes in (5, 6)  # ten seconds; whether the last lies beyond is a matter of rounding
        record = json.loads((tmp_path / STATUS).read_text())
    assert record["iterations_per_s"] == pytest.approx(10, rel=0.05)
    assert record["eta_s"] == pytest.approx((1000 - record["iterations_done"]) / record["iterations_per_s"])
    before = writes
    heart.tell(Said("after it ended"))
    assert writes == before


def test_a_full_disk_does_not_stop_the_heartbeat_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = [True]
    real = Path.write_text

    def write_text(self: Path, *given: Any, **more: Any) -> int:
        if full[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, *given, **more)

    monkeypatch.setattr(Path, "write_text", write_text)
    with Heartbeat(tmp_path, every_s=0) as heart:
        heart.tell(Said("x"))
        assert not (tmp_path / STATUS).exists()
        full[0] = False
        heart.tell(Said("y"))
        assert (tmp_path / STATUS).exists()
        full[0] = True
    assert list(tmp_path.iterdir()) == [tmp_path / STATUS]


EVENTS = ("Begun", "GroupBegun", "Stepped", "TermsRead", "Scored", "Ended")


class Faulty(Listener):
    """Fails at a certain event."""

    title = "the faulty one"

    def __init__(self, at: str) -> None:
        self.heard: list[str] = []
        self.at = at

    def _hear(self, name: str) -> None:
        self.heard.append(name)
        if name == self.at:
            raise ValueError("no\nmore")

    def __enter__(self) -> Faulty:
        self._hear("__enter__")
        return self

    def __exit__(self, *_: object) -> None:
        self._hear("__exit__")

    def tell(self, event: Event) -> None:
        self._hear(type(event).__name__)


def play(reporter: Relay) -> None:
    one = named("kd")
    with reporter:
        reporter.tell(Begun(2))
        reporter.tell(GroupBegun("g", [one], 0, 2))
        reporter.tell(Stepped(1, 2))
        reporter.tell(TermsRead(one, 1, {"ce": 1.0}))
        reporter.tell(Scored(one, 1, SCORING.primary, 0.5))
        reporter.tell(Stepped(2, 2))
        reporter.tell(Ended(one, "done", ""))


@pytest.mark.parametrize("at", [*EVENTS, "__exit__", "__enter__"])
def test_a_listener_that_fails_is_told_once_and_the_run_goes_on(at: str) -> None:
    console, good = Console(file=io.StringIO(), width=200), Faulty("nothing")
    play(Relay(PlainReporter(console, every_s=0), Faulty(at), good))
    text = console.file.getvalue()
    assert text.count("the faulty one stopped, the run goes on without it: ValueError: no more") == 1
    assert "done: d.s.kd" in text
    assert good.heard == ["__enter__", *EVENTS[:5], "Stepped", "Ended", "__exit__"]


def test_the_shown_reporter_is_heard_even_where_the_run_ends_badly() -> None:
    console = Console(file=io.StringIO(), width=200)
    listener = Faulty("nothing")
    with pytest.raises(KeyError), Relay(PlainReporter(console), listener):
        raise KeyError("x")
    assert listener.heard == ["__enter__", "__exit__"]


def test_a_run_folder_that_is_not_there_has_no_cells(tmp_path: Path) -> None:
    assert Watcher(RunFolder(tmp_path / "none")).look().states == {}


def test_a_link_in_place_of_the_temporary_file_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".status.json.tmp").symlink_to(victim)
    with Heartbeat(tmp_path, every_s=0):
        pass
    assert victim.read_text() == "precious"
    assert json.loads((tmp_path / "status.json").read_text())["schema"] == 1
