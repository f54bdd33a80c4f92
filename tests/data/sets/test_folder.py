from __future__ import annotations

import hashlib
import json
import random
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bench.base.errors import BenchError
from bench.base.registry import datasets
from bench.data.facts import Locations
from bench.data.look.inspection import inspect
from bench.data.read.foldertree import share_split
from bench.data.read.palette import voc_colormap
from bench.data.sets.folder import FolderData
from tests.data.own import pair, shape, smooth

SIZE = (6, 8)
RED, GREEN, BLACK = (200, 0, 0), (0, 200, 0), (0, 0, 0)


def noise(key: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")
    return np.random.RandomState(seed).randint(0, 256, (*SIZE, 3)).astype(np.uint8)


def put(path: Path, pixels: np.ndarray, palette: list[tuple[int, int, int]] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels.astype(np.uint8))
    if palette is not None:
        image.putpalette([part for colour in palette for part in colour])
    image.save(path)
    return path


def columns(*values: int) -> np.ndarray:
    """A mask whose columns hold the values in turn."""
    return np.tile(np.resize(np.array(values), SIZE[1]), (SIZE[0], 1))


def make(root: Path, names: list[str], values: tuple[int, ...] = (0, 1), suffix: str = "", image: str = ".jpg") -> Path:
    for name in names:
        put(root / "images" / f"{name}{image}", noise(name))
        put(root / "masks" / f"{name}{suffix}.png", columns(*values))
    return root


def folder(root: Path, **given: Any) -> FolderData:
    entry = datasets.get("folder")
    places = {"images": str(root / "images"), "masks": str(root / "masks"), "classes": ["ground", "thing"]}
    resolved = entry.options.resolve({**places, **given})
    assert json.loads(json.dumps(resolved)) == resolved
    data = entry.builder(Locations(root / "cache"), **resolved)
    assert isinstance(data, FolderData)
    return data


def prepare(data: FolderData, *splits: str) -> dict[str, list[str]]:
    names = splits or data.info.splits
    data.require(names)
    samples = {name: data.split(name) for name in names}
    data.check(samples)
    return {name: list(found.names) for name, found in samples.items()}


def refused(data: FolderData, *splits: str) -> str:
    with pytest.raises(BenchError) as caught:
        prepare(data, *splits)
    return str(caught.value)


FIVE = ["a", "b", "c", "d", "e"]


def test_a_share_of_the_images_becomes_val_where_nothing_else_tells(tmp_path: Path) -> None:
    data = folder(make(tmp_path, FIVE), val_share=0.4)
    found = prepare(data)
    assert sorted(found["train"] + found["val"]) == FIVE
    assert len(found["val"]) == 2
    image, mask = data.split("train")[0]
    assert image.shape == (3, *SIZE)
    assert mask.tolist() == columns(0, 1).tolist()
    assert data.info.eval_split == "val"


def test_subfolders_of_images_are_the_splits_under_every_usual_name(tmp_path: Path) -> None:
    make(tmp_path, ["training/a", "training/x/b", "validation/a2", "test2017/c"])
    make(tmp_path, ["extra/z"])
    data = folder(tmp_path)
    assert prepare(data) == {"train": ["a", "x/b"], "val": ["a2"], "test": ["c"]}


def test_masks_may_lie_in_subfolders_of_other_names_or_in_none(tmp_path: Path) -> None:
    make(tmp_path, ["train/a", "valid/b"])
    (tmp_path / "masks" / "valid").rename(tmp_path / "masks" / "val")
    assert prepare(folder(tmp_path)) == {"train": ["a"], "val": ["b"]}
    for mask in [*(tmp_path / "masks").rglob("*.png")]:
        mask.rename(tmp_path / "masks" / mask.name)
        mask.parent.rmdir()
    assert prepare(folder(tmp_path)) == {"train": ["a"], "val": ["b"]}


def test_two_splits_may_use_the_same_file_names(tmp_path: Path) -> None:
    for split in ("train", "val"):
        put(tmp_path / "images" / split / "001.png", noise(split))
        put(tmp_path / "masks" / split / "001.png", columns(0, 1))
    assert prepare(folder(tmp_path)) == {"train": ["001"], "val": ["001"]}


def test_the_same_file_names_in_two_splits_with_one_folder_of_masks_are_refused(tmp_path: Path) -> None:
    for split in ("train", "val"):
        put(tmp_path / "images" / split / "001.png", noise(split))
    put(tmp_path / "masks" / "001.png", columns(0, 1))
    assert "'001' is in two splits, train and val" in refused(folder(tmp_path))


def test_a_data_set_with_train_and_test_alone_is_scored_on_test(tmp_path: Path) -> None:
    data = folder(make(tmp_path, ["train/a", "test/b"]))
    assert data.info.splits == ("train", "test")
    assert data.info.eval_split == "test"


def test_lists_name_images_with_or_without_folder_and_suffix(tmp_path: Path) -> None:
    make(tmp_path, ["p/a", "p/b", "q/c", "q/a", "d"])
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "train.txt").write_text("\ufeffp/a\n\nb.jpg\nimages\\q\\c.jpg\n")
    (lists / "valid.txt").write_text("/elsewhere/images/q/a.png\n")
    (lists / "test.txt").write_text("d\n")
    data = folder(tmp_path, lists=str(lists))
    assert prepare(data) == {"train": ["p/a", "p/b", "q/c"], "val": ["q/a"], "test": ["d"]}


