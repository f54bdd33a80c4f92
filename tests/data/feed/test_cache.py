"""Kept pixels are the decoded ones, whatever happens to the files, the disk or the process."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.base.errors import BenchError
from bench.data.feed import cache as module
from bench.data.feed.cache import GIB, DecodedSamples, keep_decoded
from bench.data.read.files import FilePair, FileSamples
from bench.data.read.labels import IndexLabels
from tests.data.feed.test_loader import Made, load, same

LABELS = IndexLabels({0: 0, 1: 1, 2: 2}, 255)


def make_samples(folder: Path, sizes=((6, 9), (5, 4), (1, 1), (7, 7)), seed=0) -> FileSamples:
    rng = np.random.RandomState(seed)
    pairs = []
    folder.mkdir(parents=True, exist_ok=True)
    for index, size in enumerate(sizes):
        image, label = folder / f"{index}.png", folder / f"{index}_label.png"
        Image.fromarray(rng.randint(0, 256, (*size, 3)).astype(np.uint8)).save(image)
        Image.fromarray(rng.randint(0, 3, size).astype(np.uint8)).save(label)
        pairs.append(FilePair(str(index), image, label))
    return FileSamples(pairs, LABELS)


def kept(samples, cache, fingerprint="abc", limit=GIB) -> DecodedSamples:
    found, message = keep_decoded(samples, fingerprint, cache, limit)
    assert isinstance(found, DecodedSamples), message
    return found


def equal(first, second) -> bool:
    return all(
        torch.equal(a, b) and type(a) is type(b)
        for index in range(len(first))
        for a, b in zip(first[index], second[index], strict=True)
    )


class Refusing(FileSamples):
    def __getitem__(self, index):
        raise AssertionError(f"sample {index} was decoded")


def refusing(samples) -> Refusing:
    return Refusing(samples.pairs, samples.labels)


@pytest.fixture
def samples(tmp_path):
    return make_samples(tmp_path / "data")


def test_what_is_kept_is_what_was_decoded_and_is_not_decoded_again(tmp_path, samples):
    first = kept(samples, tmp_path)
    assert not first.is_decoded
    assert equal(first, samples)
    assert first.is_decoded
    assert equal(kept(refusing(samples), tmp_path), samples)


def test_the_size_is_told_beforehand_and_nothing_is_decoded_for_it(tmp_path, samples):
    _, message = keep_decoded(refusing(samples), "abc", tmp_path, GIB)
    pixels = 6 * 9 + 5 * 4 + 1 + 49
    assert f"{4 * pixels / GIB:.2f} GiB" in message
    (folder,) = (tmp_path / "decoded").iterdir()
    assert (folder / "pixels.bin").stat().st_size == 4 * pixels
    assert str(folder) in message


def test_other_content_other_labels_and_other_names_have_files_of_their_own(tmp_path, samples):
    kept(samples, tmp_path)
    kept(samples, tmp_path, fingerprint="other")
    kept(FileSamples(samples.pairs, IndexLabels({0: 2, 1: 1, 2: 0}, 255)), tmp_path)
    kept(FileSamples(samples.pairs[:2], LABELS), tmp_path)
    assert len(list((tmp_path / "decoded").iterdir())) == 4


def test_moved_data_find_their_pixels(tmp_path, samples):
    assert equal(kept(samples, tmp_path), samples)
    elsewhere = make_samples(tmp_path / "elsewhere")
    assert equal(kept(refusing(elsewhere), tmp_path), samples)


@pytest.mark.parametrize("name", ["pixels.bin", "sums.bin"])
@pytest.mark.parametrize("damage", ["flipped", "short", "gone", "long"])
def test_damaged_files_cost_a_decoding_and_never_a_wrong_pixel(tmp_path, samples, name, damage):
    assert equal(kept(samples, tmp_path), samples)
    (folder,) = (tmp_path / "decoded").iterdir()
    path = folder / name
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[5] ^= 0x40
    changed = {"flipped": content, "short": content[:-3], "long": content + b"x"}
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(changed[damage])
    assert equal(kept(samples, tmp_path), samples)
    assert equal(kept(refusing(samples), tmp_path), samples)


def flip(path, place):
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 0x41]))


DAMAGES = {
    "a pixel": lambda folder: flip(folder / "pixels.bin", 100),
    "every image and label": lambda folder: [flip(folder / "pixels.bin", place) for place in range(4 * 124)],
    "a checksum": lambda folder: flip(folder / "sums.bin", 9),
    "no pixels any more": lambda folder: os.truncate(folder / "pixels.bin", 0),
    "half of the pixels": lambda folder: os.truncate(folder / "pixels.bin", 200),
    "half of the checksums": lambda folder: os.truncate(folder / "sums.bin", 13),
    "no files any more": lambda folder: [path.unlink() for path in folder.glob("*.bin")],
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("opened", ["read before", "opened before", "a copy in a worker"])
@pytest.mark.filterwarnings("ignore:the decoded pixels")
def test_files_that_change_while_they_are_in_use_cost_a_decoding_and_never_a_wrong_pixel(
    tmp_path, samples, damage, opened
):
    found = kept(samples, tmp_path)
    assert equal(found, samples)
    if opened == "opened before":
        found = kept(samples, tmp_path)
    if opened == "a copy in a worker":
        found = pickle.loads(pickle.dumps(found))
    DAMAGES[damage](found.folder)
    assert equal(found, samples)
    assert equal(found, samples)
    if damage != "no files any more":
        assert equal(kept(refusing(samples), tmp_path), samples)


def test_a_change_is_told_once_and_the_disk_named(tmp_path, samples):
    found = kept(samples, tmp_path)
    assert equal(found, samples)
    DAMAGES["every image and label"](found.folder)
    with pytest.warns(UserWarning, match="'0' in .*decoded.* are not those that were kept") as told:
        assert equal(found, samples)
    assert len(told) == 1


def test_a_change_that_cannot_be_mended_ends_the_run_by_name(tmp_path, samples):
    found = kept(samples, tmp_path)
    assert equal(found, samples)
    DAMAGES["a pixel"](found.folder)
    samples.pairs[0].image.unlink()
    with pytest.warns(UserWarning, match="decoded anew"), pytest.raises(BenchError, match=r"0\.png"):
        found[0]


def test_a_size_that_the_header_told_wrongly_is_not_kept(tmp_path, samples):
    found = DecodedSamples(samples, kept(samples, tmp_path).folder, np.array([[6, 9], [4, 5], [1, 1], [7, 7]]))
    assert equal(found, samples)
    assert not found.is_decoded


def test_a_full_disk_in_the_middle_stops_the_keeping_and_not_the_reading(tmp_path, samples, monkeypatch):
    found = kept(samples, tmp_path)
    calls = []

    def full(handle, content, offset):
        calls.append(offset)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, content, offset)

    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", full)
    assert equal(found, samples)
    assert len(calls) == 4  # it was not tried again
    monkeypatch.undo()
    assert equal(kept(samples, tmp_path), samples)


def test_too_little_space_a_limit_and_a_folder_that_cannot_be_written_are_told(tmp_path, samples, monkeypatch):
    found, message = keep_decoded(samples, "abc", tmp_path, 10)
    assert found is samples
    assert "--cache-gib" in message
    (tmp_path / "file").write_text("")
    found, message = keep_decoded(samples, "abc", tmp_path / "file", GIB)
    assert found is samples
    assert "cannot be written" in message
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage(GIB + 100))
    found, message = keep_decoded(samples, "abc", tmp_path, GIB)
    assert found is samples
    assert "are free" in message
    assert not list(tmp_path.rglob("pixels.bin"))


def test_unreadable_headers_are_left_to_the_check(tmp_path, samples):
    samples.pairs[1].image.write_bytes(b"")
    found, message = keep_decoded(samples, "abc", tmp_path, GIB)
    assert (found, message) == (samples, "")


def test_samples_without_files_and_empty_splits_stay_as_they_are(tmp_path):
    for plain in (Made([(2, 2)]), FileSamples([], LABELS)):
        assert keep_decoded(plain, "abc", tmp_path, GIB) == (plain, "")


def test_a_broken_sample_is_told_and_the_others_are_kept(tmp_path, samples):
    found = kept(samples, tmp_path)
    samples.pairs[1].image.write_bytes(samples.pairs[1].image.read_bytes()[:60])
    with pytest.raises(BenchError, match=r"1\.png"):
        found[1]
    assert torch.equal(found[0][0], samples[0][0])


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches_are_those_of_decoding_whatever_the_workers(tmp_path, samples, workers):
    plain = load(samples, workers=0, iterations=8, batch_size=3)
    assert same(load(kept(samples, tmp_path), workers=workers, iterations=8, batch_size=3), plain)
    again = kept(refusing(samples), tmp_path)
    assert again.is_decoded
    assert same(load(again, workers=workers, iterations=8, batch_size=3), plain)


def test_a_copy_in_another_process_opens_the_files_itself(tmp_path, samples):
    found = kept(samples, tmp_path)
    assert equal(found, samples)
    content = pickle.dumps(found)
    assert len(content) < 10_000
    assert equal(pickle.loads(content), samples)


def fill(folder, cache):
    samples = FileSamples([FilePair(str(i), folder / f"{i}.png", folder / f"{i}_label.png") for i in range(4)], LABELS)
    assert equal(kept(samples, cache), samples)


def test_several_processes_fill_the_same_files(tmp_path, samples):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=fill, args=(tmp_path / "data", tmp_path)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert equal(kept(refusing(samples), tmp_path), samples)


KILLED = """
import sys
from pathlib import Path
from tests.data.feed.test_cache import make_samples, kept
found = kept(make_samples(Path(sys.argv[1]), [(120, 160)] * 200), Path(sys.argv[2]))
print("ready", flush=True)
for index in range(200):
    found[index]
