"""Images of more than 8 bits a channel and of several pages: how they are read, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from bench.base.errors import BenchError
from bench.data.read.depth import FULL, NoRangeError, Span, n_levels, span_of_option, suggested, to_bytes
from bench.data.read.images import decode, look, own_values, read_image
from bench.data.read.pages import n_pages

tifffile = pytest.importorskip("tifffile")
RNG = np.random.RandomState(0)
GREY = RNG.randint(0, 4096, (4, 5)).astype(np.uint16)
COLOUR = RNG.randint(0, 4096, (4, 5, 3)).astype(np.uint16)
TWELVE_BITS = Span(0, 4095)


def tiff(path: Path, values: NDArray[np.generic], **options: object) -> Path:
    tifffile.imwrite(path, values, **({"photometric": "minisblack"} | options))
    return path


def png(path: Path, values: NDArray[np.generic]) -> Path:
    Image.fromarray(values).save(path)
    return path


def colour_tiff(**options: object) -> Callable[[Path], Path]:
    return lambda path: tiff(path / "c.tif", COLOUR, photometric="rgb", **options)


def with_alpha(path: Path) -> Path:
    values = np.concatenate([COLOUR, COLOUR[..., :1]], axis=2)
    return tiff(path / "a.tif", values, photometric="rgb", extrasamples=["unassalpha"])


COLOUR_FILES = [colour_tiff(), colour_tiff(byteorder=">"), colour_tiff(compression="zlib"), with_alpha]


@pytest.mark.parametrize("write", [png, tiff, lambda path, values: tiff(path, values, byteorder=">")])
def test_grey_of_16_bits_is_read_by_the_range_that_is_given(tmp_path: Path, write) -> None:
    path = write(tmp_path / ("g.png" if write is png else "g.tif"), GREY)
    np.testing.assert_array_equal(read_image(path)[0], GREY >> 8)
    np.testing.assert_array_equal(read_image(path, FULL)[0], GREY >> 8)
    np.testing.assert_array_equal(read_image(path, TWELVE_BITS)[2], GREY >> 4)
    facts = decode(path)[1]
    assert facts.levels == (GREY.min(), GREY.max())
    assert look(path) == facts


@pytest.mark.parametrize("write", COLOUR_FILES)
def test_colours_of_16_bits_are_read_by_the_range_that_is_given(tmp_path: Path, write) -> None:
    path = write(tmp_path)
    np.testing.assert_array_equal(read_image(path).permute(1, 2, 0), COLOUR >> 8)
    np.testing.assert_array_equal(read_image(path, TWELVE_BITS).permute(1, 2, 0), COLOUR >> 4)
    np.testing.assert_array_equal(own_values(path), COLOUR)
    levels = look(path).levels
    assert levels is not None
    assert levels.high == COLOUR.max() | 255  # of the upper byte, as nothing more is read


def test_colours_stored_channel_by_channel_are_refused_instead_of_read_wrong(tmp_path: Path) -> None:
    path = tiff(tmp_path / "p.tif", COLOUR.transpose(2, 0, 1).copy(), photometric="rgb", planarconfig="separate")
    with pytest.raises(BenchError, match=r"p\.tif: a TIFF of 16 bits that stores one channel after the other"):
        read_image(path)
    eight = (COLOUR >> 4).astype(np.uint8).transpose(2, 0, 1).copy()
    path = tiff(tmp_path / "e.tif", eight, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(path), eight)


def test_images_of_8_bits_are_the_same_whatever_the_range(tmp_path: Path) -> None:
    values = RNG.randint(0, 256, (4, 5, 3)).astype(np.uint8)
    path = png(tmp_path / "e.png", values)
    np.testing.assert_array_equal(read_image(path, TWELVE_BITS).permute(1, 2, 0), values)
    assert decode(path)[1].levels is None


@pytest.mark.parametrize(
    ("values", "told", "span"),
    [
        (GREY.astype(np.float32) / 4095, "floating-point numbers from", "[0, 1]"),
        (GREY.astype(np.int16) - 1000, "whole numbers from -", "[-"),
        (GREY.astype(np.uint32) * 1_000_000, "whole numbers from", "000000]"),
    ],
)
def test_values_beyond_16_bits_need_a_range(tmp_path: Path, values, told: str, span: str) -> None:
    path = tiff(tmp_path / "v.tif", values)
    with pytest.raises(NoRangeError) as caught:
        read_image(path)
    assert f"v.tif: {told}" in str(caught.value)
    assert "nothing tells which are black and white. Give the dataset image_range: [" in str(caught.value)
    assert span in str(caught.value)
    levels = caught.value.levels
    assert levels == pytest.approx((values.min(), values.max()))
    read = read_image(path, levels)
    assert (int(read.min()), int(read.max())) == (0, 255)
    np.testing.assert_array_equal(np.argsort(values, axis=None)[[0, -1]], [np.argmin(values), np.argmax(values)])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(tmp_path: Path, bad: float) -> None:
    values = np.ones((4, 5), np.float32)
    values[1, 2] = bad
    with pytest.raises(BenchError, match=r"n\.tif: some of its values are no finite numbers"):
        read_image(tiff(tmp_path / "n.tif", values), Span(0, 1))


def test_the_first_of_several_pages_is_read_and_their_number_is_known(tmp_path: Path) -> None:
    stack = RNG.randint(0, 256, (3, 4, 5)).astype(np.uint8)
    path = tiff(tmp_path / "s.tif", stack)
    np.testing.assert_array_equal(read_image(path)[0], stack[0])
    assert (decode(path)[1].pages, look(path).pages, n_pages(path)) == (3, 3, 3)
    assert n_pages(tiff(tmp_path / "one.tif", stack[0])) == 1
    assert n_pages(tmp_path / "absent.tif") == 1


def test_a_damaged_further_page_does_not_matter(tmp_path: Path) -> None:
    stack = RNG.randint(0, 256, (2, 4, 5)).astype(np.uint8)
    path = tiff(tmp_path / "s.tif", stack)
    whole = path.read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[: len(whole) - 40])
    np.testing.assert_array_equal(read_image(tmp_path / "cut.tif")[0], stack[0])


@given(st.integers(-70_000, 70_000), st.integers(1, 200_000))
def test_a_range_meets_black_and_white_and_keeps_the_order(low: int, width: int) -> None:
    span = Span(low, low + width)
    values = np.linspace(low - 10, low + width + 10, 300).astype(np.int64)
    read = to_bytes(values, Span(values.min(), values.max()), span, "x").astype(int)
    assert (np.diff(read) >= 0).all()
    assert (read[values <= low] == 0).all()
    assert (read[values >= low + width] >= 256 - max(1, 256 // (width + 1)) - 1).all()


@given(st.integers(0, 65535))
def test_the_whole_range_keeps_the_upper_byte_and_8_bits_keep_all(value: int) -> None:
    values = np.array([value])
    assert to_bytes(values, Span(value, value), FULL, "x")[0] == value >> 8
    assert to_bytes(values % 256, Span(0, 255), Span(0, 255), "x")[0] == value % 256


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.booleans())
def test_what_is_suggested_holds_the_values(low: float, width: float, whole: bool) -> None:
    levels = Span(round(low), round(low + width)) if whole else Span(low, low + width)
    wanted = suggested(levels, whole)
    tolerance = 0 if whole else 1e-9
    assert wanted.low <= levels.low + tolerance
    assert wanted.high >= levels.high - tolerance
    assert wanted.low < wanted.high


@pytest.mark.parametrize(
    ("levels", "whole", "expected"),
    [
        ((60, 145), True, (0, 255)),
        ((3, 1000), True, (0, 1023)),
        ((0, 4000), True, (0, 4095)),
        ((29_000, 31_000), True, (29_000, 31_000)),
        ((-1000, 2998), True, (-1000, 2998)),
        ((0.01, 0.98), False, (0, 1)),
        ((0.5, 250.0), False, (0, 255)),
        ((-104.126, 107.747), False, (-105, 108)),
        ((7, 7), True, (7, 8)),
    ],
)
def test_usual_ranges_are_suggested_where_they_are_filled(levels, whole: bool, expected) -> None:
    assert suggested(Span(*levels), whole) == expected


def test_the_levels_that_are_left_of_16_bits() -> None:
    assert [n_levels(Span(*one)) for one in ((0, 65535), (0, 255), (0, 4095), (29_000, 31_000))] == [256, 1, 16, 9]


@pytest.mark.parametrize("given", [(5, 5), (9, 1)])
def test_a_range_without_anything_in_it_is_refused(given) -> None:
    with pytest.raises(BenchError, match=r"mine: image_range: \[\d, \d\]: the value of black has to be below"):
        span_of_option(given, "mine")
