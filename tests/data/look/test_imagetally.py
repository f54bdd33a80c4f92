"""What ``init`` says and writes for images of more than 8 bits a channel and of several pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.look.imagetally import tally_images

tifffile = pytest.importorskip("tifffile")


def deep(path: Path, least: int, most: int) -> Path:
    Image.fromarray(np.linspace(least, most, 64).astype(np.uint16).reshape(8, 8)).save(path)
    return path


def test_images_of_8_bits_need_nothing(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    found = tally_images([tmp_path / "a.png", tmp_path / "absent.png"])
    assert (found.n_read, found.span, found.remarks) == (1, None, [])


def test_images_that_use_all_of_16_bits_are_told_and_need_nothing(tmp_path: Path) -> None:
    found = tally_images([deep(tmp_path / "a.png", 0, 65_535)])
    assert found.span is None
    assert found.remarks == [
        "1 of 1 images have more than 8 bits a channel and use the values 0 to 65535; what becomes black and white is "
        "image_range: [0, 65535]"
    ]


def test_the_range_holds_the_values_of_all_images(tmp_path: Path) -> None:
    Image.new("L", (4, 4), 200).save(tmp_path / "c.png")
    found = tally_images([deep(tmp_path / "a.png", 0, 900), deep(tmp_path / "b.png", 100, 3000), tmp_path / "c.png"])
    assert (found.n_deep, found.levels, found.span) == (2, (0, 3000), (0, 4095))


def test_floating_point_always_needs_a_range(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "f.tif", np.linspace(0, 60_000, 64).astype(np.float32).reshape(8, 8))
    assert tally_images([tmp_path / "f.tif"]).span == (0, 65_535)


def test_pages_are_told(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "p.tif", np.zeros((3, 8, 8), np.uint8), photometric="minisblack")
    assert tally_images([tmp_path / "p.tif"]).remarks == ["1 of 1 images hold several pages: the first of each is used"]