def test_faults_of_lists_are_told_with_file_and_line(tmp_path: Path) -> None:
    make(tmp_path, ["p/a", "q/a", "b"])
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "train.txt").write_text("a\nbb\nb\nb\n")
    (lists / "val.txt").write_text("q/a\n")
    told = refused(folder(tmp_path, lists=str(lists)))
    assert "train.txt:1: 'a' may be p/a, q/a. Write its path below images." in told
    assert "train.txt:2: 'bb' fits no image below" in told
    assert "Did you mean 'b'?" in told
    assert "train.txt:4: 'b' stands on line 3 already" in told


def test_a_name_in_two_lists_is_refused(tmp_path: Path) -> None:
    make(tmp_path, FIVE)
    (tmp_path / "train.txt").write_text("a\nb\n")
    (tmp_path / "val.txt").write_text("b\nc\n")
    told = refused(folder(tmp_path, lists=str(tmp_path)))
    assert "'b' is in two splits, train and val" in told
    assert "train.txt" in told
    assert "val.txt" in told


def test_missing_lists_are_named(tmp_path: Path) -> None:
    make(tmp_path, FIVE)
    (tmp_path / "train.txt").write_text("a\n")
    assert "train.txt and val.txt (or test.txt) are needed, train is there" in refused(
        folder(tmp_path, lists=str(tmp_path))
    )


def test_an_empty_list_and_an_empty_subfolder_are_an_empty_split(tmp_path: Path) -> None:
    make(tmp_path, ["train/a", "train/b"])
    (tmp_path / "images" / "val").mkdir()
    assert "the val split is empty" in refused(folder(tmp_path))
    assert prepare(folder(tmp_path), "train") == {"train": ["a", "b"]}
    (tmp_path / "train.txt").write_text("train/a\n")
    (tmp_path / "val.txt").write_text("\n")
    assert "the val split is empty" in refused(folder(tmp_path, lists=str(tmp_path)))


