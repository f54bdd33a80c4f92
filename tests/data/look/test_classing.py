from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.base.errors import BenchError
from bench.data.look.masktally import likely_classes
from tests.data.own import hard, labels_of, look, pair, smooth

COLOURS = ((0, 0, 0), (200, 0, 0), (0, 200, 0))


def numbers(seed: int) -> np.ndarray:
    """Classes 0, 1 and 2; the last is the commonest."""
    drawn = 2 - np.asarray(hard(seed, 1)).astype(np.uint8)
    drawn[:5] = 0
    return drawn


def grey(mode: str, count: int = 4) -> list[Image.Image]:
    return [Image.fromarray(np.stack([numbers(seed)] * 3, axis=-1)).convert(mode) for seed in range(count)]


def coloured(seed: int, order: tuple[int, ...]) -> Image.Image:
    """A mask whose colours tell its classes and whose numbers are those of an order."""
    image = Image.fromarray(np.argsort(order)[numbers(seed)].astype(np.uint8))
    image.putpalette([part for place in order for part in COLOURS[place]])
    return image


def refused(root: Path, *arguments: object) -> str:
    with pytest.raises(BenchError) as caught:
        look(root, *arguments)
    return str(caught.value)


def test_palettes_that_differ_are_refused_and_can_be_read_by_colour(tmp_path: Path) -> None:
    pair(tmp_path, [coloured(seed, (0, 1, 2) if seed % 2 else (2, 1, 0)) for seed in range(4)])
    told = refused(tmp_path)
    assert "the palettes of the masks differ: the value 0 is the colour" in told
    assert "\n    --by-colour\n" in told
    _, written = look(tmp_path, "--by-colour")
    assert list(written["colours"].values()) == [[0, 200, 0], [200, 0, 0], [0, 0, 0]]  # the commonest first
    for name, labels in labels_of(tmp_path).items():
        np.testing.assert_array_equal(labels, np.array([2, 1, 0])[numbers(int(name))])


def test_numbers_have_no_colours_to_be_told_by(tmp_path: Path) -> None:
    assert "hold numbers without colours" in refused(pair(tmp_path, [hard(0), hard(1)]), "--by-colour")


def test_smooth_masks_are_refused_with_the_threshold_to_add(tmp_path: Path) -> None:
    pair(tmp_path, map(smooth, range(4)))
    told = refused(tmp_path)
    assert "all 4 masks have smooth edges" in told
    assert "\n    --threshold 128\n" in told
    shown, written = look(tmp_path, "--threshold", 128)
    assert written["threshold"] == 128
    assert written["classes"] == ["class_0", "class_1"]
    assert "128 and more" in shown
    assert not {"values", "ignore", "colours"} & written.keys()
    for name, labels in labels_of(tmp_path).items():
        np.testing.assert_array_equal(labels, np.asarray(smooth(int(name))) >= 128)


def test_smooth_masks_of_16_bits_have_more_levels_than_classes_can_be(tmp_path: Path) -> None:
    deep = [Image.fromarray(np.asarray(smooth(seed)).astype(np.uint16) * 257) for seed in range(4)]
    assert "\n    --threshold 32768\n" in refused(pair(tmp_path, deep))


def test_smooth_masks_of_several_levels_are_to_be_exported_again(tmp_path: Path) -> None:
    both = [np.maximum(np.asarray(smooth(seed)), np.asarray(smooth(seed + 9, 100))) for seed in range(4)]
    told = refused(pair(tmp_path, map(Image.fromarray, both)))
    assert "Export the masks again" in told
    assert "--threshold" not in told


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_masks_in_jpeg_are_told_of_the_threshold_and_read_with_it(tmp_path: Path, mode: str) -> None:
    pair(tmp_path, [hard(seed).convert(mode) for seed in range(4)], suffix=".jpg")
    told = refused(tmp_path)
    assert "JPEG changes label values" in told
    assert "--threshold 128" in told
    look(tmp_path, "--threshold", 128)
    for name, labels in labels_of(tmp_path).items():
        np.testing.assert_array_equal(labels, np.asarray(hard(int(name))) > 0)


def test_a_single_mask_in_jpeg_is_named(tmp_path: Path) -> None:
    pair(tmp_path, map(hard, range(4)))
    hard(0).save(tmp_path / "masks" / "0.jpg")
    (tmp_path / "masks" / "0.png").unlink()
    assert "0.jpg is JPEG, which changes label values" in refused(tmp_path)


