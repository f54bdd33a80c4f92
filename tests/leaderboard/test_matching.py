"""Which arm of one run goes with which of another."""

from __future__ import annotations

from dataclasses import replace

from bench.base.files import canonical
from bench.leaderboard.arms import Arm, Conditions, Identity
from bench.leaderboard.matching import match, names
from bench.tasks.segmentation.scores import SCORING


def arm(label: str, protocol: str = "p", models: str = "{}", params: dict[str, object] | None = None) -> Arm:
    parts = [canonical({"name": name}) for name in ("data", "big", "small")]
    method = canonical({"name": label, "params": params or {}})
    return Arm(Identity(parts[0], parts[1], parts[2], method, label), Conditions(protocol, models), {}, SCORING)


def test_every_arm_is_matched_once_and_those_without_counterpart_come_alone() -> None:
    first, second = [arm("kd"), arm("at")], [arm("cwd"), arm("kd")]
    found = match(first, second)
    assert [(pair.first, pair.second) for pair in found] == [(first[0], second[1]), (first[1], None), (None, second[0])]


def test_equal_conditions_go_together_before_others() -> None:
    first, second = [arm("kd", "one")], [arm("kd", "two"), arm("kd", "one")]
    pair, rest = match(first, second)
    assert (pair.second, dict(pair.differing)) == (second[1], {})
    assert (rest.first, rest.second) == (None, second[0])


def test_what_is_left_is_paired_by_the_fewest_differences_which_are_told() -> None:
    near, far = canonical({"teacher": {"a": 1}}), canonical({"teacher": {"a": 1, "b": 2, "c": 3}})
    (pair, _) = match([arm("kd")], [arm("kd", models=far), arm("kd", models=near)])
    assert dict(pair.differing) == {"teacher.a": (None, 1)}


def test_labels_that_two_rows_share_are_told_apart_by_what_differs() -> None:
    plain, warm = arm("kd", params={"tau": 4}).identity, arm("kd", params={"tau": 2}).identity
    other = replace(plain, student=canonical({"name": "other"}))
    assert names([plain, warm, other]) == ["kd (method.params.tau=4)", "kd (method.params.tau=2)", "kd"]