def test_both_spellings_of_a_split_at_once_are_refused(tmp_path: Path) -> None:
    told = refused(folder(make(tmp_path, ["train/a", "val/b", "valid/c"])))
    assert "both are called like the val split. Rename one." in told


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm"])
def test_images_of_every_usual_format_are_found(tmp_path: Path, suffix: str) -> None:
    assert len(prepare(folder(make(tmp_path, FIVE, image=suffix)))["train"]) == 4


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".TIFF", ".gif"])
def test_masks_of_every_usual_format_are_found(tmp_path: Path, suffix: str) -> None:
    make(tmp_path, FIVE)
    for mask in [*(tmp_path / "masks").iterdir()]:
        mask.unlink()
        put(mask.with_suffix(suffix), columns(0, 1))
    data = folder(tmp_path)
    prepare(data)
    assert data.split("train")[0][1].unique().tolist() == [0, 1]


def test_lossless_webp_drawings_are_read(tmp_path: Path) -> None:
    for name in FIVE:
        put(tmp_path / "images" / f"{name}.png", noise(name))
        drawn = Image.fromarray(np.array([BLACK, RED], np.uint8)[columns(0, 1)])
        (tmp_path / "masks").mkdir(exist_ok=True)
        drawn.save(tmp_path / "masks" / f"{name}.webp", lossless=True)
    data = folder(tmp_path, classes=None, colours={"ground": BLACK, "thing": RED})
    prepare(data)
    assert data.split("train")[0][1].tolist() == columns(0, 1).tolist()


def test_masks_have_their_suffix_and_may_share_the_folder_of_the_images(tmp_path: Path) -> None:
    make(tmp_path, FIVE, suffix="_mask")
    assert len(prepare(folder(tmp_path, mask_suffix="_mask"))["train"]) == 4
    for mask in [*(tmp_path / "masks").iterdir()]:
        mask.rename(tmp_path / "images" / mask.name)
    both = str(tmp_path / "images")
    found = prepare(folder(tmp_path, masks=both, mask_suffix="_mask"))
    assert sorted(found["train"] + found["val"]) == FIVE
    assert "set mask_suffix" in refused(folder(tmp_path, masks=both))


def test_where_nothing_matches_the_suffix_is_guessed(tmp_path: Path) -> None:
    told = refused(folder(make(tmp_path, FIVE, suffix="_seg")))
    assert "none of the 5 images has a mask" in told
    assert "a.jpg, b.jpg, c.jpg" in told
    assert "Set mask_suffix: '_seg'." in told
    assert told.count("\n") == 0


def test_masks_stored_as_jpeg_are_refused_with_the_reason(tmp_path: Path) -> None:
    make(tmp_path, FIVE)
    for mask in [*(tmp_path / "masks").iterdir()]:
        mask.rename(mask.with_suffix(".jpg"))
    assert "JPEG changes label values" in refused(folder(tmp_path))


def test_every_image_without_a_mask_is_named(tmp_path: Path) -> None:
    make(tmp_path, FIVE)
    for name in ("b", "d"):
        (tmp_path / "masks" / f"{name}.png").unlink()
    told = refused(folder(tmp_path))
    assert f"{tmp_path / 'images' / 'b.jpg'}: no mask for it, looked for {tmp_path / 'masks' / 'b.png'}" in told
    assert "d.jpg: no mask for it" in told


def test_a_mask_without_an_image_is_no_fault(tmp_path: Path) -> None:
    make(tmp_path, FIVE)
    (tmp_path / "images" / "a.jpg").unlink()
    found = prepare(folder(tmp_path))
    assert sorted(found["train"] + found["val"]) == ["b", "c", "d", "e"]


def test_images_that_differ_in_their_suffix_alone_are_refused(tmp_path: Path) -> None:
    make(tmp_path, FIVE)
    put(tmp_path / "images" / "c.png", noise("other"))
    told = refused(folder(tmp_path))
    assert "c.jpg and " in told
    assert "c.png: images that differ in their suffix alone. Keep one of them." in told


