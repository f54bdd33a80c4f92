from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bench.base.errors import EXIT_DONE, EXIT_NOT_COMPARABLE, BenchError
from bench.cli.compare import add_to
from tests.run_builder import RunBuilder


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for path, shift in (("one/quick", 0.0), ("two/quick", 0.04)):
        builder = RunBuilder(Path(path))
        for seed in range(3):
            builder.done("none", 0.5 + seed / 100, seed)
            builder.done("kd", 0.55 + seed / 97 + shift, seed)
    RunBuilder(Path("strange")).done("at", 0.5)


def call(*arguments: object, code: int = EXIT_DONE) -> str:
    app = typer.Typer()
    app.command("other")(lambda: None)
    add_to(app)
    result = CliRunner().invoke(app, ["compare", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def test_two_runs_of_one_name_are_told_apart_and_compared() -> None:
    output = call("one/quick", "two/quick", "--json", "c.json")
    assert "one/quick (%)" in output
    row = next(line for line in output.splitlines() if line.startswith("kd"))
    assert row.split()[:5] == ["kd", "3", "56.03", "60.03", "+4.00"]
    record = json.loads(Path("c.json").read_text())
    assert record["runs"] == ["one/quick", "two/quick"]
    assert [row["label"] for row in record["rows"]] == ["kd", "none"]


def test_without_a_common_cell_it_ends_with_4() -> None:
    assert "nothing was compared" in call("one/quick", "strange", code=EXIT_NOT_COMPARABLE)


def test_an_absent_run_is_a_mistake() -> None:
    with pytest.raises(BenchError, match="no run in nowhere"):
        call("one/quick", "nowhere")
