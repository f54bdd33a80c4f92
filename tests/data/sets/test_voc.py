import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from bench.base.errors import BenchError
from bench.data.facts import Locations
from bench.data.read.reading import read_mask
from bench.data.sets.voc import Voc2012
from tests.data.trees import check, fixture_of, problems, save_image, save_label

OFFICIAL = [[0, 1, 15, 20, 255, 0]]
AUGMENTED = [[0, 1, 15, 20, 20, 0]]
LISTS = {"train": ["2007_1", "2007_2"], "val": ["2008_1"], "trainval": ["2007_1", "2007_2", "2008_1"]}


def voc_lists(place, lists=LISTS):
    folder = place / "ImageSets" / "Segmentation"
    folder.mkdir(parents=True, exist_ok=True)
    for name, stems in lists.items():
        (folder / f"{name}.txt").write_text("\n".join(stems) + "\n")


def make_voc(place, stems=("2007_1", "2007_2", "2008_1")):
    voc_lists(place)
    for stem in stems:
        save_image(place / "JPEGImages" / f"{stem}.jpg")
        save_label(place / "SegmentationClass" / f"{stem}.png", OFFICIAL, palette=True)
    return place


def save_sbd_label(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    segmentation = {"Segmentation": np.array(rows, np.uint8), "CategoriesPresent": np.array([[1], [15]], np.uint8)}
    savemat(path, {"GTcls": segmentation}, do_compression=True)


def make_sbd(folder, train, val):
    for stem in (*train, *val):
        save_sbd_label(folder / "cls" / f"{stem}.mat", AUGMENTED)
    (folder / "train.txt").write_text("\n".join(train) + "\n")
    (folder / "val.txt").write_text("\n".join(val) + "\n")


def voc(tmp_path, **options):
    return Voc2012(Locations(tmp_path / "cache", (tmp_path / "data",)), **options)


def label(data, split, index=0):
    return data.split(split)[index][1].tolist()


@pytest.mark.parametrize("place", ["VOCdevkit/VOC2012", "VOC2012", "voc2012/VOCdevkit/VOC2012", "."])
def test_found_in_each_usual_place(tmp_path, place):
    make_voc(tmp_path / "data" / place)
    data = voc(tmp_path)
    names = ("train", "val", "trainval")
    data.require(names)
    check(data, "train", "val")
    assert [data.split(name).names for name in names] == [tuple(LISTS[name]) for name in names]


def test_a_palette_gives_its_indices_and_the_border_is_ignored(tmp_path):
    make_voc(tmp_path / "data")
    assert label(voc(tmp_path), "train") == [[0, 1, 15, 20, 255, 0]]


def test_a_grey_file_reads_like_a_palette(tmp_path):
    place = make_voc(tmp_path / "data")
    save_label(place / "SegmentationClass" / "2007_1.png", OFFICIAL, palette=False)
    data = voc(tmp_path)
    assert label(data, "train", 0) == label(data, "train", 1) == [[0, 1, 15, 20, 255, 0]]


def test_a_value_that_voc_has_not_is_told(tmp_path):
    place = make_voc(tmp_path / "data")
    save_label(place / "SegmentationClass" / "2008_1.png", [[0, 21, 254, 0, 0, 0]])
    with pytest.raises(BenchError, match=r"2008_1.png: label values outside .*21 \(1 pixels\), 254 \(1 pixels\)"):
        check(voc(tmp_path), "val")


LINES = [
    "{stem}",
    "JPEGImages/{stem}.jpg SegmentationClassAug/{stem}.png",
    "/JPEGImages/{stem}.jpg /SegmentationClassAug/{stem}.png",
]


@pytest.mark.parametrize("name", ["trainaug", "train_aug"])
@pytest.mark.parametrize("line", LINES)
def test_trainaug_of_a_list_prefers_the_augmented_labels(tmp_path, name, line):
    place = make_voc(tmp_path / "data", ["2007_1", "2007_2", "2009_9"])
    voc_lists(place, {name: [line.format(stem=stem) for stem in ("2009_9", "2007_1")]})
    save_label(place / "SegmentationClassAug" / "2007_1.png", AUGMENTED)
    data = voc(tmp_path)
    data.require(["trainaug"])
    assert data.split("trainaug").names == ("2007_1", "2009_9")
    assert label(data, "trainaug", 0) == AUGMENTED
    assert label(data, "trainaug", 1) == OFFICIAL


def test_the_other_splits_prefer_the_official_labels(tmp_path):
    place = make_voc(tmp_path / "data")
    for stem in ("2007_1", "2007_2"):
        save_label(place / "SegmentationClassAug" / f"{stem}.png", AUGMENTED)
    (place / "SegmentationClass" / "2007_2.png").unlink()
    data = voc(tmp_path)
    assert [label(data, "trainval", index) for index in range(3)] == [OFFICIAL, AUGMENTED, OFFICIAL]


@pytest.mark.parametrize(
    "folder", ["data/benchmark_RELEASE/dataset", "data/sbd", "data/VOCdevkit/SBD", "SBD/benchmark_RELEASE/dataset"]
)
def test_trainaug_of_sbd_is_train_and_both_lists_less_val(tmp_path, folder):
    place = make_voc(tmp_path / "data" / "VOCdevkit" / "VOC2012")
    make_sbd(tmp_path / folder, ["2010_2", "2007_2", "2008_1"], ["2010_1", "2008_1", "2010_2"])
    for stem in ("2010_1", "2010_2"):
        save_image(place / "JPEGImages" / f"{stem}.jpg")
    data = voc(tmp_path)
    check(data, "trainaug", "val")
    assert data.split("trainaug").names == ("2007_1", "2007_2", "2010_1", "2010_2")
    assert [label(data, "trainaug", index) for index in range(4)] == [OFFICIAL, OFFICIAL, AUGMENTED, AUGMENTED]


def test_a_list_and_sbd_give_the_same_order(tmp_path):
    place = make_voc(tmp_path / "data")
    make_sbd(tmp_path / "data" / "sbd", ["2010_2", "2007_2"], ["2008_1", "2010_1"])
    put_together = voc(tmp_path).split("trainaug").names
    voc_lists(place, {"trainaug": ["2010_1", "2007_1", "2010_2", "2007_2"]})
    assert voc(tmp_path).split("trainaug").names == put_together


def test_trainaug_without_list_and_sbd_says_what_is_needed(tmp_path):
    make_voc(tmp_path / "data")
    (problem,) = problems(voc(tmp_path), "trainaug")
    for word in ("trainaug.txt", "train_aug.txt", str(tmp_path / "data" / "benchmark_RELEASE"), "benchmark.tgz"):
        assert word in problem


def test_missing_labels_of_trainaug_are_named_where_they_belong(tmp_path):
    place = make_voc(tmp_path / "data")
    for stem in ("2010_1", "2010_2"):
        save_image(place / "JPEGImages" / f"{stem}.jpg")
    make_sbd(tmp_path / "data" / "sbd", ["2010_1"], ["2010_2"])
    (tmp_path / "data" / "sbd" / "cls" / "2010_2.mat").unlink()
    data = voc(tmp_path)
    assert problems(data, "trainaug") == (f"{tmp_path / 'data' / 'sbd' / 'cls' / '2010_2.mat'}: no such file",)
    save_label(place / "SegmentationClassAug" / "2010_1.png", AUGMENTED)
    assert problems(data, "trainaug") == (f"{place / 'SegmentationClassAug' / '2010_2.png'}: no such file",)


def test_missing_files_and_bad_lines_are_all_told(tmp_path):
    place = make_voc(tmp_path / "data")
    (place / "JPEGImages" / "2007_1.jpg").unlink()
    (place / "SegmentationClass" / "2008_1.png").unlink()
    voc_lists(place, {"trainaug": ["2007_1", "JPEGImages/a.jpg SegmentationClassAug/b.png"]})
    (place / "ImageSets" / "Segmentation" / "trainval.txt").unlink()
    found = problems(voc(tmp_path), "train", "val", "trainaug", "trainval")
    assert found[0] == f"{place / 'JPEGImages' / '2007_1.jpg'}: no such file"
    assert found[1] == f"{place / 'SegmentationClass' / '2008_1.png'}: no such file"
    assert "trainaug.txt:2: expected a name or 'JPEGImages/NAME.jpg" in found[2]
    assert "trainval.txt: no such file. Expected in it: JPEGImages" in found[3]
    assert len(found) == 4


@pytest.mark.parametrize("roots", [(), ("data",)])
def test_absence_is_one_clear_sentence(tmp_path, roots):
    (tmp_path / "data" / "VOC2012" / "JPEGImages").mkdir(parents=True)
    data = Voc2012(Locations(tmp_path, tuple(tmp_path / root for root in roots)))
    (problem,) = problems(data, "train")
    for word in ("voc2012 is not there", "ImageSets/Segmentation", "VOCtrainval_11-May-2012.tar", "BENCH_DATA"):
        assert word in problem
    assert (str(tmp_path / "data" / "VOCdevkit" / "VOC2012") in problem) == bool(roots)


def test_a_folder_is_looked_for_alone(tmp_path):
    make_voc(tmp_path / "data" / "VOC2012")
    assert "Looked in: " + str(tmp_path / "data" / "half") + "." in problems(voc(tmp_path, folder="half"), "val")[0]


def damaged(name, path):
    if name == "truncated":
        path.write_bytes(path.read_bytes()[:-40])
    elif name == "empty":
        path.write_bytes(b"")
    elif name == "text":
        path.write_text("<html>not found</html>" * 20)
    elif name == "foreign":
        savemat(path, {"labels": np.zeros((2, 2))})
    elif name == "volume":
        savemat(path, {"S": np.zeros((2, 2, 3), np.uint8)})
    elif name == "halves":
        savemat(path, {"S": np.array([[0.5, 1.0]])})


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("truncated", "not a readable MATLAB file"),
        ("empty", "the file is empty"),
        ("text", "not a readable MATLAB file"),
        ("foreign", "neither the matrix S nor GTcls"),
        ("volume", r"matrix of whole numbers, these are uint8 of shape \(2, 2, 3\)"),
        ("halves", "matrix of whole numbers, these are float64"),
    ],
)
def test_damaged_matrices_are_named(tmp_path, name, words):
    path = tmp_path / "2010_1.mat"
    save_sbd_label(path, np.arange(400).reshape(20, 20) % 21)
    damaged(name, path)
    with pytest.raises(BenchError, match=f"2010_1.mat: .*{words}"):
        read_mask(path)


