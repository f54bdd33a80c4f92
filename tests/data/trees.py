"""Little trees of dataset files for tests."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.base.errors import BenchError
from bench.data.facts import Locations
from bench.data.read.palette import voc_colormap

RNG = np.random.RandomState(0)


def save_image(path, height=1, width=6):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.randint(0, 256, (height, width, 3)).astype(np.uint8)).save(path)


def save_label(path, rows, palette=False):
    """Save a label file, as grey levels or as indices of a palette."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.array(rows, np.uint8))
    if palette:
        image.putpalette([channel for colour in voc_colormap(256) for channel in colour])
    image.save(path)


def check(data, *names):
    """Read every sample of some splits."""
    data.check({name: data.split(name) for name in names})


def problems(data, *names):
    """Return what require finds missing."""
    with pytest.raises(BenchError) as caught:
        data.require(names)
    return caught.value.problems


def fixture_of(dataset, cache, folder):
    """Return a dataset in a folder under BENCH_DATA; skip the test where it is absent."""
    roots = tuple(Path(part) for part in os.environ.get("BENCH_DATA", "").split(os.pathsep) if part)
    data = dataset(Locations(cache, roots), folder=folder)
    try:
        _ = data.root
    except BenchError:
        pytest.skip(f"{folder} is not under BENCH_DATA")
    return data