def test_what_operating_systems_leave_behind_is_not_looked_at(tmp_path: Path) -> None:
    make(tmp_path, FIVE)
    for name in (
        ".DS_Store",
        "._a.jpg",
        "Thumbs.db",
        "__MACOSX/._b.jpg",
        "__MACOSX/b.jpg",
        ".cache/c.jpg",
        "notes.txt",
    ):
        path = tmp_path / "images" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    found = prepare(folder(tmp_path))
    assert sorted(found["train"] + found["val"]) == FIVE


def test_names_with_accents_match_in_both_forms_of_unicode(tmp_path: Path) -> None:
    for index, name in enumerate(("größe", "äpfel")):
        put(tmp_path / "images" / f"{unicodedata.normalize('NFD', name)}.png", noise(str(index)))
        put(tmp_path / "masks" / f"{unicodedata.normalize('NFC', name)}.png", columns(0, 1))
    found = prepare(folder(tmp_path))
    assert sorted(found["train"] + found["val"]) == ["größe", "äpfel"]


def test_a_link_back_to_its_own_folder_ends(tmp_path: Path) -> None:
    make(tmp_path, FIVE)
    (tmp_path / "images" / "loop").symlink_to(tmp_path / "images", target_is_directory=True)
    (tmp_path / "images" / "more").symlink_to(tmp_path / "images", target_is_directory=True)
    found = prepare(folder(tmp_path))
    assert sorted(found["train"] + found["val"]) == FIVE


@pytest.mark.parametrize("count", [0, 1])
def test_one_image_is_too_few(tmp_path: Path, count: int) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    told = refused(folder(make(tmp_path, FIVE[:count])))
    assert "two are needed" in told


def test_missing_folders_are_all_named(tmp_path: Path) -> None:
    told = refused(folder(tmp_path, lists=str(tmp_path / "lists")), "train")
    assert [line.split(":")[0] for line in told.splitlines()] == ["images", "masks", "lists"]


def test_the_facts_need_no_files(tmp_path: Path) -> None:
    info = folder(tmp_path).info
    assert info.class_names == ("ground", "thing")
    assert info.splits == ("train", "val")
    assert not hasattr(FolderData, "info")


def test_a_mask_of_another_size_is_named(tmp_path: Path) -> None:
    make(tmp_path, FIVE)
    put(tmp_path / "masks" / "c.png", columns(0, 1)[:4])
    told = refused(folder(tmp_path))
    assert f"{tmp_path / 'masks' / 'c.png'}: labels of 8 x 4 pixels do not fit the image of 8 x 6 pixels" in told


def test_values_stand_for_classes_and_ignored_ones_are_not_scored(tmp_path: Path) -> None:
    make(tmp_path, FIVE, values=(10, 7, 3, 255))
    data = folder(tmp_path, values=[7, 10], ignore=[3, 255])
    prepare(data)
    assert data.split("train")[0][1][0, :4].tolist() == [1, 0, 255, 255]


def test_a_value_that_stands_for_a_class_is_not_ignored(tmp_path: Path) -> None:
    data = folder(make(tmp_path, FIVE, values=(0, 255)), values=[0, 255])
    prepare(data)
    assert data.split("train")[0][1][0, :2].tolist() == [0, 1]


def test_binary_masks_of_0_and_255_are_told_to_need_values(tmp_path: Path) -> None:
    told = refused(folder(make(tmp_path, FIVE, values=(0, 255))))
    assert "never 1, so 'thing' occurs nowhere" in told
    assert "values: [0, 255]" in told


def test_255_beside_0_is_no_fault_where_1_occurs_in_a_single_mask(tmp_path: Path) -> None:
    names = [f"{index:03d}" for index in range(60)]
    make(tmp_path, names, values=(0, 255))
    put(tmp_path / "masks" / "031.png", columns(0, 1, 255))
    assert len(prepare(folder(tmp_path))["train"]) == 48


def test_labels_that_begin_at_1_are_told_with_the_line_to_add(tmp_path: Path) -> None:
    told = refused(folder(make(tmp_path, FIVE, values=(1, 2, 255))))
    assert "The labels look 1-based. Add under dataset:\n    values: [1, 2]" in told
    assert ".png" in told


