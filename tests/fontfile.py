"""A font made for tests: a few letters, each a filled square that fills its whole width."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from bench.base import fonts

EM = 1000


def write_font(path: Path, letters: str, family: str = "Squares") -> Path:
    """Write a font that has these letters."""
    names = [".notdef", *(f"square{ord(letter):x}" for letter in letters)]
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 800), (EM, 800), (EM, 0)):
        pen.lineTo(corner)
    pen.closePath()
    square = pen.glyph()
    builder = FontBuilder(EM, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(letter): name for letter, name in zip(letters, names[1:], strict=True)})
    builder.setupGlyf(dict.fromkeys(names, square))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (EM, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path


@contextmanager
def machine_with(monkeypatch: pytest.MonkeyPatch, *files: Path) -> Iterator[None]:
    """Let a machine have these fonts besides matplotlib's own."""
    with monkeypatch.context() as patch:
        patch.setattr(fonts, "_files", lambda: [str(path) for path in files])
        fonts._installed.cache_clear()
        yield
    fonts._installed.cache_clear()
