"""The floor of the gate: what a mean may not fall below, how seldom noise does, and that evidence never excuses."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.base.errors import EXIT_DONE, EXIT_REGRESSION
from bench.leaderboard.arms import Arms
from bench.leaderboard.baseline import read_baseline
from bench.leaderboard.findings import Checked, Finding, Gate, Rules
from bench.leaderboard.gate import check
from bench.leaderboard.statistics import Reason
from bench.leaderboard.thresholds import parse
from bench.tasks.metric import Scoring
from bench.tasks.segmentation.scores import SCORING
from tests.depth_run import DEPTH
from tests.leaderboard.fabricated import fabricated

Scores = dict[str, list[float]]
QUIET = {"none": [0.600, 0.606, 0.597], "cwd": [0.652, 0.645, 0.649]}


def gate_of(before: Scores, now: Scores, *fail_on: str, scoring: Scoring = SCORING, **rules: Any) -> Gate:
    thresholds = tuple(parse(text, [scoring]) for text in fail_on)
    current, reference = (fabricated(scores, scoring=scoring) for scores in (now, before))
    return check(current, reference.arms, Rules(thresholds=thresholds, **rules))


def row_of(gate: Gate, name: str = "kd") -> Checked:
    return next(row for row in gate.rows if row.name == name)


def held(before: list[float], now: list[float], *fail_on: str, others: Scores = QUIET, **rules: Any) -> Gate:
    """Hold one method that changed against its reference, others that did not beside it."""
    return gate_of({**others, "kd": before}, {**others, "kd": now}, *fail_on, **rules)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ([0.062, 0.052], [0.004, 0.014]),  # 5.7 to 0.9
        ([0.55, 0.56], [0.49, 0.448]),  # by 8.6
        ([0.55], [0.487]),  # by 6.3
        ([0.55, 0.56], [0.41, 0.30]),  # by 20
        ([0.55, 0.56, 0.54], [0.54, 0.45, 0.51]),
        ([0.24, 0.17], [0.02, 0.01]),
    ],
)
def test_a_method_that_fell_far_fails_at_every_number_of_seeds(before: list[float], now: list[float]) -> None:
    gate = held(before, now)
    row = row_of(gate)
    assert (row.finding, gate.exit_code) == (Finding.WORSE, EXIT_REGRESSION)
    assert row.judgement is not None
    assert row.judgement.reason is Reason.FLOOR
    assert row.floor is not None
    assert np.mean(now) < row.floor < np.mean(before)
    assert f"the floor is {100 * row.floor:.2f} %" in row.reasons[0]


def test_the_floor_follows_from_the_metric_where_the_reference_is_quiet() -> None:
    for n in (1, 2, 4):
        row = row_of(held([0.600, 0.604, 0.598, 0.601][:n], [0.600] * n))
        assert row.tested is not None
        assert row.floor == pytest.approx(row.tested.reference - 0.05 / math.sqrt(n))


def test_the_more_the_seeds_of_the_reference_differ_the_lower_the_floor_lies() -> None:
    own = row_of(held([0.60, 0.66], [0.60, 0.66])).floor
    assert own == pytest.approx(0.63 - 5.5 * 0.06 / math.sqrt(2) / math.sqrt(2))
    noisy = {"none": [0.60, 0.66], "cwd": [0.61, 0.68]}
    assert (row_of(held([0.630, 0.631], [0.63, 0.63], others=noisy)).floor or 1) < 0.63 - 0.05


def test_the_spread_of_another_dataset_says_nothing() -> None:
    noisy = fabricated({"none": [0.3, 0.6], "at": [0.2, 0.5]}, dataset="other")
    before, now = (fabricated({**QUIET, "kd": scores}) for scores in ([0.60, 0.61], [0.56, 0.56]))
    gate = check(now, (*before.arms, *noisy.arms), Rules())
    assert row_of(gate).finding is Finding.WORSE


def test_a_reference_without_any_spread_fails_no_noise_and_an_exact_rerun_is_the_same() -> None:
    constant = {"none": [0.6, 0.6], "kd": [0.5, 0.5]}
    rerun = gate_of(constant, constant)
    assert {row.finding for row in rerun.rows} == {Finding.SAME}
    noise = gate_of(constant, {"none": [0.6, 0.6], "kd": [0.505, 0.485]})
    assert (row_of(noise).finding, noise.exit_code) == (Finding.UNCLEAR, EXIT_DONE)


@pytest.mark.parametrize(
    ("rise", "finding"), [(0.12, Finding.WORSE), (0.06, Finding.PERHAPS_WORSE), (0.03, Finding.UNCLEAR)]
)
def test_an_error_fails_where_it_rises_above_the_floor(rise: float, finding: Finding) -> None:
    before = {"none": [0.80, 0.82], "kd": [0.50, 0.52]}
    now = {**before, "kd": [0.50 + rise - 0.02, 0.52 + rise + 0.02]}
    gate = gate_of(before, now, scoring=DEPTH)
    row = row_of(gate)
    assert (row.finding, gate.exit_code == EXIT_REGRESSION) == (finding, finding is Finding.WORSE)
    assert (row.floor or 0) > 0.51
    fallen = gate_of(before, {**before, "kd": [0.38 - 0.02, 0.40 + 0.02]}, scoring=DEPTH)
    assert (row_of(fallen).finding, fallen.exit_code) == (Finding.BETTER, EXIT_DONE)


@pytest.mark.parametrize(
    ("fail_on", "finding", "code"),
    [
        ("miou < -30", Finding.PERHAPS_WORSE, EXIT_DONE),
        ("miou < -10", Finding.PERHAPS_WORSE, EXIT_REGRESSION),
        ("miou > 10", Finding.WORSE, EXIT_REGRESSION),
        ("gain < -30", Finding.WORSE, EXIT_REGRESSION),  # nothing here has a gain
    ],
)
def test_a_threshold_on_the_score_takes_the_place_of_the_floor(fail_on: str, finding: Finding, code: int) -> None:
    gate = held([0.55, 0.56], [0.41, 0.30], fail_on)
    assert row_of(gate).finding is finding
    if not gate.unused:
        assert gate.exit_code == code


def test_a_margin_lowers_the_floor() -> None:
    gate = held([0.55, 0.56], [0.49, 0.448], margin=9.0)
    assert (row_of(gate).finding, gate.exit_code) == (Finding.UNCLEAR, EXIT_DONE)
    assert row_of(gate).floor == pytest.approx(0.555 - 0.09)


def test_a_large_fall_that_is_unclear_warns_and_passes() -> None:
    gate = held([0.60, 0.68], [0.58, 0.64])
    row = row_of(gate)
    assert (row.finding, row.warning, gate.exit_code) == (Finding.PERHAPS_WORSE, True, EXIT_DONE)
    assert row.reasons == (
        "worse by 3.00 points, which is large, more than 2.5 points, but 2 seeds cannot tell it from noise",
    )
    assert gate.summary == "no regression in 3 compared rows: 1 perhaps worse, 2 same"


def test_a_row_of_other_seeds_tells_the_means_that_were_tested() -> None:
    before, now = fabricated({"kd": [0.60, 0.61, 0.62]}), fabricated({"kd": [0.63, 0.50, 0.51]}, first=2)
    row = check(now, before.arms, Rules()).rows[0]
    assert row.tested is not None
    assert row.judgement is not None
    assert row.judgement.difference.test == "welch"
    assert row.tested.difference == pytest.approx(row.judgement.difference.mean)


QUICK = Path(__file__).parents[2] / "results" / "baselines" / "quick.json"


def quick(label: str, change: float, seeds: int = 2) -> Gate:
    """Hold the references of the quick matrix against themselves, one method changed."""
    arms = read_baseline(QUICK).arms
    changed = []
    for arm in arms:
        by = change if arm.identity.label == label else 0.0
        trials = {
            seed: replace(
                trial, metrics={**trial.metrics, "miou": (trial.metrics["miou"] or 0) + by * (0.7 + 0.6 * seed)}
            )
            for seed, trial in list(arm.trials.items())[:seeds]
        }
        changed.append(replace(arm, trials=trials))
    return check(Arms(tuple(changed)), arms, Rules())


def test_references_of_an_earlier_version_have_floors_and_are_the_same_as_themselves() -> None:
    gate = quick("none", 0.0)
    assert {row.finding for row in gate.rows} == {Finding.SAME}
    assert all(row.floor is not None for row in gate.rows)


@pytest.mark.parametrize(("label", "change", "seeds"), [("cwd", -0.086, 2), ("cwd", -0.09, 1), ("bcd", -0.2, 2)])
def test_a_far_fall_from_references_of_an_earlier_version_fails(label: str, change: float, seeds: int) -> None:
    assert [row.name for row in quick(label, change, seeds).rows if row.regression] == [label]


@dataclass(frozen=True)
class Stage:
    """What is known of a method: seeds on both sides and exact moments of the reference and of the change."""

    seeds: tuple[int, int]
    reference_sd: float
    sd: float


def exactly(mean: float, sd: float, n: int) -> np.ndarray:
    """Return n scores of that mean and standard deviation."""
    if n < 2:
        return np.full(n, mean)
    steps = np.arange(n) - (n - 1) / 2
    return mean + steps / steps.std(ddof=1) * sd


def sides(change: float, stage: Stage, paired: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return reference and current scores; paired differences have the moments where both know a seed."""
    (n, m), common = stage.seeds, min(stage.seeds)
    reference = exactly(0.6, stage.reference_sd, n)
    current = exactly(0.6 + change, stage.sd, m)
    if paired:
        current[:common] = reference[:common] + np.roll(exactly(change, stage.sd, common), 1)
    return reference, current