def test_one_value_more_than_classes_may_be_a_class_or_unlabelled(tmp_path: Path) -> None:
    told = refused(folder(make(tmp_path, FIVE, values=(0, 1, 2))))
    assert "values: [1, 2]\n    ignore: [0, 255]" in told
    assert "A class has no name" in told


def test_values_with_gaps_are_told_as_they_are_to_be_written(tmp_path: Path) -> None:
    assert "values: [4, 9]" in refused(folder(make(tmp_path, FIVE, values=(4, 9))))


def test_a_value_beside_the_given_ones_is_named_with_a_file(tmp_path: Path) -> None:
    make(tmp_path, FIVE, values=(4, 9))
    put(tmp_path / "masks" / "d.png", columns(4, 9, 12))
    told = refused(folder(tmp_path, values=[4, 9]))
    assert "12 is in " in told
    assert "d.png" in told
    assert "to ignore: [12]" in told


def draw(root: Path, colours: list[tuple[int, int, int]] = [BLACK, RED, GREEN]) -> Path:  # noqa: B006
    for name in FIVE:
        put(root / "images" / f"{name}.png", noise(name))
        put(root / "masks" / f"{name}.png", np.array(colours, np.uint8)[columns(*range(len(colours)))])
    return root


def test_drawings_are_read_by_a_table_of_colours(tmp_path: Path) -> None:
    table = {"ground": BLACK, "thing": GREEN}
    data = folder(draw(tmp_path), classes=None, colours=table, ignore_colours=[RED])
    prepare(data)
    assert data.split("train")[0][1][0, :3].tolist() == [0, 255, 1]
    assert data.info.class_names == ("ground", "thing")
    assert data.info.palette == (BLACK, GREEN)
    ordered = folder(tmp_path, classes=["thing", "ground"], colours=table, ignore_colours=[RED])
    assert ordered.split("train")[0][1][0, :3].tolist() == [1, 255, 0]


def test_drawings_without_a_table_are_told_the_lines_to_add(tmp_path: Path) -> None:
    told = refused(folder(draw(tmp_path), classes=["ground", "weed", "crop"]))
    assert "5 of 5 masks are drawings in colours" in told
    assert "    colours:\n      ground: [0, 0, 0]\n      weed: [0, 200, 0]\n      crop: [200, 0, 0]" in told


def test_drawings_with_hundreds_of_colours_are_told_to_be_lossy(tmp_path: Path) -> None:
    for name in [*FIVE, "f"]:
        put(tmp_path / "images" / f"{name}.png", noise(name))
        put(tmp_path / "masks" / f"{name}.png", noise(f"drawn {name}"))
    assert "stored with loss" in refused(folder(tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        "ground,0,0,0\nthing,200,0,0\ncrop,0,200,0\n",
        "name,r,g,b\nground,0,0,0\nthing,200,0,0\ncrop,0,200,0\n",
        "\ufeffr;g;b;Name\n0;0;0;ground\n200;0;0;thing\n\n0;200;0;crop\n",
    ],
)
def test_a_table_of_colours_may_be_a_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "table.csv").write_text(text, encoding="utf-8")
    data = folder(draw(tmp_path), classes=None, colours=str(tmp_path / "table.csv"))
    prepare(data)
    assert data.info.class_names == ("ground", "thing", "crop")
    assert data.split("train")[0][1][0, :3].tolist() == [0, 1, 2]


def test_faulty_lines_of_a_table_are_told_with_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("ground,0,0,0\nthing,300,0,0\nground,1,1,1\nx,1\n")
    told = refused(folder(draw(tmp_path), classes=None, colours=str(tmp_path / "table.csv")))
    assert [line.split(": ")[0].rpartition(":")[2] for line in told.splitlines()] == ["2", "3", "4"]


