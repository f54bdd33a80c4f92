import pytest

from bench.base.errors import BenchError
from bench.data.facts import Locations
from bench.data.sets.cityscapes import Cityscapes
from tests.data.trees import check, fixture_of, problems, save_image, save_label

IDS_TO_TRAIN_IDS = [
    (7, 0), (8, 1), (11, 2), (12, 3), (13, 4), (17, 5), (19, 6), (20, 7), (21, 8), (22, 9), (23, 10), (24, 11),
    (25, 12), (26, 13), (27, 14), (28, 15), (31, 16), (32, 17), (33, 18),
]  # fmt: skip
"""From the publishers' table; every other id is not scored."""
ALL_IDS = [*range(34), 255]
EXPECTED = [dict(IDS_TO_TRAIN_IDS).get(label_id, 255) for label_id in ALL_IDS]
FRAMES = {"train": ["aachen_000000_000019", "aachen_000001_000019", "bochum_000000_000313"], "val": ["lindau_0_1"]}


def image_path(place, split, frame):
    return place / "leftImg8bit" / split / frame.partition("_")[0] / f"{frame}_leftImg8bit.png"


def label_path(place, split, frame, kind="labelIds"):
    return place / "gtFine" / split / frame.partition("_")[0] / f"{frame}_gtFine_{kind}.png"


def make_cityscapes(place, kind="labelIds", values=ALL_IDS):
    for split, frames in FRAMES.items():
        for frame in frames:
            save_image(image_path(place, split, frame), 1, len(values))
            save_label(label_path(place, split, frame, kind), [values])
            for other in ("color", "instanceIds"):
                save_label(label_path(place, split, frame, other), [[99] * len(values)])
            label_path(place, split, frame).with_name(f"{frame}_gtFine_polygons.json").write_text("{}")
    (place / "leftImg8bit" / "train" / "._aachen").write_bytes(b"")
    return place


def cityscapes(root, cache, **options):
    return Cityscapes(Locations(cache, (root,)), **options)


@pytest.mark.parametrize("place", ["cityscapes", "Cityscapes", "."])
def test_found_in_each_usual_place(tmp_path, place):
    make_cityscapes(tmp_path / "data" / place)
    data = cityscapes(tmp_path / "data", tmp_path / "cache")
    data.require(("train", "val"))
    check(data, "train", "val")
    assert {name: list(data.split(name).names) for name in data.info.splits} == FRAMES


def test_all_ids_become_train_ids(tmp_path):
    make_cityscapes(tmp_path)
    assert cityscapes(tmp_path, tmp_path / "c").split("train")[1][1].tolist() == [EXPECTED]


def test_train_ids_stay_where_ids_are_absent(tmp_path):
    values = [*range(19), 255]
    make_cityscapes(tmp_path, "labelTrainIds", values)
    assert cityscapes(tmp_path, tmp_path / "c").split("val")[0][1].tolist() == [values]


def test_each_file_is_read_by_its_own_table(tmp_path):
    make_cityscapes(tmp_path)
    first, second, _ = FRAMES["train"]
    label_path(tmp_path, "train", first).unlink()
    train_ids = [18, 7, *[0] * (len(ALL_IDS) - 2)]
    save_label(label_path(tmp_path, "train", first, "labelTrainIds"), [train_ids])
    save_label(label_path(tmp_path, "train", second, "labelTrainIds"), [[3] * len(ALL_IDS)])
    split = cityscapes(tmp_path, tmp_path / "c").split("train")
    assert [split[index][1][0].tolist() for index in range(3)] == [train_ids, EXPECTED, EXPECTED]


@pytest.mark.parametrize(("kind", "value"), [("labelIds", 34), ("labelTrainIds", 19)])
def test_unknown_values_are_told(tmp_path, kind, value):
    make_cityscapes(tmp_path, kind, [0, value])
    with pytest.raises(BenchError, match=rf"lindau_0_1_gtFine_{kind}.png: label values .*: {value} \(1 pixels\)"):
        check(cityscapes(tmp_path, tmp_path / "c"), "val")