print("end", flush=True)
"""


@pytest.mark.slow
def test_a_kill_while_writing_leaves_nothing_wrong(tmp_path):
    for wait in (0.0, 0.02, 0.05):
        cache = tmp_path / str(wait)
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path / "data"), str(cache)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        samples = make_samples(tmp_path / "data", [(120, 160)] * 200)
        assert equal(kept(samples, cache), samples)


@pytest.mark.parametrize("target", ["victim", "absent"])
def test_links_in_place_of_kept_files_are_not_written_through(tmp_path, samples, target):
    folder = kept(samples, tmp_path / "cache").folder
    pixels, victim = folder / "pixels.bin", tmp_path / target
    if target == "victim":
        victim.write_bytes(b"x" * pixels.stat().st_size)
    pixels.unlink()
    pixels.symlink_to(victim)
    found = kept(samples, tmp_path / "cache")
    assert equal(found, samples)
    assert not pixels.is_symlink()
    assert not victim.exists() or set(victim.read_bytes()) == {ord("x")}


def test_a_link_that_appears_while_samples_are_read_is_not_written_through(tmp_path, samples):
    found = kept(samples, tmp_path / "cache")
    victim = tmp_path / "victim"
    (found.folder / "pixels.bin").rename(victim)
    (found.folder / "pixels.bin").symlink_to(victim)
    before = victim.read_bytes()
    assert equal(found, samples)
    assert victim.read_bytes() == before