def test_a_colour_outside_the_table_is_named(tmp_path: Path) -> None:
    told = refused(folder(draw(tmp_path), classes=None, colours={"ground": BLACK, "thing": RED}))
    assert "colours that are not in the table: (0, 200, 0)" in told


def test_names_of_a_file_count_by_its_content(tmp_path: Path) -> None:
    make(tmp_path, FIVE)
    names = tmp_path / "names.txt"
    names.write_text("\ufeffground\nthing\n\n", encoding="utf-8")
    data = folder(tmp_path, classes=str(names))
    inline = folder(tmp_path)
    assert data.info.class_names == ("ground", "thing")
    assert data.key_options({}) == inline.key_options({})
    splits = ("train", "val")
    assert data.fingerprint(splits) == inline.fingerprint(splits)
    names.write_text("ground\nthing\nmore\n")
    assert folder(tmp_path, classes=str(names)).fingerprint(splits) != inline.fingerprint(splits)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"classes": ["a", "a"]}, "class 'a' given twice"),
        ({"classes": ["a"]}, "2 to 255 classes are needed, 1 given"),
        ({"values": [1]}, "2 classes but 1 values"),
        ({"values": [1, 1]}, "value 1 given twice"),
        ({"colours": {"ground": BLACK, "other": RED}}, "names other, thing"),
        ({"colours": {"ground": BLACK, "thing": BLACK}}, "colour (0, 0, 0) given twice"),
        ({"colours": {"ground": BLACK, "thing": RED}, "values": [0, 1]}, "give one of them"),
        ({"classes": "nowhere.txt"}, "nowhere.txt: no such file. 'classes' is a list of names, or a text file"),
        ({"colours": "nowhere.csv", "classes": None}, "nowhere.csv: no such file"),
    ],
)
def test_options_that_contradict_each_other_are_refused(tmp_path: Path, given: dict[str, Any], told: str) -> None:
    with pytest.raises(BenchError) as caught:
        _ = folder(tmp_path, **given).info
    assert told in str(caught.value)


def test_where_nothing_tells_the_classes_the_lines_to_add_are_told(tmp_path: Path) -> None:
    with pytest.raises(BenchError) as caught:
        _ = folder(make(tmp_path, FIVE, values=(0, 255)), classes=None).info
    assert "    classes: [class_0, class_255]\n    values: [0, 255]" in str(caught.value)
    assert "python -m bench init" in str(caught.value)
    with pytest.raises(BenchError, match="python -m bench init"):
        _ = folder(tmp_path / "nowhere", classes=None).info


def test_values_alone_tell_how_many_classes_there_are(tmp_path: Path) -> None:
    assert folder(tmp_path, classes=None, values=[3, 4, 9]).info.class_names == ("class 0", "class 1", "class 2")


def test_a_palette_in_the_masks_gives_the_colours_for_drawing(tmp_path: Path) -> None:
    make(tmp_path, FIVE)
    assert folder(tmp_path).info.palette == voc_colormap(2)
    palette = [(9, 9, 9), RED, GREEN]
    for name in FIVE:
        put(tmp_path / "masks" / f"{name}.png", columns(1, 2), palette)
    data = folder(tmp_path, values=[1, 2])
    prepare(data)
    assert data.info.palette == (RED, GREEN)
    assert data.split("train")[0][1][0, :2].tolist() == [0, 1]


def test_the_fingerprint_is_of_content_and_not_of_place(tmp_path: Path) -> None:
    one, two = make(tmp_path / "one", FIVE), make(tmp_path / "two", FIVE)
    both = ("train", "val")
    assert folder(one).fingerprint(both) == folder(two).fingerprint(both)
    put(two / "masks" / "a.png", columns(1, 0))
    assert folder(one).fingerprint(both) != folder(two).fingerprint(both)
    assert folder(one).fingerprint(both) != folder(one, values=[1, 0]).fingerprint(both)
    assert folder(one).key_options({}) != folder(one, values=[1, 0]).key_options({})
    assert folder(one).key_options({}) == folder(two).key_options({})


