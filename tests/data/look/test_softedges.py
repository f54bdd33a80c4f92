from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from bench.data.look.softedges import SoftEdges, soft_edges
from tests.data.own import SIZE, hard, shape, smooth

METHODS = [Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS]


def seen(folder: Path, masks: list[Image.Image], suffix: str = ".png") -> SoftEdges | None:
    paths = [folder / f"{index}{suffix}" for index in range(len(masks))]
    for path, mask in zip(paths, masks, strict=True):
        mask.save(path)
    return soft_edges(paths)


def found(folder: Path, masks: list[Image.Image], suffix: str = ".png") -> SoftEdges:
    soft = seen(folder, masks, suffix)
    assert soft is not None
    return soft


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    stored = io.BytesIO()
    image.save(stored, "JPEG", quality=quality)
    return Image.open(stored).copy()


def regions(seed: int, classes: int, side: int) -> Image.Image:
    """Random regions of running class numbers, crossed by lines of one pixel."""
    random = np.random.RandomState(seed)
    centres = random.rand(20, 2) * side
    labels = random.randint(0, classes, len(centres))
    rows, columns = np.mgrid[:side, :side]
    nearest = ((rows[..., None] - centres[:, 0]) ** 2 + (columns[..., None] - centres[:, 1]) ** 2).argmin(-1)
    drawn = labels[nearest]
    drawn[random.randint(side, size=3)] = random.randint(classes)
    drawn[:, random.randint(side, size=3)] = random.randint(classes)
    return Image.fromarray(drawn.astype(np.uint8))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("level", "threshold"), [(255, 128), (128, 64)])
def test_resized_masks_are_soft_and_the_middle_divides_them(
    tmp_path: Path, method: Image.Resampling, level: int, threshold: int
) -> None:
    soft = found(tmp_path, [shape(seed, level).resize(SIZE, method) for seed in range(4)])
    assert soft.areas == (0, level)
    assert soft.threshold == threshold
    assert 0 not in soft.between
    assert level not in soft.between


def test_a_halved_mask_has_few_levels_of_edges(tmp_path: Path) -> None:
    halved = [shape(seed, scale=2).resize(SIZE, Image.Resampling.BOX) for seed in range(4)]
    assert found(tmp_path, halved).between == {64, 128, 192}


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_what_was_once_jpeg_is_soft(tmp_path: Path, quality: int) -> None:
    assert found(tmp_path, [jpeg(hard(seed), quality) for seed in range(4)]).threshold in (127, 128)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_every_way_to_store_grey_is_looked_through(tmp_path: Path, mode: str) -> None:
    assert found(tmp_path, [smooth(seed).convert(mode) for seed in range(4)]).threshold == 128


def test_lossy_webp_and_16_bits(tmp_path: Path) -> None:
    assert found(tmp_path, [hard(seed).convert("RGB") for seed in range(4)], ".webp").threshold in (127, 128)
    deep = [Image.fromarray(np.asarray(smooth(seed)).astype(np.uint16) * 257) for seed in range(4)]
    assert found(tmp_path, deep).threshold == 32768


def test_more_than_two_levels_and_colours_have_no_threshold(tmp_path: Path) -> None:
    three = [
        Image.fromarray(np.maximum(np.asarray(shape(seed)), np.asarray(shape(seed + 9, 100)))) for seed in range(4)
    ]
    soft = found(tmp_path, [image.resize(SIZE, Image.Resampling.BILINEAR) for image in three])
    assert soft.areas == (0, 100, 255)
    assert soft.threshold is None
    black = Image.new("L", SIZE)
    soft = found(tmp_path, [Image.merge("RGB", (smooth(seed), black, black)) for seed in range(4)])
    assert "at edges of the areas of (0, 0, 0) and (255, 0, 0)" in soft.told
    assert soft.threshold is None


def test_thin_objects_without_any_area_are_found_by_their_many_levels(tmp_path: Path) -> None:
    thin = [image.filter(ImageFilter.FIND_EDGES) for image in map(shape, range(4))]
    assert found(tmp_path, [image.resize(SIZE, Image.Resampling.BICUBIC) for image in thin]).areas[0] == 0


def test_few_grey_pixels_beside_white_are_what_a_loss_leaves(tmp_path: Path) -> None:
    pixels = np.asarray(hard(0)).copy()
    rows, columns = np.nonzero(pixels)
    pixels[rows[:9], columns[:9]] = 254
    assert found(tmp_path, [Image.fromarray(pixels)]).between == {254}


@pytest.mark.parametrize("classes", [2, 3, 21, 34, 150])
@pytest.mark.parametrize("side", [32, 96])
def test_numbers_of_classes_are_not_soft(tmp_path: Path, classes: int, side: int) -> None:
    assert seen(tmp_path, [regions(seed, classes, side) for seed in range(10)]) is None


@pytest.mark.parametrize("border", [255, 1, 128])
def test_a_class_at_all_borders_is_not_soft(tmp_path: Path, border: int) -> None:
    masks = []
    for seed in range(6):
        pixels = np.asarray(hard(seed, 2)).copy()
        edge = np.zeros(pixels.shape, bool)
        edge[:, 1:] |= np.diff(pixels, axis=1) != 0
        edge[1:] |= np.diff(pixels, axis=0) != 0
        pixels[edge] = border
        masks.append(Image.fromarray(pixels))
    assert seen(tmp_path, masks) is None


def test_grey_levels_of_classes_and_noise_are_not_soft(tmp_path: Path) -> None:
    levels = np.array([0, 64, 128, 191, 255], np.uint8)
    assert seen(tmp_path, [Image.fromarray(levels[np.asarray(regions(seed, 5, 64))]) for seed in range(6)]) is None
    assert (
        seen(tmp_path, [Image.fromarray(np.random.RandomState(0).randint(0, 256, (64, 64, 3)).astype(np.uint8))])
        is None
    )


def test_files_that_cannot_be_read_are_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no image")
    assert soft_edges([tmp_path / "a.png"]) is None
