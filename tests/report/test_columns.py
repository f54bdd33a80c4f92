from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.base.text import one_line
from bench.leaderboard import Row
from bench.report.columns import columns
from bench.report.values import quantity, spread, states
from bench.tasks.segmentation.scores import SCORING

MIOU = SCORING.primary


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (None, 3, ""),
        (0, 3, "0"),
        (999, 3, "999"),
        (21027, 3, "21.0 k"),
        (999_999, 3, "1.00 M"),
        (1_234_567, 3, "1.23 M"),
        (3_364_320, 2, "3.4 M"),
        (1_180_000_000, 2, "1.2 G"),
        (197_530_720, 2, "200 M"),
        (987_654_321, 3, "988 M"),
    ],
)
def test_quantity(value: float | None, digits: int, text: str) -> None:
    assert quantity(value, digits) == text


@given(st.integers(1, 10**15))
def test_quantity_is_within_half_a_unit_of_the_last_digit(value: int) -> None:
    number, _, prefix = quantity(value, 3).partition(" ")
    scale = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}[prefix]
    assert float(number) * scale == pytest.approx(value, rel=0.005 + 1e-9)
    assert float(number) < 1000


def test_scores_are_percent_with_two_decimals() -> None:
    assert MIOU.text(0.65843) == "65.84"
    assert spread(MIOU, 0.65843, 0.0063) == "65.84 ± 0.63"
    assert spread(MIOU, 0.65843, None) == "65.84"
    assert spread(MIOU, 0.017, 0.002, signed=True) == "+1.70 ± 0.20"
    assert spread(MIOU, -0.017, None, signed=True) == "-1.70"
    assert spread(MIOU, None, None) == ""


def test_states_are_counted_in_words() -> None:
    assert states(Row("kd", states={"planned": 2, "diverged": 1})) == "1 diverged, 2 planned"


def test_one_line_drops_control_characters_and_shortens_in_the_middle() -> None:
    assert one_line("a\n\tb\x1b[31mc") == "a b [31mc"
    short = one_line("abc" * 100, 20)
    assert len(short) == 20
    assert short.startswith("abcabc")
    assert short.endswith("abc")


@given(st.text(max_size=300), st.integers(2, 50))
def test_one_line_never_exceeds_its_limit(text: str, limit: int) -> None:
    short = one_line(text, limit)
    assert len(short) <= limit
    assert short.isprintable()


def test_importance_has_no_ties() -> None:
    made = columns(SCORING)
    assert len({column.importance for column in made}) == len(made)
