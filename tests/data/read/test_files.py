import numpy as np
import pytest
from PIL import Image

from bench.base.errors import BenchError
from bench.data.base import Samples
from bench.data.read.checking import check_samples, content_fingerprint
from bench.data.read.files import FilePair, FileSamples
from bench.data.read.images import read_image
from bench.data.read.labels import IndexLabels
from bench.data.read.reading import read_mask

CLASSES = {0: 0, 1: 1, 2: 2, 11: 255}
RNG = np.random.RandomState(0)


def save(path, array, mode=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(array))
    (image if mode is None else image.convert(mode)).save(path, **options)
    return path


def make_split(folder, split, n=2, size=(4, 6)):
    pairs = []
    for index in range(n):
        image = save(folder / split / f"{index}.png", RNG.randint(0, 256, (*size, 3)).astype(np.uint8))
        label = save(folder / f"{split}annot" / f"{index}.png", RNG.choice([0, 1, 2, 11], size).astype(np.uint8))
        pairs.append(FilePair(f"{split}{index}", image, label))
    return pairs


def samples(pairs):
    return FileSamples(pairs, IndexLabels(CLASSES, 255))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK", "P"])
def test_colour_modes_become_rgb(tmp_path, mode):
    flat = np.full((3, 5, 3), (200, 100, 50), dtype=np.uint8)
    image = read_image(save(tmp_path / "a.tif", flat, mode))
    assert image.shape == (3, 3, 5)
    assert np.abs(image.numpy().transpose(1, 2, 0).astype(int) - flat).max() <= (30 if mode == "P" else 1)


def test_grey_is_repeated_and_alpha_dropped(tmp_path):
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(read_image(save(tmp_path / "g.png", grey)), np.stack([grey] * 3))
    clear = np.dstack([grey, grey, grey, np.zeros_like(grey)])
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.png", clear)), np.stack([grey] * 3))


def test_16_bit_images_keep_their_upper_byte(tmp_path):
    deep = np.array([[0, 256, 65535, 300]], dtype=np.uint16)
    np.testing.assert_array_equal(read_image(save(tmp_path / "d.png", deep))[0], [[0, 1, 255, 1]])


def test_exif_rotation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / "r.png", np.zeros((2, 5, 3), np.uint8), exif=exif)
    assert read_image(path).shape == (3, 5, 2)


def test_a_palette_mask_gives_indices(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8), mode="P")
    image.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0])
    image.save(tmp_path / "p.png")
    assert read_mask(tmp_path / "p.png").tolist() == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("array", "name"),
    [
        (np.array([[0, 7, 255]], np.uint8), "l.png"),
        (np.array([[False, True]]), "one.png"),
        (np.array([[0, 256, 65535]], np.uint16), "deep.png"),
        (np.array([[0, 5, 70000]], np.int32), "deeper.tif"),
    ],
)
def test_masks_give_the_stored_numbers(tmp_path, array, name):
    assert read_mask(save(tmp_path / name, array)).tolist() == array.astype(int).tolist()


@pytest.mark.parametrize("depth", [2, 4])
def test_shallow_grey_masks_are_not_spread(tmp_path, depth):
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packed = {2: bytes([0, 0b00_01_10_11]), 4: bytes([0, 0x01, 0x23])}[depth]
    header = struct.pack(">IIBBBBB", 4, 1, depth, 0, 0, 0, 0)
    path = tmp_path / "s.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(packed)) + chunk(b"IEND", b"")
    )
    assert read_mask(path).tolist() == [[0, 1, 2, 3]]