MOST_OF_ONE_SEED = 0.05 / 5.5
"""A spread of the reference that is no wider than what one seed is taken to have."""


@st.composite
def growing(draw: st.DrawFn) -> tuple[float, Stage, Stage]:
    """Return a change of the mean with what is known of it before and after more seeds of no more spread."""
    change = draw(st.floats(-0.25, 0.05))
    seeds = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    more = draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))
    reference_sd = draw(st.floats(0, MOST_OF_ONE_SEED if seeds[0] == 1 else 0.08))
    sd = draw(st.floats(0, 0.1))
    calmer = draw(st.floats(0.2, 1))
    after = (seeds[0] + more[0], seeds[1] + more[1])
    return change, Stage(seeds, reference_sd, sd), Stage(after, calmer * reference_sd, calmer * sd)


@given(st.lists(growing(), min_size=1, max_size=4), st.booleans(), st.sampled_from([0.0, 0.5, 3.0]), st.booleans())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_more_seeds_of_the_same_or_less_spread_never_make_a_failure_pass(
    methods: list[tuple[float, Stage, Stage]], paired: bool, margin: float, higher: bool
) -> None:
    scoring = SCORING if higher else DEPTH
    gates = []
    for at in (1, 2):
        made = [sides(method[0] if higher else -2 * method[0], method[at], paired) for method in methods]
        before, now = (
            fabricated({f"m{i}": one[side].tolist() for i, one in enumerate(made)}, 50 * (side and not paired), scoring)
            for side in (0, 1)
        )
        gates.append(check(now, before.arms, Rules(margin=margin if higher else margin / 50)))
    failed, after = ({row.name for row in gate.rows if row.regression} for gate in gates)
    assert failed <= after


