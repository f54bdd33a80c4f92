"""What one cell, or one teacher, does wrong is its own: the others end with the bits that they would have had."""

from __future__ import annotations

import io
import json
import shutil
import signal
import threading

import pytest
from filelock import FileLock
from rich.console import Console

from bench.base.errors import Interrupted
from bench.cli.screen.progress import PlainReporter
from bench.matrix.matrix import load_matrix
from bench.matrix.settings import Settings
from bench.store.folders import HISTORY
from bench.train.run import run_matrix
from bench.train.stop import StopRequest
from tests.command import Command, command_line
from tests.harness import BASE, PLUGINS, run, weights, write_matrix

WITH = [*BASE["plugins"], str(PLUGINS / "hostile.py")]


TEACHER = ("weights", "mode", "hook", "buffers")


@pytest.fixture
def bench(monkeypatch, capsys) -> Command:
    return command_line(monkeypatch, capsys, "run")


def hostile(folder, *choices, **changes):
    return write_matrix(folder, methods=["none", *choices, "kd", "cwd"], plugins=WITH, **changes)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    return weights(run(write_matrix(folder), folder / "results").run)


def failure(plan, method):
    """Return why the cell of a method failed, as the store has it."""
    (planned,) = (planned for planned in plan.cells if planned.cell.method.name == method)
    state, record = plan.run.cell(planned.cell.id).state()
    assert state == planned.state == "failed"
    return record


def told(path, results, **settings):
    """Run as a program does, with signals taken over; return the plan and what was told."""
    output = io.StringIO()
    with StopRequest().listening() as stop:
        reporter = PlainReporter(Console(file=output, width=300))
        plan = run_matrix(load_matrix(str(path)), Settings(results=results, **settings), reporter, stop)
    return plan, output.getvalue()


@pytest.mark.parametrize("at", [-1, 5])
@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("exit", "SystemExit: 0"),
        ("interrupt", "KeyboardInterrupt"),
        ("generator", "GeneratorExit"),
        ("stop", "Interrupted: stopped by signal 2"),
        ("base", "BaseException: of its own kind"),
    ],
)
def test_only_a_signal_ends_a_run(tmp_path, alone, how, reason, at):
    plan, _ = told(hostile(tmp_path, {"name": "leaves", "how": how, "at": at}), tmp_path / "results")
    assert weights(plan.run) == alone
    (left,) = (planned for planned in plan.cells if planned.cell.method.name == "leaves")
    assert left.state == ("skipped" if at < 0 else "failed")
    assert reason in left.reason


def test_a_method_that_ends_the_program_leaves_exit_code_1_and_a_report(tmp_path, bench):
    path = hostile(tmp_path, "leaves")
    code, out, _ = bench("--matrix", str(path), "--results", str(tmp_path / "results"), "--plain")
    assert code == 1
    assert "failed: shapes.net_large-net_small.leaves" in out
    assert "SystemExit: 0 (raised by code of this cell, not by a signal)" in " ".join(out.split())
    assert "leaderboard.md" in out


@pytest.mark.parametrize(
    ("what", "seconds"),
    [
        ("images", 0.0),
        ("images", 1000.0),
        ("target", 1000.0),
        ("not finite", 0.0),
        ("embedding", 1000.0),
        ("weights", 0.0),
        ("weights", 1000.0),
        ("mode", 1000.0),
        ("hook", 0.0),
        ("buffers", 1000.0),
    ],
)
def test_a_change_that_torch_does_not_count_harms_the_culprit_alone(tmp_path, alone, what, seconds):
    sneak = {"name": "sneak", "what": what}
    plan, said = told(hostile(tmp_path, sneak), tmp_path / "results", checkpoint_seconds=seconds)
    assert weights(plan.run) == alone
    found = failure(plan, "sneak")
    changed = "the teacher" if what in TEACHER else "the batch or the teacher's outputs in place"
    assert found["reason"] == f"RuntimeError: changed {changed}, which its companions share"
    assert found["iteration"] == 5
    assert said.count("back to the last checkpoints") == 1


def test_companions_that_failed_by_the_damage_are_brought_back(tmp_path, alone):
    plan, _ = told(hostile(tmp_path, {"name": "sneak", "what": "no class"}), tmp_path / "results")
    assert weights(plan.run) == alone
    assert "Target 77 is out of bounds" in failure(plan, "sneak")["reason"]


def test_damage_done_before_an_error_is_noticed_too(tmp_path, alone):
    sneak = {"name": "sneak", "what": "images", "raises": True}
    plan, _ = told(hostile(tmp_path, sneak), tmp_path / "results")
    assert weights(plan.run) == alone
    assert "broken after the damage" in failure(plan, "sneak")["reason"]


def test_a_counted_write_hides_no_uncounted_one_before_it(tmp_path, alone):
    """The first is found in the batch that the second one spoils and that is then made anew."""
    sneak, vandal = {"name": "sneak", "what": "images", "at": 3}, {"name": "vandal", "what": "images"}
    plan, _ = told(write_matrix(tmp_path, methods=["none", sneak, "kd", vandal, "cwd"], plugins=WITH), tmp_path / "r")
    assert weights(plan.run) == alone
    for method in ("sneak", "vandal"):
        assert "in place, which its companions share" in failure(plan, method)["reason"]


def test_nothing_is_told_or_trained_twice_where_all_behave(tmp_path):
    _, said = told(write_matrix(tmp_path), tmp_path / "results")
    assert "back to" not in said
    assert said.count("seed 0") == len([line for line in said.splitlines() if "seed 0" in line])


