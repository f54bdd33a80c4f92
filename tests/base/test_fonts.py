"""Letters that matplotlib's own font has not got: drawn in a font of the machine, or told."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from bench.base import fonts
from bench.base.fonts import FAMILY, Letters, every_letter, families, fonts_for, letters_without_font, without_font
from tests.fontfile import machine_with, write_font


@pytest.fixture
def squares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine with one font, which has one letter of two."""
    (tmp_path / "torn.ttf").write_bytes(b"no font")
    with machine_with(monkeypatch, tmp_path / "torn.ttf", path := write_font(tmp_path / "squares.ttf", "道")):
        yield path


def drawn(text: str, anchor: str = "la") -> np.ndarray:
    image = Image.new("L", (80, 40), 255)
    Letters(20).draw(ImageDraw.Draw(image), (4, 4) if anchor == "la" else (40, 20), text, 0, anchor)
    return np.asarray(image) < 128


def test_each_letter_is_taken_from_a_font_that_has_it(squares: Path) -> None:
    assert [font.path for font in fonts_for("a 道")][1:] == [squares]
    assert families("a 道") == [FAMILY, "Squares"]
    assert families("a ü Ж 路") == [FAMILY]


def test_letters_of_no_font_are_collected_where_that_is_asked_for(squares: Path) -> None:
    fonts_for("道路 ก")
    with letters_without_font() as found:
        fonts_for("道路 ก\u200b\n")
    assert found == {"路", "ก"}
    assert without_font(found) == (
        "no installed font has ก, 路 (CJK, THAI): pictures show boxes in their place. Install such a font, for example "
        "Noto Sans CJK, and draw them again."
    )
    assert "one of the Noto fonts" in without_font({"ก"})
    assert "and 8 more" in without_font({chr(0x4E00 + index) for index in range(20)})


def test_usual_text_looks_for_no_font(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_installed", lambda: 1 / 0)
    assert families("plain, Straße → ±1 Ж…") == [FAMILY]


def test_pillow_draws_pieces_of_several_fonts_in_one_line(squares: Path) -> None:
    letters = Letters(20)
    assert letters.getlength("道道") == 40
    assert letters.getlength("a道") == letters.getlength("a") + 20
    square = drawn("道")
    above = letters.getmetrics()[0]
    assert square.sum() == 20 * 16, "the square stands where the line's letters stand"
    assert square[4 + above - 16 : 4 + above, 4:24].all()
    middle = drawn("道", "mm")
    assert middle.any(axis=0).nonzero()[0][[0, -1]].tolist() == [30, 49]
    assert (drawn("H") != drawn("道")).any()


def test_pillow_draws_usual_text_as_it_always_did() -> None:
    image = Image.new("L", (80, 40), 255)
    ImageDraw.Draw(image).text((40, 20), "Hg ü", 0, Letters(20)._own, "mm")
    assert ((np.asarray(image) < 128) == drawn("Hg ü", "mm")).all()


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_a_figure_takes_each_letter_from_a_font_that_has_it(squares: Path, kind: str) -> None:
    figure = Figure(figsize=(2, 1))
    figure.text(0.1, 0.5, "a 道", family=FAMILY)
    written = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with every_letter(figure):
            figure.savefig(written, format=kind)
    assert written.getvalue()
