import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors

from bench.base.errors import BenchError
from bench.data.base import Samples
from bench.data.facts import DatasetInfo, Locations
from bench.data.look.inspection import Remark, inspect
from bench.data.sets.camvid import CamVid
from tests.data.sets.test_camvid import make_camvid

K = 3


class Given(Samples):
    def __init__(self, pairs):
        self.pairs, self.names = pairs, [name for name, _, _ in pairs]

    def __getitem__(self, index):
        _, image, mask = self.pairs[index]
        if isinstance(image, Exception):
            raise image
        return tv_tensors.Image(torch.as_tensor(image)), tv_tensors.Mask(torch.as_tensor(mask))


class Data:
    """A dataset in memory: per split (name, image, mask)."""

    shared_allowed = False

    def __init__(self, **splits):
        self.splits = splits
        self.info = DatasetInfo(
            ("a", "b", "c"), ((0, 0, 0),) * K, (0, 0, 0), (1, 1, 1), "here", splits=tuple(splits), eval_split="val"
        )

    def require(self, names):
        pass

    def faults(self, names):
        return ()

    def remarks(self, names):
        return ()

    def split(self, name):
        return Given(self.splits[name])


def pair(name, mask, seed=None):
    mask = np.asarray(mask, np.uint8)
    seed = sum(map(ord, name)) if seed is None else seed
    return name, np.random.RandomState(seed).randint(0, 256, (3, *mask.shape)).astype(np.uint8), mask


def texts(found):
    return [remark.text for remark in found.warnings]


def test_counts_sizes_and_classes():
    data = Data(
        train=[pair("x", [[0, 0, 1, 255]]), pair("y", [[1, 1], [2, 2]]), pair("z", [[0, 1, 2]] * 3)],
        val=[pair("v", [[0, 1], [2, 255]])],
    )
    found = inspect(data, ("train", "val"))
    train, val = found.splits
    assert (train.n_samples, train.n_unreadable, val.n_samples) == (3, 0, 1)
    assert (train.smallest, train.median, train.largest) == ((1, 4), (2, 2), (3, 3))
    assert (train.pixels, train.n_ignored, train.images) == ((5, 6, 5), 1, (2, 3, 2))
    assert val.ignored_share == 0.25
    assert (found.problems, found.duplicates, found.warnings) == ((), (), ())
    assert found.class_names == ("a", "b", "c")


def test_progress_tells_every_sample():
    told = []
    inspect(Data(train=[pair(name, [[0, 1, 2]]) for name in "xyz"]), ("train",), lambda *now: told.append(now))
    assert told == [("train", 1, 3), ("train", 2, 3), ("train", 3, 3)]


def test_every_fault_is_a_problem_and_names_the_sample():
    broken = BenchError("/data/one.png: broken", "/data/one-label.png: broken too")
    data = Data(
        train=[
            ("one", broken, None),
            ("two", RuntimeError("no codec"), None),
            pair("three", [[0, 7, 9, 8]]),
            ("four", np.zeros((3, 2, 2), np.uint8), np.zeros((2, 3), np.uint8)),
            ("five", np.zeros((1, 2, 2), np.uint8), np.zeros((2, 2), np.uint8)),
            ("six", np.zeros((3, 2, 2), np.float32), np.zeros((2, 2), np.uint8)),
            pair("good", [[0, 1, 2]]),
            pair("good", [[0, 1, 2]]),
        ],
        val=[],
    )
    found = inspect(data, ("train", "val"))
    text = "\n".join(found.problems)
    assert found.splits[0].n_unreadable == 6
    assert found.splits[0].pixels == (2, 2, 2)
    for expected in (
        "train: /data/one.png: broken",
        "train: /data/one-label.png: broken too",
        "train: two: RuntimeError: no codec",
        "train: three: labels outside the classes 0..2: 7..9",
        "train: four: image (2, 2) and labels (2, 3) differ in height or width",
        "train: five: expected 3 x H x W and H x W of uint8, got (1, 2, 2) and (2, 2)",
        "train: six: expected 3 x H x W and H x W of uint8",
        "the train split lists 'good' more than once",
        "the val split is empty",
    ):
        assert expected in text
    assert len(found.problems) == 9


def test_more_problems_than_fit_a_screen_are_all_kept():
    data = Data(train=[(str(index), BenchError(f"{index}.png: broken"), None) for index in range(50)])
    assert len(inspect(data, ("train",)).problems) == 50


def test_one_image_in_two_splits_is_a_problem_and_twice_in_one_a_warning():
    mask = [[0, 1, 2]]
    data = Data(
        train=[pair("x", mask, 1), pair("y", mask, 2), pair("again", mask, 1)],
        val=[pair("copy", mask, 1), pair("v", mask, 3)],
    )
    found = inspect(data, ("train", "val"))
    (duplicate,) = found.duplicates
    assert duplicate.samples == (("train", "x"), ("train", "again"), ("val", "copy"))
    (problem,) = found.problems
    assert problem.startswith("the same image is in two splits: train ('x') and val ('copy')")
    assert found.warnings == (Remark("train: 1 image more than once", ("x = again",)),)


