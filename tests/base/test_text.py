"""Text for the screen: nothing in a name acts on a terminal, and nothing that is no UTF-8 is lost."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.base.text import escaped, is_text, one_line, visible, whole_characters

ANYTHING = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE} 道路 \N{GRINNING FACE}", None),
        ("a\n  b", None),
        ("\x1b[31mred\x1b[0m", " [31mred [0m"),
        ("a\u202eb\u2066c\u200fd", "a b c d"),
        ("a\r\tb\x07\x9b1m", "a  b  1m"),
        (os.fsdecode(b"caf\xe9.png"), r"caf\xe9.png"),
        ("\ud83d", r"\ud83d"),
    ],
)
def test_what_acts_on_a_terminal_becomes_visible(text: str, shown: str | None) -> None:
    assert visible(text) == (text if shown is None else shown)


@given(ANYTHING)
def test_what_is_shown_can_be_printed_anywhere(text: str) -> None:
    for shown in (visible(text), one_line(text), one_line(text, 10)):
        assert shown.replace("\n", "").isprintable()
        assert is_text(shown)
    assert "\n" not in one_line(text)
    assert len(one_line(text, 10)) <= 10
    assert visible(visible(text)) == visible(text)


@given(st.binary(max_size=8))
def test_every_name_of_a_file_can_be_told(name: bytes) -> None:
    text = os.fsdecode(name)
    assert is_text(escaped(text))
    assert is_text(text) == (escaped(text) == text)


def test_two_halves_are_one_character() -> None:
    assert whole_characters("a\ud83d\ude00b") == "a\N{GRINNING FACE}b"
    assert whole_characters("a\ud83db") == "a\ud83db"
