"""How many pixels an image may have, and the sentences for files that cannot be read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.base.errors import BenchError
from bench.data.look.masktally import kind_of, palette_of, tally
from bench.data.look.scaffold import survey
from bench.data.read.images import read_image
from bench.data.read.opening import LIMIT
from bench.data.read.reading import read_colours, read_mask, read_size

pytestmark = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
READERS = [read_image, read_mask, read_colours, read_size, kind_of]


def grey(path: Path, height: int, width: int, value: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (width, height), value).save(path)
    return path


@pytest.fixture
def low_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's limit is a megapixel; it refuses twice as much."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**6)
    monkeypatch.delenv(LIMIT, raising=False)


@pytest.mark.usefixtures("low_limit")
@pytest.mark.parametrize("read", READERS)
def test_an_image_beyond_the_limit_is_told_with_the_limit_and_the_way_out(tmp_path: Path, read) -> None:
    path = grey(tmp_path / "big.png", 1501, 2000)
    with pytest.raises(BenchError) as caught:
        read(path)
    told = str(caught.value)
    assert told.startswith(f"{path}: 4 megapixels are more than the 2 that are read. Cut image and mask into tiles")
    assert f"{LIMIT}=4" in told
    assert "Copy it again" not in told


@pytest.mark.usefixtures("low_limit")
@pytest.mark.parametrize("read", READERS)
def test_the_option_that_the_message_names_lets_it_be_read(
    tmp_path: Path, read, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = grey(tmp_path / "big.png", 1501, 2000)
    monkeypatch.setenv(LIMIT, "4")
    read(path)
    monkeypatch.setenv(LIMIT, "1")  # the variable raises the limit and never lowers it
    read(grey(tmp_path / "middle.png", 1000, 1900))


@pytest.mark.parametrize("text", ["many", "-1", "1e3", "0.5", "²"])
def test_a_limit_that_is_no_number_is_refused_by_name(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIMIT, text)
    with pytest.raises(BenchError, match=f"{LIMIT}={text}: a whole number of megapixels is needed"):
        read_size(grey(tmp_path / "a.png", 2, 2))


@pytest.mark.usefixtures("low_limit")
def test_the_survey_tells_each_large_file_once_and_nothing_that_follows_from_it(tmp_path: Path) -> None:
    for index in range(2):
        for kind in ("images", "masks"):
            grey(tmp_path / kind / f"{index}.png", 1501, 2000)
    with pytest.raises(BenchError) as caught:
        survey(tmp_path / "images", tmp_path / "masks")
    assert len(caught.value.problems) == 4
    assert all("4 megapixels" in problem for problem in caught.value.problems)


@pytest.mark.usefixtures("low_limit")
def test_masks_beyond_the_limit_are_counted_as_unreadable(tmp_path: Path) -> None:
    path = grey(tmp_path / "big.png", 1501, 2000)
    assert "megapixels" in tally([path], 1).problems[0]
    assert palette_of(path) == {}


def test_pillows_warning_of_large_images_reaches_nobody(tmp_path: Path) -> None:
    path = grey(tmp_path / "big.png", 1000, 1500)
    code = (
        "import sys; from pathlib import Path; from PIL import Image; from bench.data.read.reading import read_mask;"
        "Image.MAX_IMAGE_PIXELS = 10**6; read_mask(Path(sys.argv[1])); print('read')"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("read\n", "")


def test_too_little_memory_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = grey(tmp_path / "a.png", 4, 4)

    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Image, "convert", full)
    with pytest.raises(BenchError, match=r"a\.png: there is too little memory to read it\. Cut it into tiles"):
        read_image(path)


def test_a_tiff_of_a_kind_that_is_not_read_is_told_as_such(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "f.tif"
    tifffile.imwrite(path, np.zeros((4, 5, 3), np.float32), photometric="rgb")
    with pytest.raises(BenchError, match=r"f\.tif: a TIFF of a kind that is not read.*Convert it to 8 or 16 bits"):
        read_image(path)