def test_images_of_equal_bytes_and_other_shape_are_no_duplicates():
    flat = np.zeros((3, 2, 3), np.uint8)
    data = Data(train=[("x", flat, flat[0]), ("y", flat.reshape(3, 3, 2), flat[0].reshape(3, 2))])
    assert inspect(data, ("train",)).duplicates == ()


def test_classes_that_never_occur_are_told_of_the_splits_that_count():
    data = Data(train=[pair("x", [[0, 1]])], val=[pair("v", [[2, 2]])], test=[pair("t", [[0, 0]])])
    assert inspect(data, ("train", "val", "test")).warnings == (
        Remark("train: 1 of 3 classes never occur", ("c",)),
        Remark("val: 2 of 3 classes never occur", ("a", "b")),
        Remark("train has no pixel of a class that is in val, so no student can learn it: c"),
    )


def test_ignored_pixels_are_told():
    nearly = np.full((20, 20), 255)
    nearly[0, :3] = [0, 1, 2]
    masks = {"blank": np.full((20, 20), 255), "sparse": nearly, "full": [[0, 1, 2, 0, 0]] * 5}
    data = Data(train=[pair(name, mask) for name, mask in masks.items()])
    assert inspect(data, ("train",)).warnings == (
        Remark("train: 97% of the pixels are ignored"),
        Remark("train: all labels of 1 image are ignored", ("blank",)),
        Remark("train: less than 1% of 1 image is labelled", ("sparse",)),
    )


@pytest.mark.parametrize(("size", "expected"), [((4, 4), []), ((5, 4), ["train: heights go from 1 to 5 pixels"])])
def test_sizes_that_differ_wildly_are_told(size, expected):
    masks = {"small": np.zeros((1, 2), np.uint8), "large": np.zeros(size, np.uint8)}
    masks["large"].flat[:3] = [0, 1, 2]
    found = inspect(Data(train=[pair(name, mask) for name, mask in masks.items()]), ("train",))
    assert texts(found) == expected
    assert all(remark.names == ("small", "large") for remark in found.warnings)


def test_another_number_than_published_is_told():
    data = Data(train=[pair("x", [[0, 1, 2]])], val=[pair("v", [[0, 1, 2]])])
    data.published_counts = {"train": 2975, "val": 1}
    assert texts(inspect(data, ("train", "val"))) == ["train: 1 samples, as published it has 2975"]


def test_another_ignore_label_is_not_scored():
    data = Data(train=[pair("x", [[0, 1, 2, 200]])])
    data.info = DatasetInfo(("a", "b", "c"), ((0, 0, 0),) * K, (0, 0, 0), (1, 1, 1), "", ignore_index=200)
    (facts,) = inspect(data, ("train",)).splits
    assert (facts.pixels, facts.n_ignored) == ((1, 1, 1), 1)


def test_an_inspection_is_plain_json():
    found = inspect(Data(train=[pair("x", [[0, 1, 255]])], val=[]), ("train", "val"))
    kept = json.loads(json.dumps(asdict(found)))
    assert kept["splits"][0]["pixels"] == [1, 1, 0]
    assert kept["problems"] == ["the val split is empty"]


def test_missing_files_of_a_dataset_on_disk_are_all_named(tmp_path):
    make_camvid(tmp_path)
    (tmp_path / "train" / "train_1.png").unlink()
    (tmp_path / "valannot" / "val_0.png").write_bytes(b"")
    Image.fromarray(np.full((6, 8), 77, np.uint8)).save(tmp_path / "testannot" / "test_0.png")
    (tmp_path / "test.txt").open("a").write("test/none.png testannot/none.png\n")
    found = inspect(CamVid(Locations(tmp_path / "cache", (tmp_path,))), ("train", "val", "test"))
    assert [facts.n_unreadable for facts in found.splits] == [1, 1, 2]
    for problem, expected in zip(
        found.problems,
        ["train_1.png: no such file", "val_0.png: the file is empty", "77 (48 pixels)", "none.png", "none.png"],
        strict=True,
    ):
        assert expected in problem


def test_a_split_without_its_list_is_a_problem_beside_the_others(tmp_path):
    make_camvid(tmp_path)
    (tmp_path / "val.txt").unlink()
    found = inspect(CamVid(Locations(tmp_path / "cache", (tmp_path,))), ("train", "val"))
    assert [facts.split for facts in found.splits] == ["train"]
    assert "val.txt: no such file" in found.problems[0]


def test_an_absent_dataset_is_told_as_by_a_run(tmp_path):
    with pytest.raises(BenchError, match=r"camvid is not there\. Looked in"):
        inspect(CamVid(Locations(tmp_path / "cache", (tmp_path,))), ("train", "val"))
