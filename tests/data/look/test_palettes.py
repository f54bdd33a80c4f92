from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.look.palettes import palette_clash

K, R, G, B = (0, 0, 0), (200, 0, 0), (0, 200, 0), (0, 0, 200)
Colours = tuple[tuple[int, int, int], ...]


def save(path: Path, values: tuple[int, ...], colours: Colours) -> Path:
    image = Image.fromarray(np.tile(np.array(values, np.uint8), (4, 4)))
    image.putpalette([part for colour in colours for part in colour])
    image.save(path)
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif", ".gif", ".bmp"])
def test_a_value_with_two_colours_is_told_with_both_files(tmp_path: Path, suffix: str) -> None:
    first = save(tmp_path / f"a{suffix}", (0, 1), (K, R))
    other = save(tmp_path / f"b{suffix}", (0, 1), (K, G))
    told = palette_clash([first, first, other])
    assert f"the value 1 is the colour {R} in {first} and {G} in {other}" in told


def test_a_colour_with_two_values_is_told(tmp_path: Path) -> None:
    first = save(tmp_path / "a.png", (0, 1), (K, R))
    other = save(tmp_path / "b.png", (0, 2), (K, G, R))
    assert f"the colour {R} is the value 1 in {first} and 2 in {other}" in palette_clash([first, other])


@pytest.mark.parametrize(
    ("values", "colours"),
    [
        ((0, 1, 2), (K, R, G)),  # the same
        ((0, 1), (K, R)),  # shorter
        ((0, 1), (K, R, B)),  # another colour of a value that does not occur
        ((0, 1, 3), (K, R, G, B)),  # one more
    ],
)
def test_palettes_that_agree_where_values_occur_are_no_clash(
    tmp_path: Path, values: tuple[int, ...], colours: Colours
) -> None:
    first = save(tmp_path / "a.png", (0, 1, 2), (K, R, G))
    assert palette_clash([first, save(tmp_path / "b.png", values, colours)]) == ""


def test_one_palette_may_give_a_colour_to_several_values(tmp_path: Path) -> None:
    both = [save(tmp_path / f"{values[1]}.png", values, (K, R, R)) for values in ((0, 1), (0, 2))]
    assert palette_clash(both) == ""


def test_masks_without_palettes_and_broken_ones_are_left_to_others(tmp_path: Path) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no image")
    assert palette_clash([tmp_path / "a.png", tmp_path / "b.png", save(tmp_path / "c.png", (0, 1), (K, R))]) == ""
