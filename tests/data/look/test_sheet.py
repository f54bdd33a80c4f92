import io

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision import tv_tensors

from bench.base.errors import BenchError
from bench.data.base import Samples
from bench.data.facts import DatasetInfo
from bench.data.look.sheet import CELL_HEIGHT, CELL_WIDTH, GAP, TEXT_HEIGHT, choose, contact_sheet
from bench.data.read.palette import voc_colormap

IGNORE = 255


def info(k, **given):
    names = tuple(f"class {index} of a name that is much too long for any legend" for index in range(k))
    return DatasetInfo(names, voc_colormap(k + 1)[1:], (0, 0, 0), (1, 1, 1), "here", **given)


class Masks(Samples):
    """Grey images with the given masks."""

    def __init__(self, *masks):
        self.masks = masks
        self.names = [f"sample {index} " + "with a long name " * 12 for index in range(len(masks))]

    def __getitem__(self, index):
        mask = self.masks[index]
        if isinstance(mask, Exception):
            raise mask
        mask = np.asarray(mask, np.uint8)
        image = np.full((3, *mask.shape), 128, np.uint8)
        return tv_tensors.Image(torch.from_numpy(image)), tv_tensors.Mask(torch.from_numpy(mask))


def colours(image):
    return {colour for _, colour in image.getcolors(maxcolors=2**24)}


def column(sheet, number):
    left = GAP + number * (CELL_WIDTH + GAP)
    top = 2 * TEXT_HEIGHT + GAP + 2
    return sheet.image.crop((left, top, left + CELL_WIDTH, top + CELL_HEIGHT - 2))


@given(st.integers(1, 60), st.integers(1, 60), st.none() | st.integers(0, 9))
def test_positions_are_distinct_sorted_and_inside(total, n, seed):
    chosen = choose(total, n, seed)
    assert len(chosen) == min(n, total)
    assert list(chosen) == sorted(set(chosen))
    assert 0 <= chosen[0] <= chosen[-1] < total


def test_positions_are_spread_over_the_split_or_drawn():
    assert choose(101, 5) == (0, 25, 50, 75, 100)
    assert choose(1000, 5, 0) == choose(1000, 5, 0) != choose(1000, 5, 1)


def test_a_sheet_shows_image_labels_and_overlay_in_the_palette():
    k = info(4)
    mask = np.repeat([[0, 1], [2, 3]], 150, 0).repeat(200, 1)
    sheet = contact_sheet(Masks(mask), k, 3)
    assert sheet.shown == (0,)
    assert colours(column(sheet, 0)) == {(128, 128, 128)}
    assert colours(column(sheet, 1)) == set(k.palette)
    mixed = {tuple(round(128 + 0.55 * (value - 128)) for value in colour) for colour in k.palette}
    for colour in colours(column(sheet, 2)):
        assert min(max(abs(a - b) for a, b in zip(colour, other, strict=True)) for other in mixed) <= 1


@pytest.mark.parametrize("ignore_index", [255, 0])
def test_ignored_pixels_are_striped_whatever_their_value(ignore_index):
    sheet = contact_sheet(Masks(np.full((300, 400), ignore_index)), info(2, ignore_index=ignore_index), 1)
    shown = colours(column(sheet, 1))
    assert len(shown) == 2
    assert all(len(set(colour)) == 1 for colour in shown)


def test_labels_of_no_class_stand_out():
    assert colours(column(contact_sheet(Masks(np.full((300, 400), 99)), info(2), 1), 1)) == {(255, 0, 255)}


@pytest.mark.parametrize("shape", [(1, 1), (3, 4), (2000, 10), (10, 2000), (1, 5000), (5000, 1), (1000, 1000)])
def test_any_shape_fits_and_stays_visible(shape):
    k = info(2)
    sheet = contact_sheet(Masks(np.ones(shape, np.uint8)), k, 1)
    pixels = np.asarray(sheet.image)[: 2 * TEXT_HEIGHT + 2 * GAP + CELL_HEIGHT]
    assert (pixels == k.palette[1]).all(axis=-1).any(axis=1).sum() >= 12
    assert sheet.image.height < 500


def test_the_legend_grows_with_the_classes_that_occur_alone():
    few = contact_sheet(Masks(np.tile([[0, 1], [2, IGNORE]], (10, 10))), info(150), 1)
    many = contact_sheet(Masks(np.tile(np.arange(150), (150, 1))), info(150), 1)
    assert few.image.width == many.image.width
    assert 300 < many.image.height - few.image.height < 1000
    legend = many.image.crop((0, many.image.height - 800, many.image.width, many.image.height))
    assert set(info(150).palette) <= colours(legend)


def test_a_broken_sample_leaves_the_others():
    broken = BenchError("/data/x.png: broken")
    sheet = contact_sheet(Masks(np.zeros((4, 4)), broken, RuntimeError("no codec"), np.ones((4, 4))), info(2), 4)
    assert sheet.shown == (0, 1, 2, 3)
    assert sheet.problems[0] == "/data/x.png: broken"
    assert "RuntimeError: no codec" in sheet.problems[1]
    assert set(info(2).palette) <= colours(sheet.image)
    with pytest.raises(BenchError, match="broken"):
        contact_sheet(Masks(broken), info(2), 1)


def test_an_empty_split_is_told():
    with pytest.raises(BenchError, match="empty"):
        contact_sheet(Masks(), info(2), 1)


def test_the_png_is_the_same_each_time_and_can_be_read():
    samples = Masks(*(np.full((5, 5), index % 2) for index in range(20)))
    first, second = (contact_sheet(samples, info(2), 4, seed=3) for _ in range(2))
    assert first.png() == second.png()
    with Image.open(io.BytesIO(first.png())) as image:
        assert image.size == first.image.size
