"""Real processes, really killed: whatever the moment, the same command again ends with the same bits."""

from __future__ import annotations

import io
import multiprocessing
import os
import random
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from bench.store.folders import HISTORY, RESULT, RunFolder
from tests import harness
from tests.harness import BASE, run, write_matrix

METHODS = ["none", "kd", "stateful"]
CONTEXT = multiprocessing.get_context("forkserver")
# The server imports torch once; every child is a fork of it, a process of its own that has run nothing yet.
CONTEXT.set_forkserver_preload(["tests.train.test_resume", "bench.cli.main", "bench.report"])


def matrix(folder: Path, iterations: int = 40) -> Path:
    return write_matrix(folder, recipe={**BASE["recipe"], "iterations": iterations}, methods=METHODS, seeds=[0, 1])


def child_run(path: Path, results: Path) -> None:
    run(path, results, checkpoint_seconds=0)


def child_killed_in_write(path: Path, results: Path, name: str, nth: int) -> None:
    """Run, and die in the middle of the n-th write of a file of that name."""
    from bench.base import files
    from bench.train import checkpoint

    original, seen = files.write_atomic, [0]

    def dying(target: Path, write) -> None:
        if target.name != name:
            return original(target, write)
        seen[0] += 1
        if seen[0] != nth:
            return original(target, write)

        def half(file) -> None:
            whole = io.BytesIO()
            write(whole)
            file.write(whole.getvalue()[: len(whole.getvalue()) // 2])
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)

        return original(target, half)

    for module in (files, checkpoint):
        module.write_atomic = dying
    run(path, results, checkpoint_seconds=0)


def child_cli(arguments: list[str], output: Path) -> None:
    from bench.cli import main as cli

    os.setsid()  # a process group of its own, as a terminal or a scheduler gives it
    sys.argv = ["bench", *arguments]
    with output.open("w") as file:
        sys.stdout = sys.stderr = file
        cli.main()


def histories(run_folder: RunFolder) -> dict[str, bytes]:
    return {folder.cell_id: (folder.path / HISTORY).read_bytes() for folder in run_folder.cells()}


def start(target, *arguments) -> multiprocessing.process.BaseProcess:
    process = CONTEXT.Process(target=target, args=arguments)
    process.start()
    return process


def finish(target, *arguments) -> int:
    process = start(target, *arguments)
    process.join(240)
    assert process.exitcode is not None, "the process hangs"
    return process.exitcode


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    path = matrix(folder)
    assert finish(int) == 0  # the server is up before the clock runs
    begin = time.monotonic()
    assert finish(child_run, path, folder / "results") == 0
    return path, harness.weights(RunFolder(folder / "results/shapes")), time.monotonic() - begin


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path, undisturbed):
    path, expected, seconds = undisturbed
    moments = random.Random(time.time_ns())
    kills = 0
    for _ in range(40):
        process = start(child_run, path, tmp_path / "results")
        process.join(moments.uniform(0.1, 0.7) * seconds)
        if process.exitcode == 0:
            break
        process.kill()
        process.join()
        kills += 1
        if kills >= 6:
            assert finish(child_run, path, tmp_path / "results") == 0
            break
    assert kills >= 1
    found = RunFolder(tmp_path / "results/shapes")
    assert harness.weights(found) == expected
    assert histories(found) == histories(RunFolder(path.parent / "results/shapes"))
    assert not list(found.path.rglob("*.tmp")), "left-over temporary files are swept"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "nth"),
    [("checkpoint.pt", 3), ("checkpoint.pt", 61), ("result.json", 2), ("counts.npz", 3), ("student.safetensors", 4)],
)
def test_killed_inside_a_write(tmp_path, undisturbed, name, nth):
    path, expected, _ = undisturbed
    assert finish(child_killed_in_write, path, tmp_path / "results", name, nth) == -signal.SIGKILL
    assert finish(child_run, path, tmp_path / "results") == 0
    assert harness.weights(RunFolder(tmp_path / "results/shapes")) == expected