def test_names_from_a_file_are_those_of_the_two_sides(tmp_path: Path) -> None:
    pair(tmp_path, map(smooth, range(4)))
    (tmp_path / "classes.txt").write_text("skin\nlesion\n")
    assert look(tmp_path, "--threshold", 100)[1]["classes"] == ["skin", "lesion"]
    (tmp_path / "classes.txt").write_text("a\nb\nc\n")
    assert "3 names do not fit the masks" in look(tmp_path, "--threshold", 100)[0]


def test_a_threshold_that_divides_nothing_and_one_beside_colours_are_refused(tmp_path: Path) -> None:
    pair(tmp_path, [hard(seed, 1) for seed in range(4)])
    assert "all pixels of all 4 masks are below it" in refused(tmp_path, "--threshold", 128)
    assert "Give one" in refused(tmp_path, "--threshold", 128, "--by-colour")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_numbers_stored_as_grey_colours_are_in_order_and_have_their_names(tmp_path: Path, mode: str) -> None:
    pair(tmp_path, grey(mode))
    assert list(look(tmp_path)[1]["colours"].values()) == [[0, 0, 0], [1, 1, 1], [2, 2, 2]]
    (tmp_path / "masks" / "classes.txt").write_text("sky\nroad\ncar\ntree\n")
    told, written = look(tmp_path)
    assert list(written["colours"]) == ["sky", "road", "car", "tree"]
    assert "in none of the masks read: tree" in told
    for name, labels in labels_of(tmp_path).items():
        np.testing.assert_array_equal(labels, numbers(int(name)))


def test_white_beside_numbers_stored_as_colours_is_unlabelled(tmp_path: Path) -> None:
    white = [Image.fromarray(np.where(np.asarray(image) == 1, 255, np.asarray(image))) for image in grey("RGB")]
    told, written = look(pair(tmp_path, white))
    assert written["ignore_colours"] == [[255, 255, 255]]
    assert "255 is taken for unlabelled" in told
    assert sorted(np.unique(labels_of(tmp_path)["0"])) == [0, 1, 255]


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ([0, 255], [0, 255]),
        ([255], [255]),
        ([0, 128, 255], [0, 128, 255]),
        ([0, 85, 170, 255], [0, 85, 170, 255]),
        ([0, 1, 255], [0, 1]),
        ([0, 20, 255], [0, 20]),
        ([0, 100, 101, 255], [0, 100, 101]),
        ([1, 2], [1, 2]),
        ([1, 255], [1]),
        ([127, 255], [127, 255]),
    ],
)
def test_white_is_a_class_only_beside_black_or_as_one_of_grey_levels(values: list[int], classes: list[int]) -> None:
    assert likely_classes(values) == classes


def test_files_that_are_not_used_are_told_with_the_reason(tmp_path: Path) -> None:
    pair(tmp_path, [Image.fromarray(numbers(seed)) for seed in range(4)])
    for name in ("masks/classes.json", "class_dict.csv", "train.txt", "requirements.txt", "masks/0.txt"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "masks" / "classes.txt").write_text("a\nb\n")
    (tmp_path / "labels.txt").write_text("a\nb\nc\n")
    (tmp_path / "codes.txt").write_text("")
    told = look(tmp_path)[0]
    notes = [line for line in told.splitlines() if line.startswith("note:")]
    assert any("masks/classes.txt is not used: 2 names do not fit the masks, which hold 0..2" in note for note in notes)
    assert any("codes.txt is not used: the names come from" in note for note in notes)
    assert any("classes.json" in note and "class_dict.csv are not used: names are read from" in note for note in notes)
    assert any("train.txt is not used: lists of the splits are read from --lists DIR" in note for note in notes)
    assert "requirements.txt" not in told
    assert "0.txt" not in told
    (tmp_path / "labels.txt").unlink()
    assert "not used: " in look(tmp_path)[0]
    assert "codes.txt: the file is empty" in look(tmp_path)[0]


def test_names_that_cannot_belong_to_colours_are_told(tmp_path: Path) -> None:
    drawn = [Image.fromarray(np.array(COLOURS, np.uint8)[numbers(seed)]) for seed in range(4)]
    pair(tmp_path, drawn)
    (tmp_path / "classes.txt").write_text("a\nb\nc\n")
    assert "classes.txt is not used: names alone do not tell the colours" in look(tmp_path)[0]
    (tmp_path / "table.csv").write_text("a,0,0,0\nb,200,0,0\nc,0,200,0\n")
    told = look(tmp_path, "--colours", tmp_path / "table.csv")[0]
    assert "classes.txt is not used: the names come from" in told
    assert "table.csv is not used" not in told


def test_numbers_that_no_class_can_have_are_refused(tmp_path: Path) -> None:
    low = [Image.fromarray(numbers(seed).astype(np.int32) - 1) for seed in range(4)]
    assert "the masks hold -1 in" in refused(pair(tmp_path, low, suffix=".tif"))