def test_other_files_of_the_publishers_are_no_labels(tmp_path):
    make_cityscapes(tmp_path)
    colours = label_path(tmp_path, "val", "lindau_0_1", "color")
    with pytest.raises(BenchError, match=r"_color.png: expected a name that ends in _gtFine_labelIds.png or _gtFine_l"):
        cityscapes(tmp_path, tmp_path / "c").labels("val").read(colours)


def test_images_and_labels_without_their_other_half_are_named(tmp_path):
    make_cityscapes(tmp_path)
    label_path(tmp_path, "train", FRAMES["train"][1]).unlink()
    image_path(tmp_path, "train", FRAMES["train"][2]).unlink()
    assert problems(cityscapes(tmp_path, tmp_path / "c"), "train", "val") == (
        f"{label_path(tmp_path, 'train', FRAMES['train'][1])}: no such file",
        f"{image_path(tmp_path, 'train', FRAMES['train'][2])}: no such file",
    )


def test_missing_cities_and_splits_are_named(tmp_path):
    make_cityscapes(tmp_path)
    (tmp_path / "leftImg8bit" / "train" / "zurich").mkdir()
    (tmp_path / "gtFine" / "val").rename(tmp_path / "elsewhere")
    zurich, val = problems(cityscapes(tmp_path, tmp_path / "c"), "train", "val")
    assert f"{tmp_path / 'gtFine' / 'train' / 'zurich'}: no such folder. Expected in it: leftImg8bit" in zurich
    assert f"{tmp_path / 'gtFine' / 'val'}: no such folder. Expected in it: leftImg8bit" in val


@pytest.mark.parametrize("roots", [(), ("data",)])
def test_absence_is_one_clear_sentence(tmp_path, roots):
    (tmp_path / "data" / "cityscapes" / "leftImg8bit").mkdir(parents=True)
    (problem,) = problems(Cityscapes(Locations(tmp_path, tuple(tmp_path / root for root in roots))), "train")
    for word in ("gtFine", "www.cityscapes-dataset.com", "leftImg8bit_trainvaltest.zip", "BENCH_DATA"):
        assert word in problem
    assert (str(tmp_path / "data" / "cityscapes") in problem) == bool(roots)


def test_the_test_split_is_not_offered(tmp_path):
    make_cityscapes(tmp_path)
    with pytest.raises(BenchError, match=r"unknown split of cityscapes 'test'. .*Known: train, val"):
        cityscapes(tmp_path, tmp_path).split("test")


def test_facts():
    info = Cityscapes.info
    assert (info.num_classes, len(info.palette), info.eval_split, info.ignore_index) == (19, 19, "val", 255)
    assert [info.class_names[index] for index in (0, 6, 13, 18)] == ["road", "traffic light", "car", "bicycle"]
    assert [info.palette[index] for index in (0, 13, 18)] == [(128, 64, 128), (0, 0, 142), (119, 11, 32)]
    ignored = {value for value, index in Cityscapes.label_values.items() if index == 255}
    assert ignored == {*range(7), 9, 10, 14, 15, 16, 18, 29, 30, 255}


@pytest.mark.needs_data
def test_ids_and_train_ids_of_the_fixture_agree(tmp_path):
    data = fixture_of(Cityscapes, tmp_path, "layout-cityscapes")
    check(data, "train", "val")
    assert [len(data.split(name)) for name in ("train", "val")] == [4, 2]
    labels = data.labels("train")
    for pair in data.split("train").pairs:
        other = pair.label.with_name(pair.label.name.replace("labelIds", "labelTrainIds"))
        assert pair.label != other
        assert (labels.read(pair.label) == labels.read(other)).all()
    assert data.split("train")[0][1].unique().tolist() == [0, 1, 2, 5, 7, 8, 10, 11, 13, 255]
