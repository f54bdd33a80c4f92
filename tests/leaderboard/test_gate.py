"""The gate on scores."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import EXIT_DONE, EXIT_NOT_COMPARABLE, EXIT_REGRESSION, BenchError, NotComparable
from bench.base.files import canonical, write_json
from bench.leaderboard.arms import Arms, read_arms
from bench.leaderboard.baseline import read_baseline, write_baseline
from bench.leaderboard.findings import Finding, Gate, Rules
from bench.leaderboard.gate import check, lowered
from bench.leaderboard.matching import match
from bench.leaderboard.thresholds import parse
from bench.store.folders import CONFIG, RESULT, RunFolder, read_result, seal
from tests.leaderboard.fabricated import fabricated
from tests.run_builder import RunBuilder

SEEDS = range(4)


class Two:
    """A run whose scores are the reference, and one that is held against it."""

    def __init__(self, folder: Path) -> None:
        self.reference, self.current = RunBuilder(folder / "before"), RunBuilder(folder / "now")

    def gate(self, **rules: Any) -> Gate:
        return check(read_arms(self.current.run), read_arms(self.reference.run).arms, Rules(**rules))

    def both(self, method: str, scores: list[float], now: list[float] | None = None, **given: Any) -> None:
        for seed, (before, after) in enumerate(zip(scores, now or scores, strict=True)):
            self.reference.done(method, before, seed, **given)
            self.current.done(method, after, seed, **given)


@pytest.fixture
def two(tmp_path: Path) -> Two:
    made = Two(tmp_path)
    made.both("none", [0.50, 0.51, 0.49, 0.505])
    return made


def found(gate: Gate) -> dict[str, Finding]:
    return {row.name: row.finding for row in gate.rows}


def with_metrics(builder: RunBuilder, folder: Any, **metrics: float | None) -> None:
    record = read_result(folder.path)
    write_json(folder.path / RESULT, seal({**record, "metrics": {**record["metrics"], **metrics}}))


def test_identical_scores_are_the_same_whatever_the_number_of_seeds(two: Two) -> None:
    two.both("kd", [0.55, 0.56, 0.54, 0.55])
    two.both("one", [0.6])
    gate = two.gate()
    assert set(found(gate).values()) == {Finding.SAME}
    assert gate.exit_code == EXIT_DONE
    assert gate.summary == "no regression in 3 compared rows: 3 same"


def test_a_planted_regression_is_found_and_noise_is_not(two: Two) -> None:
    two.both("kd", [0.55, 0.56, 0.54, 0.55], [0.530, 0.541, 0.522, 0.529])
    two.both("cwd", [0.56, 0.55, 0.57, 0.56], [0.555, 0.556, 0.569, 0.562])
    gate = two.gate()
    assert found(gate) == {"kd": Finding.WORSE, "cwd": Finding.UNCLEAR, "none": Finding.SAME}
    assert gate.exit_code == EXIT_REGRESSION
    assert gate.summary.startswith("regression in 1 of 3 rows")


def test_a_gain_is_better_and_no_regression(two: Two) -> None:
    two.both("kd", [0.55, 0.56, 0.54, 0.55], [0.580, 0.591, 0.572, 0.579])
    gate = two.gate()
    assert (found(gate)["kd"], gate.exit_code) == (Finding.BETTER, EXIT_DONE)


def test_p_values_are_adjusted_over_all_rows(two: Two) -> None:
    scores, now = [0.55, 0.56, 0.54, 0.55], [0.545, 0.552, 0.538, 0.541]
    two.both("kd", scores, now)
    alone = two.gate().rows[0].judgement
    for number in range(8):
        two.both(f"m{number}", scores, [0.551, 0.559, 0.541, 0.549])
    row = next(row for row in two.gate().rows if row.name == "kd")
    assert alone is not None
    assert row.judgement is not None
    assert alone.difference.p == row.judgement.difference.p
    assert 2 * alone.difference.p == pytest.approx(alone.p_adjusted)  # of kd and none
    assert 10 * alone.difference.p == pytest.approx(row.judgement.p_adjusted)


@pytest.mark.parametrize("state", ["diverged", "failed"])
def test_one_failed_cell_that_had_a_score_is_a_regression(two: Two, state: str) -> None:
    for seed in SEEDS:
        two.reference.done("kd", 0.55 + seed / 100, seed)
        if seed == 2:
            two.current.failed("kd", seed, state)
        else:
            two.current.done("kd", 0.65 + seed / 100, seed)
    gate = two.gate()
    row = gate.rows[0]
    assert (row.finding, gate.exit_code) == (Finding.LOST, EXIT_REGRESSION)
    assert row.notes == (f"seed 2 {state}: the loss is not finite (iteration 17)",)


def test_one_score_that_became_nan_is_a_regression(two: Two) -> None:
    two.reference.done("kd", 0.55)
    two.current.done("kd", None)
    gate = two.gate()
    assert (gate.rows[0].finding, gate.exit_code) == (Finding.LOST, EXIT_REGRESSION)
    assert "seed 0 has no mIoU" in gate.rows[0].notes


def test_a_lesser_metric_that_became_nan_is_a_regression_and_one_that_is_new_is_not(two: Two) -> None:
    two.reference.done("kd", 0.55)
    with_metrics(two.current, two.current.done("kd", 0.55), macc=None, mean_boundary_iou=0.4)
    gate = two.gate()
    assert (gate.rows[0].finding, gate.exit_code) == (Finding.LOST, EXIT_REGRESSION)
    assert gate.rows[0].notes == ("macc of seed 0 is gone",)


def test_a_new_seed_that_diverged_is_a_regression_too(two: Two) -> None:
    two.both("kd", [0.55, 0.56])
    two.current.failed("kd", 2)
    assert two.gate().exit_code == EXIT_REGRESSION


def test_a_seed_that_failed_before_and_fails_now_is_no_regression(two: Two) -> None:
    two.both("kd", [0.55, 0.56])
    for builder in (two.reference, two.current):
        builder.failed("kd", 2)
    gate = two.gate()
    assert (found(gate)["kd"], gate.exit_code) == (Finding.SAME, EXIT_DONE)


def test_a_corrupt_result_that_had_a_score_is_a_regression_even_where_nothing_of_it_can_be_read(two: Two) -> None:
    two.both("kd", [0.55, 0.56])
    cell = two.current.cell("kd", 1)
    folder = two.current.run.cell(cell["id"]).path
    (folder / RESULT).write_text("{")
    assert found(two.gate())["kd"] is Finding.LOST
    (folder / CONFIG).unlink()
    gate = two.gate()
    assert found(gate)["kd"] is Finding.LOST
    assert gate.exit_code == EXIT_REGRESSION
    assert any("nothing of it can be read" in note for note in gate.rows[0].notes)


def test_an_empty_intersection_is_no_success(tmp_path: Path) -> None:
    two = Two(tmp_path)
    two.reference.done("none", 0.5)
    two.current.done("kd", 0.6)
    gate = two.gate()
    assert found(gate) == {"none": Finding.MISSING, "kd": Finding.NEW}
    assert gate.exit_code == EXIT_NOT_COMPARABLE


@pytest.mark.parametrize("sides", ["reference", "current", "neither"])
def test_a_side_without_any_score_is_no_success(tmp_path: Path, sides: str) -> None:
    two = Two(tmp_path)
    if sides != "neither":
        getattr(two, sides).done("none", 0.5)
    two.current.run.path.mkdir(exist_ok=True)
    two.current.plan(more=[two.current.cell("none")])
    assert two.gate().exit_code == EXIT_NOT_COMPARABLE


def test_a_renamed_method_is_missing_and_new(two: Two) -> None:
    two.reference.done("kd", 0.55)
    two.current.done("distill", 0.55)
    gate = two.gate()
    assert found(gate) == {"kd": Finding.MISSING, "none": Finding.SAME, "distill": Finding.NEW}
    assert gate.exit_code == EXIT_DONE
    assert two.gate(require_all=True).exit_code == EXIT_REGRESSION


def test_other_hyperparameters_are_another_row_and_told(two: Two) -> None:
    two.reference.done("kd", 0.55, params={"tau": 4.0})
    two.current.done("kd", 0.55, params={"tau": 2.0})
    rows = {row.finding: row for row in two.gate().rows}
    assert rows[Finding.MISSING].name == "kd (method.params.tau=4.0)"
    assert rows[Finding.MISSING].notes[1] == "method.params.tau: 4.0 in the baseline, 2.0 here"
    assert rows[Finding.NEW].name == "kd (method.params.tau=2.0)"


def test_another_protocol_is_not_compared_and_its_fields_are_named(tmp_path: Path) -> None:
    two = Two(tmp_path)
    for seed in SEEDS:
        two.reference.done("none", 0.6, seed, crop=64)
        two.current.done("none", 0.1, seed, crop=32)
    gate = two.gate()
    assert gate.rows[0].notes == ("recipe.crop: 64 in the baseline, 32 here",)
    assert (gate.rows[0].finding, gate.exit_code) == (Finding.NOT_COMPARABLE, EXIT_NOT_COMPARABLE)
    assert two.gate(require_all=True).exit_code == EXIT_REGRESSION


def test_another_teacher_behind_the_same_name_is_not_compared(two: Two) -> None:
    two.both("kd", [0.55])
    before, now = read_arms(two.reference.run), read_arms(two.current.run)
    swapped = [
        replace(arm, conditions=replace(arm.conditions, models=canonical({"teacher": {"weights_sha256": "cd"}})))
        if arm.identity.label == "kd"
        else arm
        for arm in now.arms
    ]
    gate = check(Arms(tuple(swapped)), before.arms, Rules())
    assert found(gate) == {"kd": Finding.NOT_COMPARABLE, "none": Finding.SAME}
    assert gate.exit_code == EXIT_DONE
    assert "teacher.weights_sha256: (not set) in the baseline, cd here" in gate.rows[0].notes[0]


def test_the_right_one_of_two_protocols_of_one_run_is_compared(tmp_path: Path) -> None:
    two = Two(tmp_path)
    for crop, score in ((32, 0.3), (64, 0.5)):
        two.current.done("none", score, crop=crop)
    two.reference.done("none", 0.5, crop=64)
    gate = two.gate()
    assert [row.finding for row in gate.rows] == [Finding.SAME, Finding.NEW]


def test_cells_that_were_not_run_are_missing_and_say_how_they_stand(two: Two) -> None:
    two.both("kd", [0.55, 0.56])
    two.reference.done("kd", 0.57, 2)
    two.reference.done("cwd", 0.57)
    two.current.plan(more=[two.current.cell("kd", 2)], skipped=[two.current.cell("cwd")])
    gate = two.gate()
    rows = {row.name: row for row in gate.rows}
    assert rows["cwd"].finding is Finding.MISSING
    assert rows["cwd"].notes == ("seed 0 skipped: the student has no embedding",)
    assert rows["kd"].finding is Finding.SAME
    assert rows["kd"].notes == ("seeds 2 of the baseline: planned",)
    assert gate.exit_code == EXIT_DONE
    strict = {row.name: row.regression for row in two.gate(require_all=True).rows}
    assert strict == {"cwd": True, "kd": True, "none": False}


@pytest.mark.parametrize(
    ("now", "finding", "code"), [(0.58, Finding.UNCLEAR, 0), (0.56, Finding.PERHAPS_WORSE, 0), (0.54, Finding.WORSE, 3)]
)
def test_one_seed_is_decided_by_the_default_limit(two: Two, now: float, finding: Finding, code: int) -> None:
    two.both("kd", [0.60], [now])
    gate = two.gate()
    assert (gate.rows[0].finding, gate.exit_code) == (finding, code)
    assert "points that one seed may move" in gate.rows[0].notes[0]


def test_thresholds_take_the_place_of_the_default_limit(two: Two) -> None:
    two.both("kd", [0.60], [0.54])
    gate = two.gate(thresholds=(parse("miou < -7"),))
    assert (gate.rows[0].finding, gate.rows[0].floor, gate.exit_code) == (Finding.PERHAPS_WORSE, None, EXIT_DONE)
    gate = two.gate(thresholds=(parse("miou < -7"), parse("macc<=-5.9")))
    assert gate.rows[0].crossed == ("macc -6.00 points, and macc <= -5.9 fails",)
    assert gate.exit_code == EXIT_REGRESSION


def test_a_threshold_on_the_gain_looks_at_the_gain(two: Two, tmp_path: Path) -> None:
    other = Two(tmp_path / "other")
    other.both("none", [0.50], [0.55])
    other.both("kd", [0.60], [0.61])
    gate = other.gate(thresholds=(parse("gain < -3"),))
    assert {row.name: row.crossed for row in gate.rows}["kd"] == ("gain -4.00 points, and gain < -3 fails",)
    assert gate.exit_code == EXIT_REGRESSION


def test_a_threshold_whose_metric_is_gone_is_crossed_and_one_without_any_metric_is_no_success(two: Two) -> None:
    with_metrics(two.reference, two.reference.done("kd", 0.55), mean_boundary_iou=0.4)
    folder = two.current.done("kd", 0.55)
    gate = two.gate(thresholds=(parse("boundary_iou < -1"),))
    assert gate.rows[0].crossed == ("boundary_iou < -1 cannot be told: the boundary_iou is gone",)
    assert gate.exit_code == EXIT_REGRESSION
    with_metrics(two.current, folder, mean_boundary_iou=0.395)
    assert two.gate(thresholds=(parse("boundary_iou < -1"),)).exit_code == EXIT_DONE
    only = two.gate(thresholds=(parse("boundary_iou < -0.4"),))
    assert only.exit_code == EXIT_REGRESSION


def test_a_threshold_that_nothing_can_be_held_against_is_no_success(two: Two) -> None:
    gate = two.gate(thresholds=(parse("boundary_iou < -1"),))
    assert gate.exit_code == EXIT_NOT_COMPARABLE
    assert "boundary_iou < -1" in gate.summary


def test_differences_within_the_margin_are_the_same(two: Two) -> None:
    two.both("kd", [0.55, 0.56, 0.54, 0.55], [0.5499, 0.5599, 0.5399, 0.5499])
    assert found(two.gate())["kd"] is Finding.WORSE
    assert found(two.gate(margin=0.1))["kd"] is Finding.SAME


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("miou", "write metric, operator and limit"),
        ("", "write metric, operator and limit"),
        ("< -1", "write metric, operator and limit"),
        ("mIoU < -1", "Did you mean 'miou'?"),
        ("miou == -1", "the operator is one of"),
        ("miou < lots", "'lots' is not a number"),
        ("miou < nan", "'nan' is not a number"),
        ("miou < ", "'' is not a number"),
    ],
)
def test_mistaken_expressions_are_told_with_an_example(text: str, part: str) -> None:
    with pytest.raises(BenchError) as raised:
        parse(text)
    assert part in str(raised.value)
    assert repr(text) in str(raised.value)


@pytest.mark.parametrize(("sign", "hits"), [("<", [-2]), ("<=", [-2, -1]), (">", [0]), (">=", [-1, 0])])
def test_every_operator_means_what_it_says(sign: str, hits: list[float]) -> None:
    threshold = parse(f" pixel_accuracy{sign}-1.0 ")
    assert [points for points in (-2, -1, 0) if threshold.crossed(points)] == hits
    assert str(threshold) == f"pixel_accuracy {sign} -1"


@pytest.mark.parametrize("n_seeds", [2, 3, 5])
def test_of_two_identical_arms_the_gate_seldom_finds_one_worse(n_seeds: int) -> None:
    """Six rows, all noise: any false alarm has a chance of at most alpha / 2, as the test has two sides."""
    draw = random.Random(n_seeds)
    n_trials, alarms, rules = 250, 0, Rules(alpha=0.10)
    for _ in range(n_trials):
        sides = [{f"m{row}": [draw.gauss(0.6, 0.01) for _ in range(n_seeds)] for row in range(6)} for _ in range(2)]
        gate = check(fabricated(sides[0]), fabricated(sides[1]).arms, rules)
        alarms += gate.exit_code == EXIT_REGRESSION
    assert alarms <= 0.05 * n_trials + 3 * (0.05 * 0.95 * n_trials) ** 0.5


def test_a_planted_difference_of_three_deviations_is_mostly_found() -> None:
    draw = random.Random(0)
    hits = 0
    for _ in range(100):
        before = {f"m{row}": [draw.gauss(0.6, 0.01) for _ in range(6)] for row in range(4)}
        now = {label: [draw.gauss(0.57 if label == "m0" else 0.6, 0.01) for _ in range(6)] for label in before}
        hits += found(check(fabricated(now), fabricated(before).arms, Rules()))["m0"] is Finding.WORSE
    assert hits >= 75


def test_a_baseline_is_read_as_it_was_written(two: Two, tmp_path: Path) -> None:
    two.both("kd", [0.55, 0.56], params={"tau": 4.0}, label='k|d / "ä" \x07' + "x" * 200)
    with_metrics(two.reference, two.reference.done("cwd", 0.5), mean_boundary_iou=0.4)
    two.reference.failed("cwd", 1)
    path = tmp_path / "deep" / "baseline.json"
    arms = read_arms(two.reference.run).arms
    write_baseline(path, arms, "before", "2026-01-01T00:00:00+00:00")
    kept = read_baseline(path)
    assert (kept.run, kept.created) == ("before", "2026-01-01T00:00:00+00:00")
    assert [(arm.identity, arm.conditions) for arm in kept.arms] == [(arm.identity, arm.conditions) for arm in arms]
    assert [arm.conditions.fields for arm in kept.arms] == [arm.conditions.fields for arm in arms]
    for mine, theirs in zip(kept.arms, arms, strict=True):
        for metric in ("miou", "macc", "pixel_accuracy", "mean_boundary_iou", "gain"):
            assert mine.scores(metric) == theirs.scores(metric)
    gate = check(read_arms(two.reference.run), kept.arms, Rules())
    assert gate.exit_code == EXIT_DONE
    assert set(found(gate).values()) == {Finding.SAME}


def test_a_run_without_a_score_makes_no_baseline(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run")
    builder.failed("none")
    with pytest.raises(BenchError, match="nothing to keep"):
        write_baseline(tmp_path / "b.json", read_arms(builder.run).arms, "run", "now")
    assert not (tmp_path / "b.json").exists()


@pytest.fixture
def baseline_file(two: Two, tmp_path: Path) -> Path:
    path = tmp_path / "b.json"
    write_baseline(path, read_arms(two.reference.run).arms, "before", "now")
    return path


def test_a_baseline_torn_at_any_place_is_refused(baseline_file: Path) -> None:
    whole = baseline_file.read_bytes()
    for length in range(0, len(whole) - 2, 41):
        baseline_file.write_bytes(whole[:length])
        with pytest.raises(BenchError, match=str(baseline_file)):
            read_baseline(baseline_file)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"schema": 99}, "upgrade bench"),
        ({"schema": "1"}, "no schema version"),
        ({"schema": True}, "no schema version"),
        ({"run": "other"}, "does not match its digest"),
        ({"digest": None}, "does not match its digest"),
    ],
)
def test_a_changed_baseline_is_refused(baseline_file: Path, change: dict[str, Any], part: str) -> None:
    write_json(baseline_file, {**json.loads(baseline_file.read_text()), **change})
    with pytest.raises(BenchError, match=part):
        read_baseline(baseline_file)


@pytest.mark.parametrize("text", ["[]", "null", "7", '"x"', "[" * 100_000, "\udcff", "<<<<<<< HEAD"])
def test_what_is_no_baseline_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "b.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(BenchError, match="no baseline"):
        read_baseline(path)


@pytest.mark.parametrize("rows", [7, [7], [{"dataset": None}], [{}]])
def test_a_sealed_file_of_another_shape_is_refused(baseline_file: Path, rows: Any) -> None:
    write_json(baseline_file, seal({**json.loads(baseline_file.read_text()), "rows": rows}))
    with pytest.raises(BenchError, match="rows"):
        read_baseline(baseline_file)


def test_an_absent_baseline_has_nothing_to_compare_and_a_folder_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(NotComparable, match="--update") as raised:
        read_baseline(tmp_path / "none.json")
    assert raised.value.exit_code == EXIT_NOT_COMPARABLE
    with pytest.raises(BenchError, match="cannot be read") as refused:
        read_baseline(tmp_path)
    assert not isinstance(refused.value, NotComparable)


def test_what_an_update_costs_is_told(two: Two) -> None:
    two.both("kd", [0.55, 0.56], [0.54, 0.55])
    two.reference.done("cwd", 0.5)
    assert lowered(two.gate()) == [
        "lowers the reference of kd by 1.00 points",
        "cwd has no score in this run: its reference goes",
    ]


def test_versions_and_devices_that_differ_are_told(two: Two) -> None:
    two.reference.done("kd", 0.5, device="cpu: one")
    two.current.done("kd", 0.5, device="cpu: other")
    (note,) = two.gate().notes
    assert note.startswith("device: ")
    assert "cpu: one" in note
    assert "cpu: other" in note


def test_every_arm_is_matched_once(two: Two) -> None:
    two.both("kd", [0.5], crop=32)
    two.current.done("kd", 0.5, crop=16)
    two.reference.done("at", 0.5)
    two.current.done("cwd", 0.5)
    first, second = read_arms(two.reference.run).arms, read_arms(two.current.run).arms
    matches = match(first, second)
    assert [found.first for found in matches if found.first] == list(first)
    assert sorted(str(found.second) for found in matches if found.second) == sorted(str(arm) for arm in second)
    assert RunFolder(two.reference.run.path) == two.reference.run