def test_a_culprit_ends_alike_alone_and_among_others(tmp_path):
    sneak = {"name": "sneak", "what": "weights"}
    plan = run(write_matrix(tmp_path, methods=["none", sneak], plugins=WITH), tmp_path / "results")
    assert "changed the teacher" in failure(plan, "sneak")["reason"]


def test_modes_of_torch_that_a_method_leaves_behind_reach_nobody(tmp_path, alone):
    import torch

    before = torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()
    plan = run(hostile(tmp_path, "sets_modes"), tmp_path / "results")
    found = weights(plan.run)
    assert {key: found[key] for key in alone} == alone
    assert (torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()) == before


def test_an_error_of_a_methods_own_files_is_told_as_it_is(tmp_path, alone):
    plan = run(hostile(tmp_path, "lacks_a_file"), tmp_path / "results")
    assert weights(plan.run) == alone
    assert failure(plan, "lacks_a_file")["reason"] == (
        "FileNotFoundError: [Errno 2] No such file or directory: '/nowhere/prototypes.npy'"
    )


def test_a_teacher_that_fails_in_its_training_takes_its_listeners_alone(tmp_path, alone, bench):
    pairs = [{"teacher": "net_broken", "student": "net_small"}, {"teacher": "net_large", "student": "net_small"}]
    path = hostile(tmp_path, pairs=pairs)
    code, out, _ = bench("--matrix", str(path), "--results", str(tmp_path / "results"), "--plain")
    assert code == 1
    plan, _ = told(path, tmp_path / "results")
    states = {planned.cell.id.rpartition(".s0")[0]: planned for planned in plan.cells}
    assert {name: planned.state for name, planned in states.items()} == {
        "shapes.net_small.none": "done",
        "shapes.net_broken-net_small.kd": "failed",
        "shapes.net_broken-net_small.cwd": "failed",
        "shapes.net_large-net_small.kd": "done",
        "shapes.net_large-net_small.cwd": "done",
    }
    assert weights(plan.run) == alone
    reason = states["shapes.net_broken-net_small.kd"].reason
    assert reason == "its teacher 'net_broken' failed: RuntimeError: broken as a student"
    assert reason in " ".join(out.split())
    assert "leaderboard.md" in out


def test_a_resumed_history_is_that_of_a_run_never_stopped(tmp_path, monkeypatch):
    """A kill between two members' checkpoints leaves them apart: the one ahead has its scores already."""
    path = write_matrix(tmp_path, methods=["none", "kd"])
    whole = run(path, tmp_path / "whole", checkpoint_seconds=0)

    from bench.train import lockstep

    original = lockstep.save_checkpoint

    class Killed(BaseException):
        pass

    def dying(trainee):
        if trainee.iteration == 6 and trainee.cell.method.name == "kd":
            raise Killed
        original(trainee)

    with monkeypatch.context() as patch:
        patch.setattr(lockstep, "save_checkpoint", dying)
        patch.setattr(StopRequest, "is_asked_by", lambda self, error: isinstance(error, Killed))
        with pytest.raises(Killed):
            run(path, tmp_path / "killed", checkpoint_seconds=0)
    resumed = run(path, tmp_path / "killed", checkpoint_seconds=0)
    for folder in whole.run.cells():
        assert (resumed.run.cell(folder.cell_id).path / HISTORY).read_bytes() == (folder.path / HISTORY).read_bytes()
    history = json.loads((resumed.run.cell(folder.cell_id).path / HISTORY).read_text())
    assert [entry["iteration"] for entry in history["evals"]] == [6, 12]


def test_a_teacher_that_another_process_trains_is_waited_for(tmp_path, alone):
    """The other one finishes meanwhile: its teacher is taken, not trained again."""
    first = run(write_matrix(tmp_path), tmp_path / "other")
    (teacher,) = first.teachers_run.cells()
    path, shared = write_matrix(tmp_path, "second"), tmp_path / "results" / "teachers"
    shared.mkdir(parents=True)
    lock = FileLock(shared / ".lock", thread_local=False)
    lock.acquire()

    def finish() -> None:
        shutil.copytree(teacher.path, shared / "cells" / teacher.cell_id)
        lock.release()

    timer = threading.Timer(3, finish)
    timer.start()
    try:
        plan, said = told(path, tmp_path / "results")
    finally:
        timer.join()
    assert said.count("waiting for another process that trains teachers in") == 1
    assert f"done: {teacher.cell_id}" not in said
    assert weights(plan.run) == alone


def test_a_run_that_waits_for_a_teacher_stops_when_asked(tmp_path):
    path, shared = write_matrix(tmp_path), tmp_path / "results" / "teachers"
    shared.mkdir(parents=True)
    timer = threading.Timer(2, lambda: signal.raise_signal(signal.SIGTERM))
    with FileLock(shared / ".lock", thread_local=False):
        timer.start()
        with pytest.raises(Interrupted) as caught:
            told(path, tmp_path / "results")
    assert caught.value.exit_code == 143


def test_a_teacher_that_makes_tables_at_its_first_forward_is_no_culprit(tmp_path):
    pairs = [{"teacher": "net_table", "student": "net_small"}]
    plan, said = told(hostile(tmp_path, pairs=pairs), tmp_path / "results")
    assert {planned.state for planned in plan.cells} == {"done"}
    assert "back to" not in said


def test_a_teacher_that_changes_itself_fails_its_listeners(tmp_path, alone):
    pairs = [{"teacher": "net_restless", "student": "net_small"}]
    plan, _ = told(hostile(tmp_path, pairs=pairs), tmp_path / "results")
    assert weights(plan.run) == {("none", 0): alone["none", 0]}
    for method in ("kd", "cwd"):
        assert "the teacher changes while it is used" in failure(plan, method)["reason"]
