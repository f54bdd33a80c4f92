import hashlib
import pickle

import numpy as np
import pytest
from PIL import Image

from bench.base.errors import BenchError
from bench.data.facts import Locations
from bench.data.sets import scenes
from bench.data.sets.digit_scenes import DigitScenes, make_scenes

SMALL = {"n_train": 12, "n_val": 6, "n_test": 5}


def sha(array):
    return hashlib.sha256(array.tobytes()).hexdigest()[:16]


@pytest.fixture(scope="module")
def train_scenes():
    return make_scenes("train", 200, size=64, seed=0)


@pytest.fixture
def data(tmp_path):
    return DigitScenes(Locations(tmp_path / "cache"), **SMALL)


@pytest.mark.parametrize(
    ("split", "labels_digest", "instances_digest", "mean"),
    [
        ("train", "864ec631e319dd31", "958bdde7113b3706", 103.009),
        ("val", "5bd63c01893504d1", "ea73de3eb6c90061", 106.363),
        ("test", "3f545e9cbe05ba92", "ee3195a4fc134816", 113.512),
    ],
)
def test_the_first_20_scenes_never_change(split, labels_digest, instances_digest, mean):
    images, labels, instances = make_scenes(split, 20, size=64, seed=0)
    assert (sha(labels), sha(instances)) == (labels_digest, instances_digest)
    # JPEG decoders differ by a level here and there.
    assert images.mean() == pytest.approx(mean, abs=0.5)


@pytest.mark.parametrize("size", [32, 64, 97])
def test_fewer_scenes_are_a_prefix_of_more(size):
    for few, many in zip(
        make_scenes("val", 3, size=size, seed=4), make_scenes("val", 7, size=size, seed=4), strict=True
    ):
        assert few.shape[1:3] == (size, size)
        np.testing.assert_array_equal(few, many[:3])


def test_seeds_and_splits_give_other_scenes():
    digests = {
        sha(make_scenes(split, 2, size=32, seed=seed)[1]) for split in scenes.SPLITS for seed in (0, 1, 2**32 - 1)
    }
    assert len(digests) == 9


def test_no_class_is_rare_and_a_third_is_background(train_scenes):
    shares = np.bincount(train_scenes[1].ravel(), minlength=11) / train_scenes[1].size
    assert shares.size == 11
    assert 0.33 < shares[0] < 0.39
    assert shares[1:].min() > 0.05
    assert shares[1:].max() < 0.08


def test_an_instance_has_one_label(train_scenes):
    _, labels, instances = train_scenes
    np.testing.assert_array_equal(labels == 0, instances == 0)
    for scene_labels, scene_instances in zip(labels, instances, strict=True):
        for number in np.unique(scene_instances):
            assert len(np.unique(scene_labels[scene_instances == number])) == 1
    assert 6.5 < np.mean([len(np.unique(scene)) - 1 for scene in instances]) < 8.5


def test_ink_stands_out_from_its_disc(train_scenes):
    images, _, instances = train_scenes
    spread = [
        np.ptp(np.percentile(image[scene == number].mean(-1), [5, 95]))
        for image, scene in zip(images[:50], instances[:50], strict=True)
        for number in np.unique(scene)[1:]
        if (scene == number).sum() > 200
    ]
    assert np.percentile(spread, 5) > 50


def test_splits_share_no_digit(monkeypatch):
    used = {}
    original = scenes._draw_discs

    def record(split, random, size):
        discs = original(split, random, size)
        used.setdefault(split, set()).update(disc.row for disc in discs)
        return discs

    monkeypatch.setattr(scenes, "_draw_discs", record)
    for split in scenes.SPLITS:
        make_scenes(split, 60, size=32, seed=0)
    assert all(len(rows) > 100 for rows in used.values())
    assert not used["train"] & used["val"]
    assert not used["train"] & used["test"]
    assert not used["val"] & used["test"]
    assert max(used["test"]) < 1797


def test_splits_share_no_photo_pixel():
    whole = [
        np.asarray(Image.open(scenes.files(package).joinpath(name)).convert("RGB")) for package, name in scenes.PHOTOS
    ]
    for index, photo in enumerate(whole):
        parts = [np.asarray(scenes._photos(split)[index]) for split in scenes.SPLITS]
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), photo)