def test_a_torn_checkpoint_falls_back_to_the_one_before(tmp_path, undisturbed):
    path, expected, _ = undisturbed
    assert finish(child_killed_in_write, path, tmp_path / "results", "checkpoint.pt", 61) == -signal.SIGKILL
    for folder in RunFolder(tmp_path / "results/shapes").cells():
        checkpoint = folder.path / "checkpoint.pt"
        if checkpoint.exists() and (folder.path / "checkpoint.prev.pt").exists():
            checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    arguments = ["run", "--matrix", str(path), "--results", str(tmp_path / "results"), "--plain"]
    assert finish(child_cli, arguments, tmp_path / "log.txt") == 0
    resumed = re.findall(r"resumed at iteration (\d+) from checkpoint.prev.pt", (tmp_path / "log.txt").read_text())
    assert resumed
    assert all(int(iteration) > 1 for iteration in resumed)
    assert harness.weights(RunFolder(tmp_path / "results/shapes")) == expected


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_the_group_checkpoints_and_the_same_command_goes_on(tmp_path, undisturbed, number, code, workers):
    _, expected, _ = undisturbed
    path = matrix(tmp_path)
    arguments = ["run", "--matrix", str(path), "--results", str(tmp_path / "results"), "--plain"]
    arguments += ["--checkpoint-seconds", "1000", "--workers", str(workers)]
    process = start(child_cli, arguments, tmp_path / "log.txt")
    deadline = time.monotonic() + 120
    while "-> net_small, seed 0" not in (tmp_path / "log.txt").read_text() if (tmp_path / "log.txt").exists() else True:
        assert time.monotonic() < deadline, "training did not start"
        time.sleep(0.01)
    os.killpg(process.pid, number)
    process.join(60)
    assert process.exitcode == code
    log = (tmp_path / "log.txt").read_text()
    assert "everything is checkpointed" in log
    assert "Traceback" not in log
    run_folder = RunFolder(tmp_path / "results/shapes")
    left = [folder for folder in run_folder.cells() if not (folder.path / RESULT).exists()]
    assert all((folder.path / "checkpoint.pt").exists() for folder in left), "no checkpoint although none was due"
    assert finish(child_cli, arguments, tmp_path / "again.txt") == 0
    assert "resumed at iteration" in (tmp_path / "again.txt").read_text() or not left
    assert harness.weights(run_folder) == expected


def test_cells_at_different_iterations_go_on_together(tmp_path, undisturbed):
    """A kill between two members' checkpoints leaves them apart; the one ahead waits for its iteration."""
    path, expected, _ = undisturbed
    assert finish(child_killed_in_write, path, tmp_path / "results", "checkpoint.pt", 72) == -signal.SIGKILL
    run_folder = RunFolder(tmp_path / "results/shapes")
    import torch

    at = {
        torch.load(folder.path / name, weights_only=True)["iteration"]
        for folder in run_folder.cells()
        for name in ("checkpoint.pt", "checkpoint.prev.pt")
        if (folder.path / name).exists()
    }
    assert len(at) > 1
    run(path, tmp_path / "results", checkpoint_seconds=1000)
    assert harness.weights(run_folder) == expected
    assert histories(run_folder) == histories(RunFolder(path.parent / "results/shapes"))


def test_a_second_process_on_the_same_run_is_refused(tmp_path):
    path = matrix(tmp_path, iterations=400)
    process = start(child_run, path, tmp_path / "results")
    deadline = time.monotonic() + 60
    while not (tmp_path / "results/shapes/plan.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    arguments = ["run", "--matrix", str(path), "--results", str(tmp_path / "results"), "--plain"]
    code = finish(child_cli, arguments, tmp_path / "log.txt")
    process.kill()
    process.join()
    assert code == 2
    assert "another process is running" in (tmp_path / "log.txt").read_text()