def test_colour_and_jpeg_masks_are_refused(tmp_path):
    colour = save(tmp_path / "c.png", np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(
        BenchError, match=r"c\.png: a label file must have one channel of class indices, this one is RGB"
    ):
        read_mask(colour)
    with pytest.raises(BenchError, match=r"l\.jpg: JPEG changes label values"):
        read_mask(save(tmp_path / "l.jpg", np.zeros((2, 2), np.uint8)))


@pytest.mark.parametrize("read", [read_image, read_mask])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_broken_files_are_named(tmp_path, read, suffix):
    whole = save(tmp_path / f"whole{suffix}", RNG.randint(0, 256, (64, 64), dtype=np.uint8)).read_bytes()
    for keep in (0, 1, 7, 30, len(whole) // 2, len(whole) - 200):
        broken = tmp_path / f"broken{suffix}"
        broken.write_bytes(whole[:keep])
        with pytest.raises(BenchError, match="broken") as caught:
            read(broken)
        assert "\n" not in str(caught.value)
    with pytest.raises(BenchError, match=r"absent.png: no such file"):
        read(tmp_path / "absent.png")


def test_text_and_folders_are_no_images(tmp_path):
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(BenchError, match=r"text\.png: not a readable image"):
        read_image(tmp_path / "text.png")
    with pytest.raises(BenchError, match="not a readable image"):
        read_image(tmp_path)


def test_values_are_looked_up(tmp_path):
    pairs = make_split(tmp_path, "train", n=1)
    save(pairs[0].label, np.tile(np.array([0, 1, 2, 11, 11, 0], np.uint8), (4, 1)))
    image, mask = samples(pairs)[0]
    assert mask[0].tolist() == [0, 1, 2, 255, 255, 0]
    assert (str(image.dtype), str(mask.dtype)) == ("torch.uint8", "torch.uint8")


def test_unknown_values_are_counted_with_advice(tmp_path):
    pairs = make_split(tmp_path, "train", n=1)
    save(pairs[0].label, np.tile(np.array([0, 1, 2, 255, 7, 7], np.uint8), (4, 1)))
    with pytest.raises(BenchError) as caught:
        samples(pairs)[0]
    text = str(caught.value)
    assert "0.png: label values outside the classes 0..2: 7 (8 pixels), 255 (4 pixels)" in text
    assert "name it as ignored" in text


def test_one_based_labels_are_recognised(tmp_path):
    pairs = make_split(tmp_path, "train", n=1)
    save(pairs[0].label, np.tile(np.array([1, 2, 3, 1, 2, 3], np.uint8), (4, 1)))
    with pytest.raises(BenchError, match="1-based: subtract one"):
        samples(pairs)[0]


def test_values_beyond_16_bits_are_unknown(tmp_path):
    pairs = make_split(tmp_path, "train", n=1)
    label = save(tmp_path / "x.tif", np.full((4, 6), 70000, np.int32))
    with pytest.raises(BenchError, match=r"70000 \(24 pixels\)"):
        samples([FilePair("a", pairs[0].image, label)])[0]


def test_sizes_are_compared(tmp_path):
    pairs = make_split(tmp_path, "train", n=1)
    save(pairs[0].label, np.zeros((4, 5), np.uint8))
    with pytest.raises(BenchError, match="labels of 5 x 4 pixels do not fit the image of 6 x 4 pixels"):
        samples(pairs)[0]


def test_both_files_of_a_pair_are_told(tmp_path):
    pair = FilePair("x", tmp_path / "i.png", tmp_path / "l.png")
    with pytest.raises(BenchError) as caught:
        samples([pair])[0]
    assert len(caught.value.problems) == 2


def test_check_tells_all_faults_at_once(tmp_path):
    train, val = make_split(tmp_path, "train", n=3), make_split(tmp_path, "val")
    train[0].image.write_bytes(b"")
    save(train[1].label, np.full((4, 6), 99, np.uint8))
    val[0].image.write_bytes(train[2].image.read_bytes())
    splits = {"train": samples([*train, train[2]]), "val": samples(val), "test": samples([])}
    with pytest.raises(BenchError) as caught:
        check_samples(splits, tmp_path / "cache")
    text = str(caught.value)
    assert len(caught.value.problems) == 5
    assert "the test split is empty" in text
    assert "the train split lists 'train2' more than once" in text
    assert "empty (0 bytes)" in text
    assert "99 (24 pixels)" in text
    assert "the same image is in two splits: train ('train2') and val ('val0')" in text
    assert not list((tmp_path / "cache").glob("**/*"))


def test_check_shows_twenty_faults_and_counts_the_rest(tmp_path):
    pairs = [FilePair(str(index), tmp_path / f"{index}.png", tmp_path / f"{index}l.png") for index in range(30)]
    with pytest.raises(BenchError) as caught:
        check_samples({"train": samples(pairs)})
    assert len(caught.value.problems) == 21
    assert caught.value.problems[-1] == "and 40 more"


def test_a_passed_check_is_remembered_until_a_file_changes(tmp_path, monkeypatch):
    pairs = make_split(tmp_path, "train")
    splits, cache = {"train": samples(pairs)}, tmp_path / "cache"
    reads = []
    original = FileSamples.__getitem__
    monkeypatch.setattr(FileSamples, "__getitem__", lambda self, index: reads.append(index) or original(self, index))
    check_samples(splits, cache)
    check_samples(splits, cache)
    assert len(reads) == 2
    with pytest.raises(BenchError, match="11"):
        check_samples({"train": FileSamples(pairs, IndexLabels({0: 0, 1: 1, 2: 2}, 255))}, cache)
    pairs[0].label.write_bytes(b"")
    with pytest.raises(BenchError, match="0 bytes"):
        check_samples(splits, cache)


def test_check_takes_any_samples():
    class Broken(Samples):
        names = ("a",)

        def __getitem__(self, index):
            raise BenchError("a: broken")

    with pytest.raises(BenchError, match="a: broken"):
        check_samples({"train": Broken()})


def test_the_fingerprint_follows_bytes_and_splits(tmp_path):
    train, val, cache = make_split(tmp_path, "train"), make_split(tmp_path, "val"), tmp_path / "cache"
    first = content_fingerprint({"train": samples(train), "val": samples(val)}, cache)
    assert content_fingerprint({"val": samples(val[::-1]), "train": samples(train)}, tmp_path / "other") == first
    assert content_fingerprint({"train": samples(train[:1]), "val": samples([*val, train[1]])}, cache) != first
    save(val[0].label, np.zeros((4, 6), np.uint8))
    assert content_fingerprint({"train": samples(train), "val": samples(val)}, cache) != first


def test_the_fingerprint_is_read_back_and_a_damaged_one_made_again(tmp_path, monkeypatch):
    splits, cache = {"train": samples(make_split(tmp_path, "train"))}, tmp_path / "cache"
    first = content_fingerprint(splits, cache)
    with monkeypatch.context() as patch:
        patch.setattr("bench.data.read.checking.file_digest", None)
        assert content_fingerprint(splits, cache) == first
    (remembered,) = (cache / "fingerprints").iterdir()
    remembered.write_text("half")
    assert content_fingerprint(splits, cache) == first
