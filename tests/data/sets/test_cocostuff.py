import numpy as np
import pytest
from scipy.io import savemat

from bench.base.errors import BenchError
from bench.data.facts import Locations
from bench.data.sets.cocostuff import CocoStuff10k, CocoStuff164k
from tests.data.trees import check, fixture_of, problems, save_image, save_label

NEVER = [12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91]
IDS = [label_id for label_id in range(1, 183) if label_id not in NEVER]
INDICES = list(range(171))
STEMS = {"train": ["COCO_train2014_000000000081", "COCO_train2014_000000000077"], "test": ["COCO_train2014_9"]}


def save_matrix(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    names = np.array(["unlabeled", "person"], dtype=object)
    savemat(path, {"S": np.array(rows, np.uint16), "names": names}, do_compression=True)


def make_10k(place, values=(0, *IDS)):
    for split, stems in STEMS.items():
        (place / "imageLists").mkdir(parents=True, exist_ok=True)
        (place / "imageLists" / f"{split}.txt").write_text("\n".join(stems) + "\n")
        for stem in stems:
            save_image(place / "images" / f"{stem}.jpg", 1, len(values))
            save_matrix(place / "annotations" / f"{stem}.mat", [values])
    return place


def make_converted_10k(place, values=tuple(range(172))):
    for split, stems in STEMS.items():
        for stem in stems:
            save_image(place / "images" / f"{split}2014" / f"{stem}.jpg", 1, len(values))
            save_label(place / "annotations" / f"{split}2014" / f"{stem}_labelTrainIds.png", [values])
    return place


def make_164k(place, ending=".png", values=(*(label_id - 1 for label_id in IDS), 255)):
    for part in ("train2017", "val2017"):
        for number in (9, 1):
            stem = f"{number:012d}"
            save_image(place / "images" / part / f"{stem}.jpg", 1, len(values))
            save_label(place / "annotations" / part / f"{stem}{ending}", [values])
    return place


def data_10k(root, cache, **options):
    return CocoStuff10k(Locations(cache, (root,)), **options)


def data_164k(root, cache, **options):
    return CocoStuff164k(Locations(cache, (root,)), **options)


@pytest.mark.parametrize("place", ["coco_stuff10k", "cocostuff-10k-v1.1", "."])
def test_10k_is_found_in_each_usual_place_in_the_order_of_its_lists(tmp_path, place):
    make_10k(tmp_path / "data" / place)
    data = data_10k(tmp_path / "data", tmp_path / "cache")
    check(data, "train", "test")
    assert {name: list(data.split(name).names) for name in data.info.splits} == STEMS


def test_published_matrices_of_10k_lose_the_ids_that_never_occur(tmp_path):
    make_10k(tmp_path)
    assert data_10k(tmp_path, tmp_path / "c").split("test")[0][1].tolist() == [[255, *INDICES]]


def test_converted_files_of_10k_are_shifted_by_one(tmp_path):
    make_converted_10k(tmp_path)
    data = data_10k(tmp_path, tmp_path / "c")
    check(data, "train", "test")
    assert data.split("train").names == tuple(sorted(STEMS["train"]))
    assert data.split("train")[0][1].tolist() == [[255, *INDICES]]


def test_published_and_converted_files_of_10k_can_be_mixed(tmp_path):
    make_10k(tmp_path, (0, 182, 92, 13))
    make_converted_10k(tmp_path, (0, 171, 81, 12))
    (tmp_path / "annotations" / f"{STEMS['train'][0]}.mat").unlink()
    (tmp_path / "images" / f"{STEMS['train'][1]}.jpg").unlink()
    data = data_10k(tmp_path, tmp_path / "c")
    data.require(("train",))
    assert [pair.label.suffix for pair in data.split("train").pairs] == [".png", ".mat"]
    assert [mask.tolist() for _, mask in data.split("train")] == [[[255, 170, 80, 11]]] * 2


@pytest.mark.parametrize("value", [12, 91, 183])
def test_ids_of_10k_that_never_occur_are_told(tmp_path, value):
    make_10k(tmp_path, (1, value))
    with pytest.raises(BenchError, match=rf"COCO_train2014_9.mat: label values .*: {value} \(1 pixels\)"):
        check(data_10k(tmp_path, tmp_path / "c"), "test")


def test_missing_files_of_10k_are_named(tmp_path):
    make_10k(tmp_path)
    (tmp_path / "imageLists" / "test.txt").unlink()
    (tmp_path / "annotations" / f"{STEMS['train'][1]}.mat").unlink()
    (tmp_path / "images" / f"{STEMS['train'][0]}.jpg").unlink()
    image, matrix, listing = problems(data_10k(tmp_path, tmp_path / "c"), "train", "test")
    assert image == f"{tmp_path / 'images' / STEMS['train'][0]}.jpg: no such file"
    assert matrix == f"{tmp_path / 'annotations' / STEMS['train'][1]}.mat: no such file"
    assert "test.txt: no such file. Expected in it: images/*.jpg" in listing


@pytest.mark.parametrize("place", ["coco_stuff164k", "cocostuff", "."])
def test_164k_is_found_in_each_usual_place(tmp_path, place):
    make_164k(tmp_path / "data" / place)
    data = data_164k(tmp_path / "data", tmp_path / "cache")
    data.require(("train", "val"))
    check(data, "val")
    assert data.split("val").names == ("000000000001", "000000000009")


def test_published_files_of_164k_hold_the_id_less_one(tmp_path):
    make_164k(tmp_path)
    assert data_164k(tmp_path, tmp_path / "c").split("val")[0][1].tolist() == [[*INDICES, 255]]


def test_converted_files_of_164k_hold_the_class_index(tmp_path):
    make_164k(tmp_path, "_labelTrainIds.png", (*INDICES, 255))
    split = data_164k(tmp_path, tmp_path / "c").split("train")
    assert split.names == ("000000000001", "000000000009")
    assert split[1][1].tolist() == [[*INDICES, 255]]


def test_each_file_of_164k_is_read_by_its_own_table(tmp_path):
    make_164k(tmp_path, ".png", (181, 12))
    make_164k(tmp_path, "_labelTrainIds.png", (170, 12))
    (tmp_path / "annotations" / "val2017" / "000000000009.png").unlink()
    split = data_164k(tmp_path, tmp_path / "c").split("val")
    assert [mask.tolist() for _, mask in split] == [[[170, 11]], [[170, 12]]]


@pytest.mark.parametrize(("ending", "value"), [(".png", 11), (".png", 182), ("_labelTrainIds.png", 171)])
def test_values_of_164k_that_never_occur_are_told(tmp_path, ending, value):
    make_164k(tmp_path, ending, (0, value))
    with pytest.raises(BenchError, match=rf"000000000001{ending}: label values .*: {value} \(1 pixels\)"):
        check(data_164k(tmp_path, tmp_path / "c"), "val")


def test_missing_files_of_164k_are_named(tmp_path):
    make_164k(tmp_path)
    (tmp_path / "annotations" / "val2017" / "000000000009.png").unlink()
    (tmp_path / "images" / "train2017").rename(tmp_path / "elsewhere")
    folder, label = problems(data_164k(tmp_path, tmp_path / "c"), "train", "val")
    assert f"{tmp_path / 'images' / 'train2017'}: no such folder. Expected in it: images/train2017" in folder
    assert label == f"{tmp_path / 'annotations' / 'val2017' / '000000000009.png'}: no such file"


def test_a_copy_of_coco_without_label_maps_is_not_taken(tmp_path):
    (tmp_path / "coco" / "images" / "train2017").mkdir(parents=True)
    (tmp_path / "coco" / "annotations").mkdir()
    assert "cocostuff164k is not there" in problems(data_164k(tmp_path, tmp_path / "c"), "train")[0]


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        (CocoStuff10k, ("imageLists", "cocostuff-10k-v1.1.zip")),
        (CocoStuff164k, ("annotations/train2017", "stuffthingmaps_trainval2017.zip")),
    ],
)
@pytest.mark.parametrize("roots", [(), ("data",)])
def test_absence_is_one_clear_sentence(tmp_path, roots, dataset, words):
    data = dataset(Locations(tmp_path, tuple(tmp_path / root for root in roots)))
    (problem,) = problems(data, "train")
    for word in (f"{data.name} is not there", "BENCH_DATA", *words):
        assert word in problem
    assert (str(tmp_path / "data" / data.places[0]) in problem) == bool(roots)


