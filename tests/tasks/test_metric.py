"""How a metric tells values, differences and gains."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.tasks.metric import Metric, Scoring
from bench.tasks.scorings import described
from bench.tasks.segmentation.scores import SCORING
from tests.depth_run import DEPTH, RMSE

SHARE = Metric("share", "Share", "How much of it.")
PLAIN = Metric("loss", "Loss", higher_is_better=False, scale=1, unit="", digits=1, noticeable=2.0)


@pytest.mark.parametrize(
    ("metric", "title", "axis", "difference"),
    [
        (SHARE, "Share (%)", "Share (%)", "points of Share"),
        (RMSE, "RMSE (m)", "RMSE (m), lower is better", "m of RMSE"),
        (PLAIN, "Loss", "Loss, lower is better", "Loss"),
    ],
)
def test_titles_have_the_unit_and_axes_the_direction(metric: Metric, title: str, axis: str, difference: str) -> None:
    assert (metric.title, metric.axis, metric.difference_title) == (title, axis, difference)


@pytest.mark.parametrize(
    ("metric", "value", "text", "difference"),
    [
        (SHARE, 0.12345, "12.35", "+12.35 points"),
        (RMSE, -0.12345, "-0.123", "-0.123 m"),
        (PLAIN, 1.0, "1.0", "+1.0"),
    ],
)
def test_values_are_told_as_shown(metric: Metric, value: float, text: str, difference: str) -> None:
    assert metric.text(value) == text
    assert metric.difference_with_unit(value) == difference
    assert metric.rounded(value) == float(text)
    assert (metric.text(None), metric.difference(None), metric.rounded(None)) == ("", "", None)


def test_a_gain_is_positive_for_better_whichever_direction_that_is() -> None:
    assert SHARE.gain(0.6, 0.5) == pytest.approx(0.1)
    assert RMSE.gain(0.6, 0.5) == pytest.approx(-0.1)


def test_the_limit_is_the_noticeable_difference_as_shown() -> None:
    assert [metric.limit for metric in (SHARE, RMSE, PLAIN)] == [5.0, 0.1, 2.0]


def test_words_for_percent() -> None:
    assert (SHARE.unit_name, SHARE.difference_unit, SHARE.difference_name) == ("percent", "points", "percentage points")
    assert (RMSE.unit_name, RMSE.difference_unit, RMSE.difference_name) == ("m", "m", "m")


@pytest.mark.parametrize("scoring", [SCORING, DEPTH])
def test_a_scoring_is_described_by_its_record_but_for_its_code(scoring: Scoring) -> None:
    found = described(scoring.record())
    code = {"read": scoring.read, "settings": scoring.settings, "extras": scoring.extras}
    assert replace(found, **code) == scoring
    assert dict(found.extras) == dict(scoring.extras)


def test_former_names_find_the_metric() -> None:
    found = SCORING.metric("boundary_iou")
    assert found is not None
    assert (found.key, SCORING.metric("nothing")) == ("mean_boundary_iou", None)


@pytest.mark.parametrize("keys", [(), ("gain",), ("a", "a")])
def test_metrics_have_names_of_their_own(keys: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="names of their own"):
        Scoring("odd", tuple(Metric(key, key) for key in keys))