def test_relative_paths_are_looked_up_here_and_beside_the_matrix(tmp_path: Path, monkeypatch: Any) -> None:
    make(tmp_path / "base", FIVE)
    monkeypatch.chdir(tmp_path)
    data = FolderData(
        Locations(tmp_path / "cache", base=tmp_path / "base"), images="images", masks="masks", classes=("a", "b")
    )
    assert len(prepare(data)["val"]) == 1


NAMES = st.lists(st.text("abcdef/0123", min_size=1, max_size=6), min_size=2, max_size=40, unique=True)
SHARES = st.floats(0.01, 0.99)


@given(NAMES, SHARES, st.integers(0, 5), st.randoms(use_true_random=False))
def test_a_share_is_a_partition_whatever_the_order(
    names: list[str], share: float, seed: int, order: random.Random
) -> None:
    found = share_split(names, share, seed)
    assert found["train"]
    assert found["val"]
    assert sorted(found["train"] + found["val"]) == sorted(names)
    assert abs(len(found["val"]) - share * len(names)) <= 1
    shuffled = list(names)
    order.shuffle(shuffled)
    assert share_split(shuffled, share, seed) == found


@given(NAMES, SHARES, st.integers(0, 5))
def test_one_more_name_moves_at_most_one_other(names: list[str], share: float, seed: int) -> None:
    before, after = share_split(names, share, seed), share_split([*names, "new one"], share, seed)
    moved = set(before["val"]) ^ (set(after["val"]) - {"new one"})
    assert len(moved) <= 1


def soft(root: Path, count: int = 5) -> Path:
    return pair(root, map(smooth, range(count)))


def test_smooth_masks_are_refused_with_the_lines_to_write(tmp_path: Path) -> None:
    told = refused(folder(soft(tmp_path)))
    assert "the masks have smooth edges" in told
    assert "Add under dataset:\n    threshold: 128\n" in told
    read = folder(tmp_path, threshold=128)
    prepare(read)
    assert read.split("train")[0][1].tolist() == (np.asarray(smooth(0)) >= 128).tolist()


def test_options_that_make_a_class_of_each_level_of_smooth_masks_are_refused(tmp_path: Path) -> None:
    soft(tmp_path)
    levels = sorted({level for seed in range(5) for level in np.unique(np.asarray(smooth(seed))).tolist()} - {255})
    names = [f"class_{level}" for level in levels]
    told = refused(folder(tmp_path, classes=names, values=levels))
    assert "    classes: [background, object]\n    threshold: 128\n" in told
    for mask in [*(tmp_path / "masks").iterdir()]:
        Image.open(mask).convert("RGB").save(mask)
    table = {f"class_{level}": [level, level, level] for level in levels}
    assert "threshold: 128" in refused(folder(tmp_path, classes=None, colours=table, ignore_colours=[[255] * 3]))
    assert "threshold: 128" in refused(folder(tmp_path))


def test_levels_of_edges_may_be_ignored_or_be_few_and_named(tmp_path: Path) -> None:
    prepare(folder(soft(tmp_path), values=[0, 255], ignore=list(range(1, 255))))
    halved = [shape(seed, scale=2).resize((96, 64), Image.Resampling.BOX) for seed in range(5)]
    pair(tmp_path, halved)
    prepare(folder(tmp_path, classes=["a", "b", "c", "d", "e"], values=[0, 64, 128, 192, 255]))
    assert "smooth edges" in refused(folder(tmp_path))


