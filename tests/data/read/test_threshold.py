from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.base.errors import BenchError
from bench.data.read.reading import read_levels, read_mask
from bench.data.read.threshold import ThresholdLabels

LEVELS = np.array([[0, 100, 127], [128, 200, 255]], np.uint8)


def save(path: Path, image: Image.Image) -> Path:
    image.save(path)
    return path


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "I;16", "F"])
def test_levels_from_the_threshold_on_are_the_second_class(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(LEVELS.astype(np.uint16)) if mode == "I;16" else Image.fromarray(LEVELS).convert(mode)
    path = save(tmp_path / ("a.tif" if mode == "F" else "a.png"), image)
    read = ThresholdLabels(128).read(path)
    assert read.dtype == np.uint8
    assert read.tolist() == [[0, 0, 0], [1, 1, 1]]


def test_palettes_are_looked_up_and_bits_are_black_and_white(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([255, 255, 255, 0, 0, 0])
    assert read_levels(save(tmp_path / "p.png", image)).tolist() == [[255, 0]]
    assert read_levels(save(tmp_path / "b.png", Image.fromarray(np.array([[True, False]])))).tolist() == [[255, 0]]


def test_what_is_transparent_is_black(tmp_path: Path) -> None:
    white = Image.new("L", (2, 1), 255)
    alpha = Image.fromarray(np.array([[255, 64]], np.uint8))
    assert read_levels(save(tmp_path / "a.png", Image.merge("LA", (white, alpha)))).tolist() == [[255, 64]]


def test_colours_are_refused_but_the_tint_of_a_loss_is_not(tmp_path: Path) -> None:
    red = np.full((4, 4, 3), (255, 0, 0), np.uint8)
    with pytest.raises(BenchError, match=r"a\.png: 16 pixels are coloured"):
        read_levels(save(tmp_path / "a.png", Image.fromarray(red)))
    grey = np.full((16, 16, 3), 200, np.uint8)
    assert (read_levels(save(tmp_path / "a.jpg", Image.fromarray(grey))) == 200).all()


def test_ways_of_reading_are_told_apart() -> None:
    assert ThresholdLabels(1.0).identity() != ThresholdLabels(2.0).identity()


def floats(path: Path, *values: float) -> Path:
    return save(path / "f.tif", Image.fromarray(np.array([values], np.float32)))


def test_floats_that_are_whole_are_numbers_of_classes(tmp_path: Path) -> None:
    read = read_mask(floats(tmp_path, 0, 1, 255))
    assert read.dtype == np.int64
    assert read.tolist() == [[0, 1, 255]]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ((0, 0.5, 1), r"f\.tif: 1 pixels hold numbers that are not whole, such as 0\.5.*threshold: 0\.5"),
        ((0, float("nan"), float("inf")), r"f\.tif: 2 pixels hold no number"),
        ((0, 1e12), r"f\.tif: holds 1e\+12, which is too large"),
    ],
)
def test_other_floats_are_refused_in_a_sentence(tmp_path: Path, values: tuple[float, ...], sentence: str) -> None:
    with pytest.raises(BenchError, match=sentence):
        read_mask(floats(tmp_path, *values))
    if np.isfinite(values).all():
        assert read_levels(floats(tmp_path, *values)).tolist() == [[pytest.approx(value) for value in values]]
    else:
        with pytest.raises(BenchError, match="hold no number"):
            read_levels(floats(tmp_path, *values))
