"""Fonts for pictures: matplotlib's own, and for letters that it has not got those that the machine has."""

from __future__ import annotations

import contextlib
import itertools
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import ImageDraw, ImageFont

FAMILY = "DejaVu Sans"
"""Comes with matplotlib, so it is on every machine."""

_PREFERRED = (
    "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans CJK KR", "Noto Sans JP", "Noto Sans SC", "Noto Sans KR",
    "Source Han Sans", "Hiragino Sans", "PingFang SC", "Apple SD Gothic Neo", "Yu Gothic", "Microsoft YaHei",
    "Malgun Gothic", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "IPAexGothic", "Noto Sans",
)  # fmt: skip
_NO_LETTERS = ("lastresort", "last resort", "blank", "fallback", "color")
"""In the names of fonts that have a box for every letter, or pictures where others have outlines."""
_WIDE = ("CJK", "HANGUL", "HIRAGANA", "KATAKANA", "BOPOMOFO")
_NAMED = 12

_missing: ContextVar[set[str] | None] = ContextVar("missing", default=None)


@dataclass(frozen=True)
class Font:
    """An installed font.

    Attributes:
        family: how matplotlib knows it.
        path: its file.
    """

    family: str
    path: Path


@contextlib.contextmanager
def letters_without_font() -> Iterator[set[str]]:
    """Collect the letters that no font has and that are drawn in the block, as boxes."""
    found: set[str] = set()
    token = _missing.set(found)
    try:
        yield found
    finally:
        _missing.reset(token)


def without_font(letters: Iterable[str]) -> str:
    """Return the sentence for letters that no font has."""
    found = sorted(letters)
    named = ", ".join(found[:_NAMED]) + (f" and {len(found) - _NAMED} more" if len(found) > _NAMED else "")
    scripts = sorted({unicodedata.name(letter, "?").split()[0].split("-")[0] for letter in found} - {"?"})
    told = f" ({', '.join(scripts)})" if scripts else ""
    which = "Noto Sans CJK" if set(scripts) & set(_WIDE) else "one of the Noto fonts"
    return (
        f"no installed font has {named}{told}: pictures show boxes in their place. Install such a font, for example "
        f"{which}, and draw them again."
    )


def fonts_for(text: str) -> tuple[Font, ...]:
    """Return the fonts that have the letters of a text, matplotlib's own first; the others only where it lacks some."""
    if text.isascii():
        return (_own(),)
    lacking = dict.fromkeys(letter for letter in text if not _has(letter))
    if not lacking:
        return (_own(),)
    index, missing = _installed(), _missing.get()
    if missing is not None:
        missing.update(letter for letter in lacking if ord(letter) not in index)
    return tuple(dict.fromkeys((_own(), *(index[ord(letter)] for letter in lacking if ord(letter) in index))))


def families(text: str) -> list[str]:
    """Return the families of :func:`fonts_for`, for matplotlib, which takes each letter from the first that has it."""
    from matplotlib import font_manager

    found = fonts_for(text)
    for font in found[1:]:
        if all(known.fname != str(font.path) for known in font_manager.fontManager.ttflist):
            font_manager.fontManager.addfont(font.path)  # installed since matplotlib made its list
    return [font.family for font in found]


@contextlib.contextmanager
def every_letter(figure: Figure) -> Iterator[None]:
    """Let a figure of matplotlib's take each letter from a font that has it, while it is saved in the block."""
    import matplotlib as mpl
    from matplotlib.text import Text

    several = False
    for text in figure.findobj(Text):
        if len(found := families(text.get_text())) > 1:
            text.set_fontfamily(found)
            several = True
    # most fonts of Chinese, Japanese and Korean have outlines of a kind that is lost from PDFs of type 42
    with mpl.rc_context({"pdf.fonttype": 3} if several else {}):
        yield


class Letters:
    """Draws text with Pillow, which knows one font at a time.

    Args:
        pixels: the size.
    """

    def __init__(self, pixels: float) -> None:
        self._pixels = pixels
        self._own = _opened(_own(), pixels)

    def getlength(self, text: str) -> float:
        """Return the width of one line in pixels."""
        return sum(font.getlength(part) for font, part in self._parts(text))

    def getmetrics(self) -> tuple[int, int]:
        """Return how far letters reach above and below the line that they stand on, in pixels."""
        return self._own.getmetrics()

    def draw(
        self, pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, colour: Any, anchor: str = "la"
    ) -> None:
        """Draw one line.

        Args:
            pen: draws on a picture.
            at: where the anchor is, left and top in pixels.
            text: the line.
            colour: of the letters.
            anchor: ``l`` or ``m`` for its left end or middle, then ``a`` or ``m`` for its upper edge or middle.
        """
        parts = list(self._parts(text))
        if all(font is self._own for font, _ in parts):
            pen.text(at, text, colour, self._own, anchor)
            return
        left, top = at
        above, below = self.getmetrics()
        left -= self.getlength(text) / 2 if anchor[0] == "m" else 0
        base = top + (above if anchor[1] == "a" else (above - below) / 2)
        for font, part in parts:
            pen.text((left, base), part, colour, font, "ls")
            left += font.getlength(part)

    def _parts(self, text: str) -> Iterator[tuple[ImageFont.FreeTypeFont, str]]:
        """Yield the text in pieces of one font each; what no font has is left to the first."""
        if len(fonts_for(text)) == 1:
            yield self._own, text
            return
        index = _installed()
        for font, letters in itertools.groupby(text, lambda letter: None if _has(letter) else index.get(ord(letter))):
            yield (self._own if font is None else _opened(font, self._pixels)), "".join(letters)


@cache
def _own() -> Font:
    from matplotlib import get_data_path

    return Font(FAMILY, Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")


@cache
def _own_letters() -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(_own().path)).get_charmap())


def _has(letter: str) -> bool:
    """Tell whether matplotlib's own font has a letter, or it is none that is drawn."""
    return ord(letter) in _own_letters() or letter.isspace() or not letter.isprintable()


@cache
def _opened(font: Font, pixels: float) -> ImageFont.FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.truetype(str(font.path), pixels)


def _files() -> Iterable[str]:
    from matplotlib import font_manager

    return font_manager.findSystemFonts()


@cache
def _installed() -> Mapping[int, Font]:
    """Return a font for each letter that matplotlib's own has not got and another font of the machine has."""
    from matplotlib.ft2font import FT2Font

    candidates = []
    for path in _files():
        with contextlib.suppress(Exception):  # a damaged file is no font, whatever it raises
            face = FT2Font(path)
            family, plain = str(face.family_name), face.style_name in ("Regular", "Book", "Medium")
            if face.scalable and not any(word in family.lower() for word in _NO_LETTERS):
                rank = _PREFERRED.index(family) if family in _PREFERRED else len(_PREFERRED)
                candidates.append((rank, not plain, str(path), Font(family, Path(path))))
    index: dict[int, Font] = {}
    for *_, font in sorted(candidates, key=lambda candidate: candidate[:3]):
        for code in FT2Font(str(font.path)).get_charmap().keys() - _own_letters():
            index.setdefault(code, font)
    return index