def test_a_threshold_stands_alone_and_divides_two_classes(tmp_path: Path) -> None:
    with pytest.raises(BenchError) as caught:
        _ = folder(tmp_path, threshold=128, classes=["a", "b", "c"], values=[0, 1, 2], ignore=[7]).info
    told = str(caught.value)
    for problem in ("values has no meaning", "ignore has no meaning", "divides two classes, 3 given"):
        assert problem in told
    assert folder(tmp_path, threshold=128, classes=None).info.class_names == ("class 0", "class 1")
    told = refused(folder(make(tmp_path, FIVE), threshold=128))
    assert "no pixel of the masks is at or above the threshold 128, so 'thing' occurs nowhere" in told


def test_a_threshold_is_part_of_the_key_only_where_it_is_used(tmp_path: Path) -> None:
    plain = folder(make(tmp_path, FIVE)).key_options({})
    assert "threshold" not in plain
    divided = folder(tmp_path, threshold=128)
    assert divided.key_options({})["threshold"] == 128
    assert divided.key_options({})["labels"] != folder(tmp_path, threshold=100).key_options({})["labels"]
    assert divided.fingerprint(["train"]) != folder(tmp_path, threshold=100).fingerprint(["train"])


def test_palettes_that_differ_are_refused_with_the_colours_to_write(tmp_path: Path) -> None:
    for index, name in enumerate(FIVE):
        put(tmp_path / "images" / f"{name}.png", noise(name))
        order = [BLACK, RED] if index % 2 else [RED, BLACK]
        put(tmp_path / "masks" / f"{name}.png", columns(0, 1), order)
    told = refused(folder(tmp_path))
    assert "the palettes of the masks differ" in told
    assert "    colours:\n      ground: [0, 0, 0]\n      thing: [200, 0, 0]" in told
    read = folder(tmp_path, colours={"ground": BLACK, "thing": RED})
    prepare(read)
    samples = read.split("train")
    first = {name: int(samples[index][1][0, 0]) for index, name in enumerate(samples.names)}
    assert {first[name] for name in ("a", "c", "e") if name in first} == {1}
    assert {first[name] for name in ("b", "d") if name in first} == {0}


@pytest.mark.parametrize("fault", ["palettes", "smooth"])
def test_data_check_tells_what_a_run_refuses(tmp_path: Path, fault: str) -> None:
    if fault == "smooth":
        soft(tmp_path)
    else:
        for index, name in enumerate(FIVE):
            put(tmp_path / "images" / f"{name}.png", noise(name))
            put(tmp_path / "masks" / f"{name}.png", columns(0, 1), [BLACK, RED] if index % 2 else [RED, BLACK])
    levels = sorted({level for seed in range(5) for level in np.unique(np.asarray(smooth(seed))).tolist()} - {255})
    options = {"classes": [str(level) for level in levels], "values": levels} if fault == "smooth" else {}
    found = inspect(folder(tmp_path, **options), ("train", "val"))
    assert len(found.problems) == 1
    assert fault in found.problems[0]


def test_numbers_stored_as_grey_colours_are_told_their_names_in_order(tmp_path: Path) -> None:
    for name in FIVE:
        put(tmp_path / "images" / f"{name}.png", noise(name))
        put(tmp_path / "masks" / f"{name}.png", np.stack([columns(3, 0, 1)] * 3, axis=-1))
    told = refused(folder(tmp_path, classes=["sky", "road", "car", "tree"]))
    assert "      sky: [0, 0, 0]\n      road: [1, 1, 1]\n      tree: [3, 3, 3]" in told


def test_negative_numbers_cannot_be_ignored_by_name(tmp_path: Path) -> None:
    make(tmp_path, FIVE)
    for mask in [*(tmp_path / "masks").iterdir()]:
        mask.unlink()
        Image.fromarray(columns(0, 1).astype(np.int32)).save(mask.with_suffix(".tif"))
    Image.fromarray(columns(0, -1).astype(np.int32)).save(tmp_path / "masks" / "a.tif")
    data = folder(tmp_path)
    with pytest.raises(BenchError, match="No number below 0 can be named"):
        data.labels.read(tmp_path / "masks" / "a.tif")