@pytest.mark.parametrize(
    ("dataset", "eval_split", "splits"),
    [(CocoStuff10k, "test", ("train", "test")), (CocoStuff164k, "val", ("train", "val"))],
)
def test_facts(dataset, eval_split, splits):
    info = dataset.info
    assert (info.num_classes, info.eval_split, info.splits, info.ignore_index) == (171, eval_split, splits, 255)
    assert len(set(info.class_names)) == 171
    known = {0: "person", 10: "fire hydrant", 11: "stop sign", 79: "toothbrush", 80: "banner", 84: "building-other"}
    assert {index: info.class_names[index] for index in known} == known
    assert info.class_names[170] == "wood"
    assert not {"street sign", "hat", "shoe", "eye glasses", "plate", "blender", "hair brush"} & {*info.class_names}
    assert len(set(info.palette)) == 171
    assert (0, 0, 0) not in info.palette


def test_the_archives_unpack_into_the_first_place():
    (ten,) = CocoStuff10k.archives
    assert ten.folder == CocoStuff10k.places[0]
    folders = [archive.folder for archive in CocoStuff164k.archives]
    assert folders == [f"{CocoStuff164k.places[0]}/{part}" for part in ("images", "images", "annotations")]


@pytest.mark.needs_data
def test_the_fixture_holds_what_its_values_mean(tmp_path):
    data = fixture_of(CocoStuff164k, tmp_path, "layout-cocostuff")
    check(data, "train", "val")
    assert [len(data.split(name)) for name in ("train", "val")] == [4, 2]
    values = data.split("val")[0][1].unique().tolist()
    assert values[-1] == 255
    assert {data.info.class_names[index] for index in values[:-1]} == {
        "person", "bicycle", "car", "stop sign", "building-other", "fence", "metal", "pavement", "road", "sky-other",
        "tree",
    }  # fmt: skip
