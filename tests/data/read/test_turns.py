from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.read.images import read_image
from bench.data.read.reading import read_colours, read_levels, read_mask, read_size
from tests.data.own import tagged

PIXELS = np.arange(10, dtype=np.uint8).reshape(2, 5)
TURNED = {
    1: PIXELS,
    2: PIXELS[:, ::-1],
    3: PIXELS[::-1, ::-1],
    4: PIXELS[::-1],
    5: PIXELS.T,
    6: np.rot90(PIXELS, -1),
    7: np.rot90(PIXELS, 2).T,
    8: np.rot90(PIXELS),
}


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("orientation", TURNED)
def test_every_way_of_reading_turns_a_file_alike(tmp_path: Path, orientation: int, suffix: str) -> None:
    tagged(lambda _: Image.fromarray(PIXELS), orientation, suffix)(tmp_path / "0")
    path, expected = tmp_path / f"0{suffix}", TURNED[orientation]
    assert read_size(path) == expected.shape
    for read in (read_mask(path), read_levels(path), read_colours(path)[..., 0], read_image(path)[0].numpy()):
        np.testing.assert_array_equal(read, expected)


def test_a_senseless_orientation_turns_nothing(tmp_path: Path) -> None:
    tagged(lambda _: Image.fromarray(PIXELS), 99, ".png")(tmp_path / "0")
    assert read_size(tmp_path / "0.png") == PIXELS.shape
    np.testing.assert_array_equal(read_mask(tmp_path / "0.png"), PIXELS)
