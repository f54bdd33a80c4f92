import pytest

from bench.base.errors import BenchError
from bench.data.facts import Locations
from bench.data.sets.ade20k import Ade20k
from tests.data.trees import check, fixture_of, problems, save_image, save_label

PARTS = {"train": "training", "val": "validation"}


def make_ade20k(place, rows=((0, 1, 2, 75, 149, 150),)):
    for split, part in PARTS.items():
        for number in (2, 1):
            stem = f"ADE_{split}_{number:08d}"
            save_image(place / "images" / part / f"{stem}.jpg", len(rows), len(rows[0]))
            save_label(place / "annotations" / part / f"{stem}.png", rows)
    return place


def ade20k(root, cache, **options):
    return Ade20k(Locations(cache, (root,)), **options)


@pytest.mark.parametrize("place", ["ADEChallengeData2016", "ade20k/ADEChallengeData2016", "ade20k", "."])
def test_found_in_each_usual_place(tmp_path, place):
    make_ade20k(tmp_path / "data" / place)
    data = ade20k(tmp_path / "data", tmp_path / "cache")
    data.require(("train", "val"))
    check(data, "train", "val")
    assert data.split("train").names == ("ADE_train_00000001", "ADE_train_00000002")
    assert data.split("val").names == ("ADE_val_00000001", "ADE_val_00000002")


def test_zero_is_ignored_and_every_class_is_shifted_by_one(tmp_path):
    make_ade20k(tmp_path, [list(range(151))])
    assert ade20k(tmp_path, tmp_path / "c").split("val")[0][1].tolist() == [[255, *range(150)]]


@pytest.mark.parametrize("value", [151, 255])
def test_values_that_no_published_file_has_are_told(tmp_path, value):
    make_ade20k(tmp_path, [[0, value]])
    with pytest.raises(BenchError, match=rf"ADE_val_00000001.png: label values .*: {value} \(1 pixels\)"):
        check(ade20k(tmp_path, tmp_path / "c"), "val")


def test_images_stored_anew_without_loss_are_taken_once(tmp_path):
    make_ade20k(tmp_path)
    images = tmp_path / "images" / "validation"
    for stem in ("ADE_val_00000001", "ADE_val_00000002"):
        save_image(images / f"{stem}.png")
    (images / "ADE_val_00000002.jpg").unlink()
    data = ade20k(tmp_path, tmp_path / "c")
    check(data, "val")
    assert [pair.image.name for pair in data.split("val").pairs] == ["ADE_val_00000001.jpg", "ADE_val_00000002.png"]


def test_images_and_labels_without_their_other_half_are_named(tmp_path):
    make_ade20k(tmp_path)
    (tmp_path / "annotations" / "training" / "ADE_train_00000002.png").unlink()
    (tmp_path / "images" / "validation" / "ADE_val_00000001.jpg").unlink()
    (tmp_path / "images" / "validation" / "._ADE_val_00000002.jpg").write_bytes(b"")
    (tmp_path / "images" / "validation" / "notes.txt").write_text("")
    assert problems(ade20k(tmp_path, tmp_path / "c"), "train", "val") == (
        f"{tmp_path / 'annotations' / 'training' / 'ADE_train_00000002.png'}: no such file",
        f"{tmp_path / 'images' / 'validation' / 'ADE_val_00000001.jpg'}: no such file",
    )


def test_a_missing_split_harms_only_itself(tmp_path):
    make_ade20k(tmp_path)
    (tmp_path / "annotations" / "training").rename(tmp_path / "elsewhere")
    data = ade20k(tmp_path, tmp_path / "c")
    check(data, "val")
    (problem,) = problems(data, "train", "val")
    assert f"{tmp_path / 'annotations' / 'training'}: no such folder. Expected in it: images/training" in problem


@pytest.mark.parametrize("roots", [(), ("data",)])
def test_absence_is_one_clear_sentence(tmp_path, roots):
    (tmp_path / "data" / "ADEChallengeData2016" / "images" / "training").mkdir(parents=True)
    (problem,) = problems(Ade20k(Locations(tmp_path, tuple(tmp_path / root for root in roots))), "train")
    for word in ("annotations/training", "ADEChallengeData2016.zip", "sceneparsing.csail.mit.edu", "BENCH_DATA"):
        assert word in problem
    assert (str(tmp_path / "data" / "ADEChallengeData2016") in problem) == bool(roots)


def test_facts():
    info = Ade20k.info
    assert (info.num_classes, len(info.palette), info.eval_split, info.ignore_index) == (150, 150, "val", 255)
    assert len(set(info.class_names)) == 150
    assert [info.class_names[index] for index in (0, 1, 12, 20, 149)] == ["wall", "building", "person", "car", "flag"]
    assert [info.palette[index] for index in (0, 1, 149)] == [(120, 120, 120), (180, 120, 120), (92, 0, 255)]


def test_the_archive_unpacks_into_the_first_place():
    (archive,) = Ade20k.archives
    assert archive.folder == ""
    assert archive.url.endswith(f"/{Ade20k.places[0]}.zip")


@pytest.mark.needs_data
def test_real_files_in_the_real_layout(tmp_path):
    data = fixture_of(Ade20k, tmp_path, "ade20k-3img/ADEChallengeData2016")
    check(data, "train", "val")
    assert [data.split(name).names for name in data.info.splits] == [
        ("ADE_train_00000001", "ADE_train_00000002"),
        ("ADE_val_00000003",),
    ]
    assert data.split("train")[1][1].unique().tolist() == [0, 1, 2, 4, 13, 17, 255]
    assert data.split("val")[0][1].unique().tolist() == [0, 1, 2, 4, 6, 11, 20, 43, 80, 87, 96, 102, 255]


@pytest.mark.needs_data
def test_every_class_name_is_one_of_the_publishers_names_for_it(tmp_path):
    data = fixture_of(Ade20k, tmp_path, "ade20k-3img/ADEChallengeData2016")
    lines = (data.root / "objectInfo150.txt").read_text().splitlines()[1:]
    published = [{name.strip() for name in line.split("\t")[4].split(",")} for line in lines]
    assert [name in names for name, names in zip(data.info.class_names, published, strict=True)] == [True] * 150