def draws(kind: str, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return noise of standard deviation 1: normal, or Student's t with 3 degrees of freedom."""
    if kind == "normal":
        return generator.normal(size=shape)
    return generator.standard_t(3, shape) / math.sqrt(3)


@pytest.mark.parametrize(
    ("n", "m", "spread"),
    [(1, 1, 0.01), (2, 1, 0.02), (2, 2, 0.01), (2, 2, 0.02), (3, 3, 0.02), (5, 5, 0.02), (2, 5, 0.02)],
)
def test_identical_arms_fail_no_more_often_than_the_level(n: int, m: int, spread: float) -> None:
    """Whole checks of methods that did not change: paired by seed or not, few or several, normal or heavy-tailed."""
    generator, alarms, trials = np.random.default_rng(100 * n + m), [], 40
    for n_methods in (2, 6):
        for kind in ("normal", "heavy"):
            for first, shared in ((0, 0.0), (0, 0.5), (50, 0.0)):
                of_seed = draws(kind, generator, (trials, n_methods, max(n, m)))
                before, now = (
                    0.6
                    + spread
                    * (
                        math.sqrt(shared) * of_seed[:, :, :seeds]
                        + math.sqrt(1 - shared) * draws(kind, generator, (trials, n_methods, seeds))
                    )
                    for seeds in (n, m)
                )
                for one, other in zip(before, now, strict=True):
                    reference = fabricated({f"m{i}": row for i, row in enumerate(one.tolist())})
                    current = fabricated({f"m{i}": row for i, row in enumerate(other.tolist())}, first)
                    alarms.append(check(current, reference.arms, Rules()).exit_code == EXIT_REGRESSION)
    assert np.mean(alarms) <= 0.05