def test_a_sample_is_an_image_with_its_labels(data):
    data.require()
    samples = data.split("val")
    images, labels, instances = make_scenes("val", 6, size=64, seed=0)
    image, mask = samples[5]
    assert len(samples) == 6
    assert samples.names[5] == "val/000005"
    np.testing.assert_array_equal(image.numpy(), images[5].transpose(2, 0, 1))
    np.testing.assert_array_equal(mask.numpy(), labels[5])
    np.testing.assert_array_equal(samples.instances(5), instances[5])


def test_samples_travel_to_workers_without_their_pixels(data):
    samples = data.split("train")
    text = pickle.dumps(samples)
    assert len(text) < 1000
    np.testing.assert_array_equal(pickle.loads(text)[3][0], samples[3][0])


def test_written_pixels_do_not_reach_the_cache(data):
    samples = data.split("train")
    before = samples[0][0].clone()
    samples[0][0].fill_(7)
    samples[0][1].fill_(7)
    assert (samples[0][0] == before).all()


@pytest.mark.parametrize("damage", ["flip", "truncate"])
@pytest.mark.parametrize("travelled", [False, True])
def test_scenes_that_change_while_they_are_in_use_are_named(data, damage, travelled):
    samples = data.split("train")
    if travelled:
        samples = pickle.loads(pickle.dumps(samples))
    before = samples[0][0].clone()
    path = data._folder / "train-images.npy"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]) if damage == "flip" else content[:-64])
    assert (samples[0][0] == before).all()
    with pytest.raises(BenchError, match=r"train-images\.npy: scene \d+ changed while it was in use"):
        samples[len(samples) - 1]
    again = DigitScenes(data.locations, **SMALL).split("train")
    assert (again[0][0] == before).all()
    again[len(again) - 1]


def test_generated_once_then_read(data, monkeypatch):
    digest = data.fingerprint()
    monkeypatch.setattr("bench.data.sets.digit_scenes.make_scenes", None)
    again = DigitScenes(data.locations, **SMALL)
    assert again.fingerprint() == digest
    assert len(again.split("test")) == 5


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "no digests", "foreign digests", "half digests"])
def test_a_damaged_cache_is_made_again(data, damage):
    digest, folder = data.fingerprint(), data._folder
    victim, digests = folder / "val-labels.npy", folder / "digests.json"
    content = victim.read_bytes()
    if damage == "flip":
        victim.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "truncate":
        victim.write_bytes(content[: len(content) // 2])
    elif damage == "remove":
        victim.unlink()
    elif damage == "no digests":
        digests.unlink()
    elif damage == "foreign digests":
        digests.write_text("[]")
    else:
        digests.write_text(digests.read_text()[:40])
    again = DigitScenes(data.locations, **SMALL)
    assert again.fingerprint() == digest
    assert victim.read_bytes() == content


def test_a_kill_before_the_digests_leaves_no_trusted_cache(data, monkeypatch):
    def killed(path, value):
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.data.sets.digit_scenes.write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        data.require()
    monkeypatch.undo()
    assert not (data._folder / "digests.json").exists()
    data.require()
    assert (data._folder / "digests.json").exists()


def test_the_fingerprint_follows_content_not_place(tmp_path, data):
    elsewhere = DigitScenes(Locations(tmp_path / "other"), **SMALL)
    other_seed = DigitScenes(data.locations, **SMALL, scene_seed=1)
    assert elsewhere.fingerprint() == data.fingerprint() != other_seed.fingerprint()


def test_an_unwritable_cache_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match=r"digit-scenes cannot be written to .*file"):
        DigitScenes(Locations(tmp_path / "file"), **SMALL).require()


def test_an_unknown_split_is_told(data):
    with pytest.raises(BenchError, match=r"unknown split of digit-scenes 'vall'. Did you mean 'val'"):
        data.split("vall")


def test_check_passes(data):
    data.check({name: data.split(name) for name in ("train", "val", "test")})


def test_the_mean_is_that_of_the_pixels(train_scenes):
    pixels = train_scenes[0].reshape(-1, 3) / 255
    np.testing.assert_allclose(DigitScenes.info.mean, pixels.mean(0), atol=0.03)
    np.testing.assert_allclose(DigitScenes.info.std, pixels.std(0), atol=0.03)
    assert len(DigitScenes.info.palette) == DigitScenes.info.num_classes == 11
