"""The gate and the comparison of a task whose score is an error: it is worse where it rises."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from bench.base.errors import EXIT_DONE, EXIT_REGRESSION, BenchError
from bench.cli.screen.check import gate_record, github_annotations, print_gate, sentence, write_junit
from bench.cli.screen.comparison import comparison_record, print_comparison
from bench.leaderboard.arms import read_arms
from bench.leaderboard.baseline import read_baseline, write_baseline
from bench.leaderboard.compare import compare
from bench.leaderboard.findings import Checked, Finding, Gate, Rules
from bench.leaderboard.gate import check, lowered
from bench.leaderboard.thresholds import parse
from bench.tasks.means import Means
from tests.depth_run import DEPTH, depth_run, fill
from tests.run_builder import RunBuilder

BEFORE = {"none": (0.50, 0.52, 0.51), "kd": (0.40, 0.42, 0.41)}


def run_of(path: Path, kd: tuple[float, ...]) -> RunBuilder:
    builder = depth_run(path)
    fill(builder, {**BEFORE, "kd": kd})
    return builder


def gate_of(tmp_path: Path, kd: tuple[float, ...], *fail_on: str, margin: float = 0.0) -> Gate:
    """Hold a run against references that went through their file."""
    before = depth_run(tmp_path / "before")
    fill(before, BEFORE)
    write_baseline(tmp_path / "b.json", read_arms(before.run).arms, "before", "now")
    rules = Rules(margin=margin, thresholds=tuple(parse(text, [DEPTH]) for text in fail_on))
    return check(read_arms(run_of(tmp_path / "now", kd).run), read_baseline(tmp_path / "b.json").arms, rules)


def row_of(gate: Gate, name: str = "kd") -> Checked:
    return next(row for row in gate.rows if row.name == name)


def test_the_task_goes_into_the_file_of_references_and_back(tmp_path: Path) -> None:
    gate_of(tmp_path, BEFORE["kd"])
    (arm, _) = read_baseline(tmp_path / "b.json").arms
    assert arm.scoring.metrics == DEPTH.metrics
    assert arm.scoring.read == Means.load
    assert arm.known() == dict(enumerate(BEFORE["kd"]))


@pytest.mark.parametrize(
    ("kd", "finding", "code"),
    [
        ((0.45, 0.471, 0.462), Finding.WORSE, EXIT_REGRESSION),
        ((0.35, 0.371, 0.362), Finding.BETTER, EXIT_DONE),
        (BEFORE["kd"], Finding.SAME, EXIT_DONE),
    ],
)
def test_an_error_that_rose_is_worse_and_one_that_fell_is_better(
    tmp_path: Path, kd: tuple[float, ...], finding: Finding, code: int
) -> None:
    gate = gate_of(tmp_path, kd)
    assert (row_of(gate).finding, gate.exit_code) == (finding, code)


@pytest.mark.parametrize(
    ("now", "finding", "code"),
    [
        (0.51, Finding.WORSE, EXIT_REGRESSION),
        (0.49, Finding.PERHAPS_WORSE, EXIT_DONE),
        (0.44, Finding.UNCLEAR, EXIT_DONE),
        (0.29, Finding.BETTER, EXIT_DONE),
    ],
)
def test_one_seed_is_decided_by_what_the_metric_says_that_a_seed_may_move(
    tmp_path: Path, now: float, finding: Finding, code: int
) -> None:
    gate = gate_of(tmp_path, (now,))
    assert (row_of(gate).finding, gate.exit_code) == (finding, code)
    assert any("0.1 m that one seed may move" in note for note in row_of(gate).notes)


def test_the_margin_is_in_the_unit_of_the_tables(tmp_path: Path) -> None:
    gate = gate_of(tmp_path, (0.4001, 0.4201, 0.4101), margin=0.01)
    assert row_of(gate).finding is Finding.SAME


def test_a_threshold_on_a_metric_looks_at_the_difference_as_it_is(tmp_path: Path) -> None:
    gate = gate_of(tmp_path, (0.52,), "rmse > 0.1")
    assert row_of(gate).crossed == ("rmse +0.120 m, and rmse > 0.1 fails",)
    assert gate.exit_code == EXIT_REGRESSION


def test_a_threshold_that_is_not_reached_lets_pass(tmp_path: Path) -> None:
    gate = gate_of(tmp_path, (0.49,), "rmse > 0.1", "delta1 < -5")
    assert (row_of(gate).crossed, gate.exit_code) == ((), EXIT_DONE)


def test_a_threshold_on_the_gain_and_one_on_another_metric_in_its_own_unit(tmp_path: Path) -> None:
    gate = gate_of(tmp_path, (0.52,), "gain < -0.05", "delta1 < -5")
    assert row_of(gate).crossed == (
        "gain -0.120 m, and gain < -0.05 fails",
        "delta1 -6.00 points, and delta1 < -5 fails",
    )


def test_metrics_of_other_tasks_are_unknown(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="Known: rmse, delta1, gain"):
        parse("miou < -1", [DEPTH])


def test_every_output_tells_the_error_in_its_unit_and_direction(tmp_path: Path) -> None:
    gate = gate_of(tmp_path, (0.45, 0.471, 0.462))
    assert sentence(row_of(gate)) == "worse, RMSE 0.410 -> 0.461 (+0.051 m)"
    assert lowered(gate) == ["raises the reference of kd by 0.051 m"]
    console = Console(file=io.StringIO(), width=160)
    print_gate(gate, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for part in ("Baseline (m)", "Run (m)", "Difference (m)", "+0.051 [+0.04"):
        assert part in text
    assert "%" not in text
    assert any("::error title=digits" in line and "RMSE 0.410 -> 0.461" in line for line in github_annotations(gate))
    write_junit(tmp_path / "j.xml", gate, "now")
    assert '<failure message="worse, RMSE 0.410 -&gt; 0.461' in (tmp_path / "j.xml").read_text()
    record = json.loads(json.dumps(gate_record(gate, "now", "b.json")))
    assert record["rules"]["single_seed"] == {"rmse": 0.1}
    row = next(row for row in record["rows"] if row["label"] == "kd")
    assert row["metrics"]["rmse"]["difference"] == pytest.approx(0.051)
    assert row["metrics"]["gain"]["difference"] == pytest.approx(-0.051)
    assert row["metrics"]["delta1"]["difference"] == pytest.approx(-2.55)
    assert row["test"]["difference"] == pytest.approx(0.051)


def test_two_runs_are_compared_in_the_unit_of_the_error(tmp_path: Path) -> None:
    before = run_of(tmp_path / "before", BEFORE["kd"])
    now = run_of(tmp_path / "now", (0.35, 0.371, 0.362))
    found = compare(read_arms(before.run), read_arms(now.run))
    console = Console(file=io.StringIO(), width=160)
    print_comparison(found, ("before", "now"), console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "before (m)" in text
    assert "-0.049" in text
    assert "Difference: second minus first, in m of RMSE (lower is better), over the seeds that both have." in text
    row = next(row for row in comparison_record(found, ("before", "now"))["rows"] if row["label"] == "kd")
    assert row["difference"] == pytest.approx(-0.049)
