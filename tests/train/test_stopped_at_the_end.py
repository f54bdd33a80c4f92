"""A signal in the report or the gallery: the process ends with the signal's code, and what is finished stays."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench.store.folders import RunFolder
from tests.harness import BASE, run, write_matrix
from tests.train.test_resume import CONTEXT, child_cli, finish

SIGNALS = pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])


def child(arguments: list[str], output: Path, place: str) -> None:
    """Run the command line; where it comes to a place, tell so and stay there until it is let go."""
    from bench.cli import main as cli

    module, _, name = place.rpartition(".")
    target = importlib.import_module(module)
    original = getattr(target, name)

    def staying(*given: Any, **named: Any) -> Any:
        output.with_suffix(".here").touch()
        end = time.monotonic() + 60
        while time.monotonic() < end and not output.with_suffix(".go").exists():
            time.sleep(0.01)
        return original(*given, **named)

    setattr(target, name, staying)
    os.setsid()
    sys.argv = ["bench", *arguments]
    with output.open("w") as file:
        sys.stdout = sys.stderr = file
        cli.main()


def stopped(arguments: list[str], output: Path, place: str, number: int, *, go: bool = False) -> tuple[int | None, str]:
    """Send a signal to the process group of a command that has come to a place; return exit code and output.

    Args:
        arguments: of the command.
        output: where it prints.
        place: the function.
        number: the signal.
        go: whether the function goes on after the signal.
    """
    process = CONTEXT.Process(target=child, args=(arguments, output, place))
    process.start()
    end = time.monotonic() + 120
    while not output.with_suffix(".here").exists():
        assert process.is_alive(), output.read_text()
        assert time.monotonic() < end, "it does not come there"
        time.sleep(0.02)
    assert process.pid is not None
    os.killpg(process.pid, number)
    if go:
        output.with_suffix(".go").touch()
    process.join(30)
    told = output.read_text()
    assert "Traceback" not in told
    return process.exitcode, told


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A matrix of which everything is trained."""
    folder = tmp_path_factory.mktemp("done")
    path = write_matrix(folder, methods=["none"], recipe={**BASE["recipe"], "iterations": 2})
    run(path, folder / "results")
    return path


def commands(path: Path) -> dict[str, list[str]]:
    results = path.parent / "results"
    return {
        "run": ["run", "--matrix", str(path), "--results", str(results), "--plain", "--device", "cpu"],
        "report": ["report", str(results / path.stem)],
        "gallery": ["gallery", str(results / path.stem), "--matrix", str(path), "--device", "cpu", "-n", "1"],
    }


REPORT, GALLERY = "bench.report.figures.plots.render", "bench.deploy.gallery.make.draw_board"


@SIGNALS
@pytest.mark.parametrize(("command", "place"), [("run", REPORT), ("report", REPORT), ("gallery", GALLERY)])
def test_a_signal_ends_what_comes_after_the_training(
    done: Path, tmp_path: Path, command: str, place: str, number: int, code: int
) -> None:
    exit_code, told = stopped(commands(done)[command], tmp_path / "log.txt", place, number)
    assert exit_code == code
    assert told.endswith("stopped; what was finished is kept. The same command goes on from here.\n")
    folder = RunFolder(done.parent / "results" / done.stem)
    assert [cell.state()[0] for cell in folder.cells()] == ["done"]
    assert not list(folder.path.rglob("*.tmp"))


@SIGNALS
def test_a_signal_while_a_run_draws_its_gallery_is_no_success(
    done: Path, tmp_path: Path, number: int, code: int
) -> None:
    """The model in work is finished; then neither gallery nor report is made, and the same command makes both."""
    folder = done.parent / "results" / done.stem
    shutil.rmtree(folder / "gallery", ignore_errors=True)
    (folder / "leaderboard.md").unlink(missing_ok=True)
    place = "bench.deploy.gallery.boards.predict_few"
    exit_code, told = stopped(commands(done)["run"], tmp_path / "log.txt", place, number, go=True)
    assert exit_code == code
    assert "gallery: not made, as a stop was requested" in told
    assert told.endswith("stopped; what was finished is kept. The same command goes on from here.\n")
    assert not (folder / "leaderboard.md").exists()
    assert [cell.state()[0] for cell in RunFolder(folder).cells()] == ["done"]
    assert finish(child_cli, commands(done)["run"], tmp_path / "again.txt") == 0
    assert (folder / "gallery" / "gallery.json").exists()
    assert (folder / "leaderboard.md").exists()
