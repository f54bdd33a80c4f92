from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from bench.base.errors import EXIT_BAD_REQUEST, EXIT_DONE, EXIT_NOT_COMPARABLE, EXIT_REGRESSION, BenchError
from bench.cli.check import add_to
from tests.run_builder import RunBuilder

HOSTILE = 'k|d [red] :100%,\n<&"\x07\x1b[31mä'


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def before() -> RunBuilder:
    return filled(Path("before"))


def filled(path: Path, kd: float = 0.55, **given: Any) -> RunBuilder:
    builder = RunBuilder(path, **given)
    for seed in range(4):
        builder.done("none", 0.50 + seed / 100, seed)
        builder.done("kd", kd + seed / 97, seed, label=HOSTILE)
    return builder


def invoke(*arguments: object) -> Result:
    app = typer.Typer()
    app.command("other")(lambda: None)
    add_to(app)
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


def call(*arguments: object, code: int = EXIT_DONE) -> str:
    result = invoke(*arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def refused(*arguments: object, code: int = EXIT_BAD_REQUEST) -> str:
    result = invoke(*arguments)
    assert isinstance(result.exception, BenchError), result.output
    assert result.exception.exit_code == code
    return str(result.exception)


def test_a_baseline_is_made_held_against_and_replaced(before: RunBuilder) -> None:
    file = Path("baselines/quick.json")
    assert "no baseline at baselines/quick.json" in refused("before", "--baseline", file, code=EXIT_NOT_COMPARABLE)
    assert "wrote baselines/quick.json" in call("before", "--baseline", file, "--update")
    first = file.read_text()
    assert "no regression in 2 compared rows: 2 same" in call("before", "--baseline", file)
    assert file.read_text() == first
    filled(Path("worse"), kd=0.50)
    output = call("worse", "--baseline", file, code=EXIT_REGRESSION)
    assert "regression in 1 of 2 rows: 1 worse, 1 same" in output
    assert "-5.00" in output
    output = call("worse", "--baseline", file, "--update")
    assert "regression in 1 of 2 rows" in output
    assert "note: lowers the reference of" in output
    assert "no regression" in call("worse", "--baseline", file)
    assert [path.name for path in file.parent.iterdir()] == ["quick.json"]


def test_a_run_without_a_score_never_takes_the_place_of_a_baseline(before: RunBuilder) -> None:
    call("before", "--baseline", "b.json", "--update")
    kept = Path("b.json").read_text()
    RunBuilder(Path("empty")).failed("none")
    assert "nothing to keep" in refused("empty", "--baseline", "b.json", "--update")
    assert Path("b.json").read_text() == kept


def test_a_damaged_baseline_is_not_written_over(before: RunBuilder) -> None:
    Path("b.json").write_text('{"schema": 99}')
    assert "upgrade bench" in refused("before", "--baseline", "b.json", "--update")
    assert Path("b.json").read_text() == '{"schema": 99}'


def test_nothing_in_common_ends_with_4(before: RunBuilder) -> None:
    call("before", "--baseline", "b.json", "--update")
    filled(Path("other"), crop=32)
    output = call("other", "--baseline", "b.json", code=EXIT_NOT_COMPARABLE)
    assert "recipe.crop: 64 in the baseline, 32 here" in output
    assert "nothing could be compared: 2 not comparable" in output


def test_junit_is_valid_xml_with_a_case_for_each_row(before: RunBuilder) -> None:
    before.done("gone", 0.5)
    before.done("lost", 0.5)
    call("before", "--baseline", "b.json", "--update")
    now = filled(Path("now"), kd=0.50)
    now.failed("lost")
    now.done("new", 0.5)
    call("now", "--baseline", "b.json", "--junit", "deep/j.xml", code=EXIT_REGRESSION)
    suite = ElementTree.parse("deep/j.xml").getroot()[0]
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5", "failures": "1", "errors": "1", "skipped": "2"}  # fmt: skip
    kinds = {case.get("name"): case[0].tag for case in suite}
    assert kinds == {
        HOSTILE.replace("\x07", "").replace("\x1b", ""): "failure", "lost": "error", "gone": "skipped",
        "new": "skipped", "none": "system-out"}  # fmt: skip
    assert all(case.get("classname", "").startswith("digits: ") for case in suite)


def test_github_annotations_are_one_line_each_and_escaped(before: RunBuilder) -> None:
    before.done("gone", 0.5)
    call("before", "--baseline", "b.json", "--update")
    filled(Path("now"), kd=0.50)
    output = call("now", "--baseline", "b.json", "--github", code=EXIT_REGRESSION)
    commands = [line for line in output.splitlines() if line.startswith("::")]
    assert [line.split(" ")[0] for line in commands] == ["::warning", "::error", "::error"]
    title = commands[1].removeprefix("::error title=").split("::")[0]
    assert title == 'digits%3A big → small%3A k|d [red] %3A100%25%2C <&" [31mä'
    assert "worse, mIoU 56.55 -> 51.55 (-5.00 points)" in commands[1]
    assert "\x1b" not in output
    assert "\x07" not in output
    quiet = call("before", "--baseline", "b.json", "--github")
    assert [line for line in quiet.splitlines() if line.startswith("::")] == [
        "::notice title=bench check::no regression in 3 compared rows: 3 same"
    ]


def test_json_tells_rules_rows_and_numbers(before: RunBuilder) -> None:
    call("before", "--baseline", "b.json", "--update")
    filled(Path("now"), kd=0.50)
    call("now", "--baseline", "b.json", "--json", "c.json", "--fail-on", "miou < -1.5", code=EXIT_REGRESSION)
    record = json.loads(Path("c.json").read_text())
    assert (record["exit_code"], record["rules"]["fail_on"]) == (EXIT_REGRESSION, ["miou < -1.5"])
    row = next(row for row in record["rows"] if row["label"] == HOSTILE)
    assert (row["finding"], row["regression"], row["test"]["n"]) == ("worse", True, [4, 4])
    assert row["metrics"]["miou"]["difference"] == pytest.approx(-5)
    assert row["metrics"]["gain"]["difference"] == pytest.approx(-5)
    assert row["reasons"] == ["miou -5.00 points, and miou < -1.5 fails"]
    assert list(row["scores"]["run"]) == ["0", "1", "2", "3"]


def test_mistakes_are_told_all_at_once_before_anything_is_read(before: RunBuilder) -> None:
    problems = refused("before", "--baseline", "b.json", "--fail-on", "mioo < 1", "--fail-on", "miou = 1").splitlines()
    assert len(problems) == 2
    assert "--alpha 2" in refused("before", "--baseline", "b.json", "--alpha", 2)
    assert "no run in nowhere" in refused("nowhere", "--baseline", "b.json", "--update")
    assert invoke("before").exit_code == EXIT_BAD_REQUEST
    assert not Path("b.json").exists()


def test_an_unwritable_baseline_is_told(before: RunBuilder) -> None:
    Path("file").write_text("")
    assert "file/b.json" in refused("before", "--baseline", "file/b.json", "--update")


def fall(before: RunBuilder, was: Sequence[float], is_now: Sequence[float]) -> None:
    """Let a method fall between the reference and the run ``now``; the scores are by seed."""
    for seed, score in enumerate(was):
        before.done("at", score, seed)
    call("before", "--baseline", "b.json", "--update")
    now = filled(Path("now"))
    for seed, score in enumerate(is_now):
        now.done("at", score, seed)


def test_a_large_fall_that_is_unclear_is_a_warning_in_every_output_and_passes(before: RunBuilder) -> None:
    fall(before, (0.60, 0.68), (0.58, 0.64))
    output = call("now", "--baseline", "b.json", "--github", "--junit", "j.xml", "--json", "c.json")
    told = "worse by 3.00 points, which is large, more than 2.5 points, but 2 seeds cannot tell it from noise"
    assert f"warning: at: {told}" in output
    assert "no regression in 3 compared rows: 1 perhaps worse, 2 same" in output
    title = "::warning title=digits%3A big → small%3A at"
    assert f"{title}::perhaps worse, mIoU 64.00 -> 61.00 (-3.00 points); {told}" in output
    cases = {case.get("name"): case[0] for case in ElementTree.parse("j.xml").getroot()[0]}
    assert (cases["at"].tag, cases["none"].tag) == ("system-err", "system-out")
    assert (cases["at"].text or "").startswith("warning: perhaps worse")
    record = json.loads(Path("c.json").read_text())
    row = next(row for row in record["rows"] if row["label"] == "at")
    assert (row["finding"], row["warning"], row["regression"]) == ("perhaps worse", True, False)
    assert row["floor"] < 0.61
    assert record["rules"]["large"] == {"miou": 2.5}
    assert record["rules"]["single_seed"] == {"miou": 5.0}


def test_a_fall_below_the_floor_fails_and_the_floor_is_told(before: RunBuilder) -> None:
    fall(before, (0.062, 0.052), (0.004, 0.014))
    output = call("now", "--baseline", "b.json", "--json", "c.json", code=EXIT_REGRESSION)
    assert "at: beyond the 3.8 points that 2 seeds may move: the floor is 1.90 %" in output
    row = next(row for row in json.loads(Path("c.json").read_text())["rows"] if row["label"] == "at")
    assert row["floor"] == pytest.approx(0.019)
    assert row["test"]["reason"] == "beyond the floor"
    assert "no regression" in call("now", "--baseline", "b.json", "--fail-on", "miou < -30")
