"""TensorBoard and Weights & Biases."""

from __future__ import annotations

import importlib.util
import io
import json
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.base.errors import BenchError
from bench.cli.screen.progress import PlainReporter
from bench.matrix.matrix import load_matrix
from bench.matrix.settings import Settings
from bench.tasks.segmentation.scores import SCORING
from bench.train.events import Ended, GroupBegun, Relay, Scored, TermsRead
from bench.train.heartbeat import Heartbeat
from bench.train.loggers import CellLogger, make_loggers
from bench.train.run import run_matrix
from bench.train.stop import StopRequest
from tests.cli.screen.test_progress import cell
from tests.harness import run, weights, write_matrix


def relay(*listeners: Any) -> tuple[Relay, io.StringIO]:
    text = io.StringIO()
    return Relay(PlainReporter(Console(file=text, width=200)), *listeners), text


def points(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Read event files back."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(e.step, round(e.value, 5)) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_tensorboard_holds_losses_and_scores_of_every_cell(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    first, second = cell("kd"), cell("x/|%y").model_copy(update={"seed": 7})
    reporter, _ = relay(*make_loggers(["tensorboard", "tensorboard"], tmp_path))
    with reporter:
        reporter.tell(GroupBegun("g", [first, second], 0, 4))
        for done in (2, 4):
            reporter.tell(TermsRead(first, done, {"ce": 1 / done, "kd": 3.0}))
            reporter.tell(TermsRead(second, done, {"ce": float("nan")}))
        reporter.tell(Scored(first, 4, SCORING.primary, 0.625))
        reporter.tell(Scored(second, 4, SCORING.primary, None))
        reporter.tell(Ended(first, "done", ""))
    found = points(tmp_path / "tensorboard" / first.id)
    assert found == {
        "loss/ce": [(2, 0.5), (4, 0.25)],
        "loss/kd": [(2, 3.0), (4, 3.0)],
        "loss": [(2, 3.5), (4, 3.25)],
        "miou": [(4, 0.625)],
    }
    assert set(points(tmp_path / "tensorboard" / second.id)) == {"loss/ce", "loss"}


def test_what_a_resumed_cell_logs_again_takes_the_place_of_what_it_logged(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    one = cell("kd")
    for steps in ((1, 2, 3, 4), (3, 4, 5)):
        reporter, _ = relay(*make_loggers(["tensorboard"], tmp_path))
        with reporter:
            for done in steps:
                reporter.tell(TermsRead(one, done, {"ce": float(done + 10 * len(steps))}))
    assert points(tmp_path / "tensorboard" / one.id)["loss/ce"] == [(1, 41), (2, 42), (3, 33), (4, 34), (5, 35)]


def test_wandb_writes_one_run_a_cell_and_sends_nothing_when_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    for hooked in ("exit", "excepthook"):  # W&B puts its own in their place, for good
        monkeypatch.setattr(sys, hooked, getattr(sys, hooked))
    first, second = cell("kd"), cell("cwd").model_copy(update={"seed": 7})
    reporter, text = relay(*make_loggers(["wandb"], tmp_path))
    with reporter:
        for done in (2, 4):
            reporter.tell(TermsRead(first, done, {"ce": 0.5 * done}))
            reporter.tell(TermsRead(second, done, {"ce": 1.0}))
        reporter.tell(Scored(first, 4, SCORING.primary, 0.625))
        reporter.tell(Ended(first, "done", ""))
    assert "stopped" not in text.getvalue()
    files = {path.stem: path for path in tmp_path.glob("wandb/offline-run-*/*.wandb")}
    assert set(files) == {f"run-{one.key[:32]}" for one in (first, second)}
    assert history(files[f"run-{first.key[:32]}"]) == [
        {"loss/ce": 1.0, "loss": 1.0, "iteration": 2},
        {"loss/ce": 2.0, "loss": 2.0, "iteration": 4},
        {"miou": 0.625, "iteration": 4},
    ]


def history(path: Path) -> list[dict[str, Any]]:
    """Read the logged rows out of a W&B transaction log: LevelDB's log format after a header of 7 bytes."""
    from wandb.proto import wandb_internal_pb2

    data, at, whole, rows = path.read_bytes(), 7, b"", []
    while at + 7 <= len(data):
        left_in_block = 32768 - at % 32768
        if left_in_block < 7:
            at += left_in_block
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        whole = (b"" if kind in (1, 2) else whole) + data[at + 7 : at + 7 + length]
        at += 7 + length
        record = wandb_internal_pb2.Record()
        if kind in (1, 4) and record.ParseFromString(whole) and record.WhichOneof("record_type") == "history":
            items = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            rows.append({key: value for key, value in items.items() if not key.startswith("_")})
    return rows


def test_wandb_without_a_login_is_refused_before_anything_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb")

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("no key.")

    monkeypatch.setattr("bench.train.loggers._online", lambda: True)
    monkeypatch.setattr(wandb, "login", refuse)
    with pytest.raises(BenchError, match=r"--logger wandb: no key\. Log in with 'wandb login', or set WANDB_MODE"):
        make_loggers(["wandb"], tmp_path)


def test_unknown_loggers_and_missing_packages_are_told_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "wandb" else real(name, *rest))
    with pytest.raises(BenchError) as raised:
        make_loggers(["tensorbord", "wandb"], tmp_path)
    unknown, missing = raised.value.problems
    assert "Did you mean 'tensorboard'?" in unknown
    told = 'pip install "dense-kd-bench[loggers]"'
    assert missing == f"--logger wandb needs a package that is not installed: {told}"
    assert list(tmp_path.iterdir()) == []


def test_no_logger_asked_for_is_none_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("wandb", "tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
    assert make_loggers([], tmp_path) == []


def test_a_logger_that_cannot_be_made_is_told_once_and_the_run_goes_on() -> None:
    def make(*_: Any) -> Any:
        raise ConnectionError("server down")

    reporter, text = relay(CellLogger("logger x", make))
    with reporter:
        for done in range(3):
            reporter.tell(TermsRead(cell("kd"), done, {"ce": 1.0}))
        reporter.tell(Ended(cell("kd"), "done", ""))
    assert text.getvalue().count("logger x stopped, the run goes on without it: ConnectionError: server down") == 1
    assert "done: d.s.kd" in text.getvalue()


def test_logging_moves_no_number_of_a_run(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    matrix = write_matrix(tmp_path, methods=["none", "kd"])
    plain = run(matrix, tmp_path / "plain")
    folder = tmp_path / "logged" / "shapes"
    reporter, text = relay(Heartbeat(folder, every_s=0), *make_loggers(["tensorboard"], folder))
    logged = run_matrix(load_matrix(str(matrix)), Settings(results=tmp_path / "logged"), reporter, StopRequest())
    assert "stopped" not in text.getvalue()
    assert weights(logged.run) == weights(plain.run)
    assert len(weights(logged.run)) == 2
    for planned in logged.cells:
        found = points(folder / "tensorboard" / planned.cell.id)
        history = json.loads((logged.run.cell(planned.cell.id).path / "history.json").read_text())
        assert [step for step, _ in found["miou"]] == [entry["iteration"] for entry in history["evals"]]
        assert [step for step, _ in found["loss"]] == [entry["iteration"] for entry in history["steps"]]
    assert json.loads((folder / "status.json").read_text())["ended"] == "finished"
