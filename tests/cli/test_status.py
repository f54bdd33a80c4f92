from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bench.base.errors import BenchError
from bench.cli.status import add_to
from bench.train.heartbeat import Heartbeat
from tests.run_builder import RunBuilder


@pytest.fixture
def builder(tmp_path: Path) -> RunBuilder:
    made = RunBuilder(tmp_path / "run")
    made.done("none", 0.5)
    made.failed("kd", reason="out of [memory]")
    made.plan(more=[made.cell("at")])
    return made


def call(*arguments: object) -> str:
    app = typer.Typer()
    app.command("other")(lambda: None)
    add_to(app)
    result = CliRunner().invoke(app, ["status", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_cells_and_failures_are_shown(builder: RunBuilder) -> None:
    output = call(builder.run.path)
    assert "cells: 1 done, 1 planned, 1 diverged, of 3" in output
    assert "out of [memory]" in output


def test_json_is_one_record(builder: RunBuilder) -> None:
    record = json.loads(call(builder.run.path, "--json"))
    assert (record["process"], record["cells"]) == ("not running", {"diverged": 1, "done": 1, "planned": 1})
    assert record["failures"][0]["reason"] == "out of [memory]"
    assert record["heartbeat"] is None


def test_watching_ends_with_the_process(builder: RunBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 2:
            running.__exit__(None, None, None)
            holding.__exit__(None, None, None)

    monkeypatch.setattr("bench.cli.status.time.sleep", sleep)
    holding = builder.run.writing()
    holding.__enter__()
    running = Heartbeat(builder.run.path)
    running.__enter__()
    records = [json.loads(line) for line in call(builder.run.path, "--watch", 3, "--json").splitlines()]
    assert looks == [3, 3]
    assert [record["process"] for record in records] == ["training", "training", "ended"]


def test_ctrl_c_ends_watching_quietly(builder: RunBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.cli.status.time.sleep", interrupt)
    with builder.run.writing():
        assert "a process holds the run" in call(builder.run.path, "--watch", 1)


def test_what_is_no_run_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no run in"):
        call(tmp_path)
