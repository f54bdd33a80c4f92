"""What a check tells besides unreadable files: labels that say nothing, images in two splits, ranges, pages."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.base.errors import BenchError
from bench.data.facts import DatasetInfo
from bench.data.feed.cache import keep_decoded
from bench.data.read import outlook as outlooks
from bench.data.read.checking import check_samples, content_fingerprint
from bench.data.read.depth import FULL, Span
from bench.data.read.files import FilePair, FileSamples
from bench.data.read.labels import IndexLabels
from bench.data.read.outlook import outlook

INFO = DatasetInfo(("a", "b", "c"), ((0, 0, 0),) * 3, (0, 0, 0), (1, 1, 1), "here", splits=("train", "val"))
LABELS = IndexLabels({0: 0, 1: 1, 2: 2, 255: 255}, 255)
SIZE = (4, 6)
IGNORED = np.full(SIZE, 255, np.uint8)
ALL = np.resize(np.array([0, 1, 2, 255], np.uint8), SIZE)


def noise(seed: int, most: int = 256, kind: type = np.uint8) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, most, SIZE).astype(kind)


def flat(value: int) -> np.ndarray:
    return np.full(SIZE, value, np.uint8)


def split(root: Path, name: str, images: list[np.ndarray], masks: list[np.ndarray], span=None) -> FileSamples:
    """Save a split; a list of one mask stands for as many as there are images."""
    pairs = []
    for index, pixels in enumerate(images):
        pair = FilePair(f"{name}{index}", root / name / f"{index}.png", root / name / f"{index}-mask.png")
        pair.image.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(pair.image)
        Image.fromarray(masks[index % len(masks)]).save(pair.label)
        pairs.append(pair)
    return FileSamples(pairs, LABELS, span)


def two(root: Path, train: list[np.ndarray], val: list[np.ndarray], masks=(ALL,), val_masks=None, span=None):
    return {
        "train": split(root, "train", train, list(masks), span),
        "val": split(root, "val", val, list(masks if val_masks is None else val_masks), span),
    }


def refused(splits, **given) -> list[str]:
    with pytest.raises(BenchError) as caught:
        check_samples(splits, info=INFO, **given)
    return list(caught.value.problems)


class Told:
    """A dataset of given splits, to ask for an outlook."""

    info, shared_allowed = INFO, False

    def __init__(self, splits):
        self.splits = splits

    def split(self, name):
        return self.splits[name]


NOISES = [noise(index) for index in range(3)]
OTHERS = [noise(index) for index in range(10, 12)]


def test_a_split_without_a_labelled_pixel_is_refused(tmp_path: Path) -> None:
    (problem,) = refused(two(tmp_path, NOISES, OTHERS, val_masks=[IGNORED]))
    assert problem.startswith("the val split has no labelled pixel, so there is nothing to score")
    assert problem.endswith("eval_split.")
    (problem,) = refused(two(tmp_path / "b", NOISES, OTHERS, masks=[IGNORED], val_masks=[ALL]))
    assert problem.startswith("the train split has no labelled pixel, so there is nothing to learn from")


def test_one_labelled_pixel_is_enough(tmp_path: Path) -> None:
    one = IGNORED.copy()
    one[3, 5] = 1
    assert check_samples(two(tmp_path, NOISES, OTHERS, val_masks=[IGNORED, one]), info=INFO) == ()


def test_a_class_that_train_lacks_is_told(tmp_path: Path) -> None:
    splits = two(tmp_path, NOISES, OTHERS, masks=[flat(0)], val_masks=[ALL])
    told = ("train has no pixel of 2 classes that are in val, so no student can learn it: b, c",)
    assert check_samples(splits, info=INFO) == told
    assert check_samples({"train": splits["val"], "val": splits["train"]}, info=INFO) == ()


def test_remarks_are_told_again_without_reading_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = two(tmp_path, NOISES, OTHERS, masks=[flat(0)], val_masks=[ALL])
    first = check_samples(splits, tmp_path / "cache", INFO)
    monkeypatch.setattr(FileSamples, "__getitem__", None)
    assert check_samples(splits, tmp_path / "cache", INFO) == first != ()
    assert outlook(Told(splits), ("train", "val"), tmp_path / "cache").remarks == first
    swapped = {"val": splits["val"], "train": splits["train"]}
    with pytest.raises(TypeError):  # which one is trained on decides what is told
        check_samples(swapped, tmp_path / "cache", INFO)


def test_what_is_remembered_and_damaged_is_read_again(tmp_path: Path) -> None:
    splits = two(tmp_path, NOISES, OTHERS, masks=[flat(0)], val_masks=[ALL])
    first = check_samples(splits, tmp_path / "cache", INFO)
    (marker,) = (tmp_path / "cache" / "checked").iterdir()
    for text in ("passed", "", "{}", marker.read_text()[:40]):
        marker.write_text(text)
        assert check_samples(splits, tmp_path / "cache", INFO) == first


def test_one_image_in_two_splits_is_refused_unless_that_is_allowed(tmp_path: Path) -> None:
    splits = two(tmp_path, NOISES, [*OTHERS, NOISES[1]])
    (problem,) = refused(splits)
    assert problem.startswith("the same image is in two splits: train ('train1') and val ('val2'). Remove it")
    assert problem.endswith("add under dataset: shared_images: allowed")
    assert check_samples(splits, info=INFO, shared_allowed=True) == (
        "shared_images: allowed: 1 image of one split in another as well, such as train ('train1') and val ('val2')",
    )


def test_images_of_one_colour_in_two_splits_are_told_and_no_fault(tmp_path: Path) -> None:
    splits = two(tmp_path, [*NOISES, flat(255)], [*OTHERS, flat(255), flat(0)])
    (remark,) = check_samples(splits, info=INFO)
    assert remark == (
        "2 images of a single colour are the same in two splits, such as train ('train3') and val ('val2')"
    )
    nearly = flat(255)
    nearly[3, 4] = 254
    assert "the same image" in refused(two(tmp_path / "b", [*NOISES, nearly], [*OTHERS, nearly]))[0]


def test_images_are_told_apart_by_what_their_files_hold(tmp_path: Path) -> None:
    deep = [noise(index, 256, np.uint16) for index in range(5)]  # all of it black in the upper byte
    splits = two(tmp_path, deep[:3], deep[3:])
    (problem,) = refused(splits)
    assert problem.startswith("5 images of more than 8 bits a channel use only the values")
    assert "one grey level is left of them. Add under dataset: image_range: [0, 255]" in problem
    assert check_samples(two(tmp_path, deep[:3], deep[3:], span=Span(0, 255)), info=INFO) == ()
    assert check_samples(two(tmp_path, deep[:3], deep[3:], span=FULL), info=INFO) == ()
    again = two(tmp_path / "b", deep[:3], [deep[3], deep[1]], span=FULL)
    assert refused(again)[0].startswith("the same image is in two splits: train ('train1') and val ('val1')")
    one = np.full(SIZE, 300, np.uint16)
    assert (
        "single colour" in check_samples(two(tmp_path / "c", [deep[0], one], [deep[1], one], span=FULL), info=INFO)[0]
    )


@pytest.mark.parametrize(("most", "n_told"), [(4096, 1), (7000, 1), (16_000, 0), (65_536, 0)])
def test_only_few_grey_levels_are_refused(tmp_path: Path, most: int, n_told: int) -> None:
    deep = [noise(index, most, np.uint16) for index in range(5)]
    splits = two(tmp_path, deep[:3], deep[3:])
    if n_told:
        assert "grey levels are left of them" in refused(splits)[0]
    else:
        assert check_samples(splits, info=INFO) == ()


def test_images_made_with_fewer_bits_among_others_are_told(tmp_path: Path) -> None:
    deep = [noise(index, 65_536, np.uint16) for index in range(3)]
    dark = [noise(index, 4096, np.uint16) for index in range(10, 12)]
    (remark,) = check_samples(two(tmp_path, deep, dark), info=INFO)
    assert remark.startswith("5 images of more than 8 bits a channel: 2 of them have no value of 4096 or more")


def test_values_outside_of_the_range_are_told(tmp_path: Path) -> None:
    deep = [noise(index, 4096, np.uint16) for index in range(5)]
    (remark,) = check_samples(two(tmp_path, deep[:3], deep[3:], span=Span(0, 1023)), info=INFO)
    assert remark.startswith("values outside of image_range: [0, 1023] become black or white in 5 of 5 images")


def test_values_that_need_a_range_are_told_in_one_sentence(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    splits = two(tmp_path, NOISES, OTHERS)
    for index, pair in enumerate([*splits["train"].pairs, *splits["val"].pairs]):
        tifffile.imwrite(pair.image, noise(index).astype(np.float32) / 255)
    (problem,) = refused(splits)
    assert problem.startswith("5 images hold floating-point numbers from 0")
    assert "such as " + str(splits["train"].pairs[0].image) in problem
    assert problem.endswith("Add under dataset: image_range: [0, 1]")


def test_files_of_several_pages_are_told(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    splits = two(tmp_path, NOISES, OTHERS)
    image = tmp_path / "stack.tif"
    tifffile.imwrite(image, np.stack([noise(50), noise(51)]), photometric="minisblack")
    mask = tmp_path / "masks.tif"
    tifffile.imwrite(mask, np.stack([ALL, ALL, ALL]), photometric="minisblack")
    splits["val"] = FileSamples([*splits["val"].pairs, FilePair("stack", image, mask)], LABELS)
    assert check_samples(splits, info=INFO) == (
        f"val: 1 image of several pages, of which the first is read: {image} has 2",
        f"val: 1 mask of several pages, of which the first is read: {mask} has 3",
    )


def test_each_file_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.data.read import images

    deep = [noise(index, 65_536, np.uint16) for index in range(5)]
    splits = two(tmp_path, deep[:3], deep[3:])
    read: list[str] = []
    original = images._deep_values
    monkeypatch.setattr(images, "_deep_values", lambda *given, **more: read.append("") or original(*given, **more))
    check_samples(splits, tmp_path / "cache", INFO)
    check_samples(splits, tmp_path / "cache", INFO)
    assert len(read) == 5


def test_images_that_were_kept_decoded_are_judged_alike(tmp_path: Path) -> None:
    deep = [noise(index, 4096, np.uint16) for index in range(5)]
    cache = tmp_path / "cache"

    def kept(splits):
        print_of = content_fingerprint(splits, cache)
        return {name: keep_decoded(samples, print_of + name, cache, 10**9).samples for name, samples in splits.items()}

    first = kept(two(tmp_path, deep[:3], deep[3:]))
    told = refused(first)
    fresh = kept(two(tmp_path, deep[:3], deep[3:]))  # all decoded, nothing known of the files
    assert all(samples.is_decoded for samples in fresh.values())
    assert refused(fresh) == told
    ranged = kept(two(tmp_path, deep[:3], deep[3:], span=Span(0, 4095)))
    np.testing.assert_array_equal(ranged["train"][0][0][0], deep[0] >> 4)  # no pixel of the other reading


def test_an_outlook_counts_the_labels_of_small_splits_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    splits, cache = two(tmp_path, NOISES, OTHERS, masks=[flat(0)], val_masks=[IGNORED]), tmp_path / "cache"
    first = outlook(Told(splits), ("train", "val"), cache)
    assert first.problems[0].startswith("the val split has no labelled pixel")
    with monkeypatch.context() as patch:
        patch.setattr(IndexLabels, "read", None)
        assert outlook(Told(splits), ("train", "val"), cache) == first
    for kept in (cache / "labels").iterdir():
        kept.write_text(json.dumps([1, 2]))
    assert outlook(Told(splits), ("train", "val"), cache) == first
    Image.fromarray(flat(2)).save(splits["val"].pairs[0].label)
    assert "train has no pixel of a class that is in val" in outlook(Told(splits), ("train", "val"), cache).remarks[0]


def test_an_outlook_of_large_splits_stops_at_the_first_labelled_pixel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlooks, "MOST_COUNTED", 4)
    reads: list[Path] = []
    original = IndexLabels.read
    monkeypatch.setattr(IndexLabels, "read", lambda self, path: reads.append(path) or original(self, path))
    splits = two(tmp_path, NOISES, OTHERS, val_masks=[IGNORED])
    told = outlook(Told(splits), ("train", "val"), tmp_path / "cache")
    assert [problem[:38] for problem in told.problems] == ["the val split has no labelled pixel, s"]
    assert len(reads) == 3
    assert not (tmp_path / "cache").exists()


def test_an_outlook_says_nothing_of_files_that_cannot_be_read(tmp_path: Path) -> None:
    splits = two(tmp_path, NOISES, OTHERS, val_masks=[IGNORED])
    splits["val"].pairs[0].label.unlink()
    told = outlook(Told(splits), ("train", "val"), tmp_path / "cache")
    assert (told.problems, told.remarks) == ((), ())
