from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.base.errors import BenchError
from bench.data.look.inspection import inspect
from bench.matrix.matrix import load_matrix
from bench.matrix.settings import Settings
from bench.plan.groups import build_plan
from tests.data.own import SIZE, Writer, hard, labels_of, look, noise, pair, tagged

FOUR = range(4)


def put(root: Path, image: int, mask: int, suffixes: tuple[str, str] = (".jpg", ".png")) -> Path:
    """Write photographs and masks with two EXIF orientations."""
    return pair(root, [tagged(hard, mask, suffixes[1])] * 4, tagged(noise, image, suffixes[0]))


def across(seed: int) -> Image.Image:
    return noise(seed, (SIZE[1], SIZE[0]))


def refused(root: Path) -> str:
    with pytest.raises(BenchError) as caught:
        look(root)
    return str(caught.value)


@pytest.mark.parametrize(("orientation", "turn"), [(6, "a quarter clockwise"), (8, "a quarter anticlockwise")])
def test_a_turned_photograph_with_an_unturned_mask_is_told_by_its_turn(
    tmp_path: Path, orientation: int, turn: str
) -> None:
    told = refused(put(tmp_path, orientation, 0))
    assert f"The image is turned by {turn} by its EXIF tag, the mask fits the image as it is stored" in told
    assert "do not resize" in told
    assert "Make both the same size" not in told


def test_a_turned_mask_with_an_unturned_image_is_told_by_its_turn(tmp_path: Path) -> None:
    told = refused(put(tmp_path, 0, 6))
    assert "The mask is turned by a quarter clockwise by its EXIF tag, its stored pixels fit the image" in told


def test_a_mask_that_lies_across_without_any_tag_is_not_to_be_resized(tmp_path: Path) -> None:
    assert "The mask lies across its image" in refused(pair(tmp_path, map(hard, FOUR), tagged(across, 0, ".png")))


@pytest.mark.parametrize("suffixes", [(".jpg", ".png"), (".tif", ".tif"), (".jpg", ".tif"), (".tif", ".png")])
def test_image_and_mask_with_the_same_tag_are_turned_alike(tmp_path: Path, suffixes: tuple[str, str]) -> None:
    assert "may lie otherwise" not in look(put(tmp_path, 6, 6, suffixes))[0]
    for name, labels in labels_of(tmp_path).items():
        turned = hard(int(name)).transpose(Image.Transpose.ROTATE_270)
        np.testing.assert_array_equal(labels, np.asarray(turned) > 0)


def test_a_mask_drawn_over_the_turned_photograph_needs_no_tag(tmp_path: Path) -> None:
    turned = [hard(seed).transpose(Image.Transpose.ROTATE_270) for seed in FOUR]
    assert "may lie otherwise" not in look(pair(tmp_path, turned, tagged(noise, 6, ".jpg")))[0]


@pytest.mark.parametrize(("image", "mask"), [(3, 0), (0, 3), (2, 0), (6, 8)])
def test_tags_that_differ_where_the_sizes_fit_are_told(tmp_path: Path, image: int, mask: int) -> None:
    told = look(put(tmp_path, image, mask))[0]
    assert "note: 4 masks may lie otherwise than their images" in told
    assert "by their EXIF tags the image is" in told


def test_a_square_photograph_fits_either_way(tmp_path: Path) -> None:
    square = [hard(seed).crop((0, 0, 64, 64)) for seed in FOUR]
    pair(tmp_path, square, tagged(lambda seed: noise(seed, (64, 64)), 6, ".jpg"))
    assert "the image is turned by a quarter clockwise and the mask is not turned" in look(tmp_path)[0]


def paged(*pages: Image.Image) -> Writer:
    """Return what writes a mask of several pages."""
    return lambda path: pages[0].save(path.with_suffix(".tif"), save_all=True, append_images=list(pages[1:]))


def test_further_pages_of_a_mask_are_told_but_not_smaller_copies(tmp_path: Path) -> None:
    small = hard(0).resize((48, 32))
    pair(tmp_path, [paged(hard(0), hard(1), hard(2)), paged(hard(3), small), paged(hard(4), small), paged(hard(5))])
    told = look(tmp_path)[0]
    assert (
        f"note: 1 masks have several pages, such as {tmp_path}/masks/0.tif with 3: only the first page is read" in told
    )
    plan = build_plan(load_matrix(str(tmp_path / "m.yaml")), Settings(results=tmp_path / "results"))
    found = inspect(plan.data, plan.cells[0].cell.dataset.splits)  # type: ignore[arg-type]
    assert sum("several pages" in remark.text for remark in found.warnings) == 1
    assert not found.problems