def test_a_missing_matrix_is_named(tmp_path):
    with pytest.raises(BenchError, match=r"gone.mat: no such file"):
        read_mask(tmp_path / "gone.mat")


def test_matlab_numbers_of_any_type_are_read_as_they_are(tmp_path):
    for kind in (np.uint8, np.uint16, np.int32, np.float64):
        savemat(tmp_path / "a.MAT", {"S": np.array([[0, 7], [182, 1]], kind)}, appendmat=False)
        assert read_mask(tmp_path / "a.MAT").tolist() == [[0, 7], [182, 1]]


def test_facts():
    info = Voc2012.info
    assert (info.num_classes, len(info.palette), info.eval_split, info.ignore_index) == (21, 21, "val", 255)
    assert [info.class_names[index] for index in (0, 1, 15, 20)] == ["background", "aeroplane", "person", "tvmonitor"]
    assert [info.palette[index] for index in (0, 1, 15, 20)] == [
        (0, 0, 0),
        (128, 0, 0),
        (192, 128, 128),
        (0, 64, 128),
    ]


def test_the_archives_unpack_into_the_usual_places():
    assert [archive.folder for archive in Voc2012.archives] == ["", ""]
    assert all(archive.checksum and archive.bytes and archive.licence for archive in Voc2012.archives)


@pytest.mark.needs_data
def test_real_photos_in_the_real_layout(tmp_path):
    data = fixture_of(Voc2012, tmp_path, "voc-3img/VOCdevkit/VOC2012")
    data.require(data.info.splits)
    check(data, "trainaug", "val")
    assert data.split("train").names == data.split("trainaug").names == ("2011_000003", "2011_000006")
    assert data.split("val").names == ("2011_000025",)
    values = [data.split("train")[index][1].unique().tolist() for index in range(2)]
    assert values == [[0, 5, 15, 255], [0, 9, 15, 18, 255]]
    assert data.split("val")[0][1].unique().tolist() == [0, 6, 7]
    for official, augmented in zip(data.split("train"), data.split("trainaug"), strict=True):
        assert (official[1] == augmented[1]).all()


@pytest.mark.needs_data
def test_our_palette_is_that_of_real_label_files(tmp_path):
    data = fixture_of(Voc2012, tmp_path, "voc-3img/VOCdevkit/VOC2012")
    with Image.open(data.split("train").pairs[0].label) as image:
        stored = np.array(image.getpalette()).reshape(-1, 3)
    assert [tuple(colour) for colour in stored[:21].tolist()] == list(data.info.palette)
