"""Composition of labelled scenes from real handwritten digits and real photographs.

One digit is written on each translucent disc; the discs lie on a jittered grid over a crop of a photograph. The label
of every pixel of a disc is its digit, so that most pixels carry a class and even small networks learn in seconds.

Labels are made of exact arithmetic on a :class:`numpy.random.RandomState` stream, which numpy keeps unchanged between
releases; no colour ever decides how much of the stream is used. Images also depend on the JPEG decoder.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from PIL import Image

GENERATOR = 1
"""Raised whenever the same arguments give other scenes."""

SPLITS = ("train", "val", "test")
DIGIT_ROWS = {"train": (0, 1000), "val": (1000, 1300), "test": (1300, 1797)}
"""Rows of ``load_digits`` that a split may use."""
PHOTO_COLUMNS = {"train": (0.0, 0.6), "val": (0.6, 0.8), "test": (0.8, 1.0)}
"""Share of every photograph's width that a split may use."""

PHOTOS = (
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/chelsea.png"),
    ("skimage", "data/coffee.png"),
    ("skimage", "data/motorcycle_left.png"),
    ("skimage", "data/rocket.jpg"),
    ("skimage", "data/hubble_deep_field.jpg"),
)
"""Package and path of the photographs, all inside the installed packages."""

GRID = 3
GLYPH_SIDE = 40
DARK, LIGHT = 90.0, 165.0

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Disc:
    """One disc with its digit; lengths in pixels, colours 0..255."""

    x: float
    y: float
    diameter: float
    row: int
    inverse: tuple[float, float, float, float]
    opacity: float
    colour: Floats
    contrast: float
    light_ink: bool


def make_scenes(split: str, n: int, *, size: int, seed: int) -> tuple[Bytes, Bytes, Bytes]:
    """Compose the first ``n`` scenes of a split.

    Every scene has its own random stream, so that the result for ``n`` is a prefix of that for any larger number.

    Args:
        split: ``train``, ``val`` or ``test``; they share neither digits nor pixels of photographs.
        n: number of scenes, at least 0.
        size: side of the square scenes in pixels, at least 32.
        seed: 0..2**32 - 1.

    Returns:
        Images, n x size x size x 3 uint8 RGB; labels, n x size x size uint8, 0 for the background and 1 + d for
        digit d; instances, n x size x size uint8, 0 for the background and 1.. in the order of pasting, with a gap
        where a disc is hidden entirely.
    """
    images = np.empty((n, size, size, 3), dtype=np.uint8)
    labels = np.empty((n, size, size), dtype=np.uint8)
    instances = np.empty((n, size, size), dtype=np.uint8)
    for index in range(n):
        random = RandomState([seed, SPLITS.index(split), index])
        images[index], labels[index], instances[index] = _compose(split, random, size)
    return images, labels, instances


@lru_cache(maxsize=1)
def _digits() -> tuple[tuple[Image.Image, ...], NDArray[np.int64]]:
    """Return every digit as an 8-bit coverage map of GLYPH_SIDE pixels with a blank rim, and its value."""
    from sklearn.datasets import load_digits

    data = load_digits()
    padded = np.pad(np.rint(data.images * (255 / 16)).astype(np.uint8), ((0, 0), (1, 1), (1, 1)))
    side = (GLYPH_SIDE, GLYPH_SIDE)
    # Pillow's BICUBIC is the Catmull-Rom kernel.
    return tuple(Image.fromarray(glyph).resize(side, Image.Resampling.BICUBIC) for glyph in padded), data.target


@lru_cache(maxsize=len(SPLITS))
def _photos(split: str) -> tuple[Image.Image, ...]:
    """Return the columns of every photograph that belong to a split."""
    strips = []
    for package, name in PHOTOS:
        with files(package).joinpath(name).open("rb") as file, Image.open(file) as photo:
            left, right = (int(share * photo.width) for share in PHOTO_COLUMNS[split])
            strips.append(photo.convert("RGB").crop((left, 0, right, photo.height)))
    return tuple(strips)


def _compose(split: str, random: RandomState, size: int) -> tuple[Bytes, Bytes, Bytes]:
    glyphs, values = _digits()
    canvas = _photo_crop(split, random, size)
    canvas = np.clip(canvas * random.uniform(0.7, 1.15) + random.uniform(-15, 15), 0, 255)
    labels = np.zeros((size, size), dtype=np.uint8)
    instances = np.zeros((size, size), dtype=np.uint8)
    for number, disc in enumerate(_draw_discs(split, random, size), start=1):
        covered = _paste(canvas, disc, glyphs[disc.row])
        labels[covered] = values[disc.row] + 1
        instances[covered] = number
    _cover_with_strip(split, random, canvas, labels, instances)
    canvas += random.standard_normal(canvas.shape) * random.uniform(0, 8)
    return np.rint(np.clip(canvas, 0, 255)).astype(np.uint8), labels, instances


def _photo_crop(split: str, random: RandomState, size: int) -> Floats:
    """Return a random square of a random photograph at the scene's size."""
    photo = _photos(split)[random.randint(len(PHOTOS))]
    zoom, across, down = random.uniform(0.7, 3.0), random.uniform(), random.uniform()
    side = min(size * zoom, photo.width, photo.height)
    left, top = across * (photo.width - side), down * (photo.height - side)
    box = (left, top, left + side, top + side)
    return np.asarray(photo.resize((size, size), Image.Resampling.BILINEAR, box=box), dtype=np.float64)


def _draw_discs(split: str, random: RandomState, size: int) -> list[_Disc]:
    """Return the discs in the order of pasting; a cell of the grid is left empty with probability 0.15."""
    cell = size / GRID
    discs = []
    for place in random.permutation(GRID * GRID):
        filled = random.uniform() < 0.85
        x = (place % GRID + 0.5 + random.uniform(-0.18, 0.18)) * cell
        y = (place // GRID + 0.5 + random.uniform(-0.18, 0.18)) * cell
        disc = _Disc(
            x=x,
            y=y,
            diameter=random.uniform(0.85, 1.2) * cell,
            row=int(random.randint(*DIGIT_ROWS[split])),
            inverse=_inverse_affine(random),
            opacity=random.uniform(0.35, 0.65),
            colour=random.uniform(20, 235) + random.uniform(20, 70) * random.uniform(-1, 1, size=3),
            contrast=random.uniform(110, 230),
            light_ink=bool(random.uniform() < 0.5),
        )
        if filled:
            discs.append(disc)
    return discs


def _inverse_affine(random: RandomState) -> tuple[float, float, float, float]:
    """Return the 2 x 2 map from scene offsets to glyph offsets: a small rotation, shear and change of aspect."""
    angle = math.radians(random.uniform(-12, 12))
    shear, aspect = random.uniform(-0.1, 0.1), math.exp(random.uniform(-0.1, 0.1))
    cos, sin = math.cos(angle), math.sin(angle)
    return cos / aspect + shear * sin, shear * cos - sin / aspect, sin * aspect, cos * aspect


def _paste(canvas: Floats, disc: _Disc, glyph: Image.Image) -> NDArray[np.bool_]:
    """Draw a disc and its digit into the canvas; return the mask of the covered pixels, size x size."""
    size = canvas.shape[0]
    centres = np.arange(size) + 0.5
    dx, dy = centres[None, :] - disc.x, centres[:, None] - disc.y
    covered: NDArray[np.bool_] = dx * dx + dy * dy <= disc.diameter * disc.diameter / 4
    surface = (1 - disc.opacity) * canvas[covered] + disc.opacity * disc.colour
    brightness = float(surface.mean())
    light = brightness < DARK or (brightness <= LIGHT and disc.light_ink)
    ink = np.clip(surface + (disc.contrast if light else -disc.contrast), 0, 255)
    coverage = (_glyph_on_scene(disc, glyph, size)[covered] / 255.0)[:, None]
    canvas[covered] = np.clip(surface * (1 - coverage) + ink * coverage, 0, 255)
    return covered


def _glyph_on_scene(disc: _Disc, glyph: Image.Image, size: int) -> Floats:
    scale = GLYPH_SIDE / disc.diameter
    a, b, c, d = (scale * value for value in disc.inverse)
    middle = GLYPH_SIDE / 2
    matrix = (a, b, middle - a * disc.x - b * disc.y, c, d, middle - c * disc.x - d * disc.y)
    placed = glyph.transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    return np.asarray(placed, dtype=np.float64)


def _cover_with_strip(split: str, random: RandomState, canvas: Floats, labels: Bytes, instances: Bytes) -> None:
    """Lay a straight strip of another crop over 15 % of the scenes; it belongs to the background."""
    size = len(labels)
    present, horizontal = random.uniform() < 0.15, random.uniform() < 0.5
    width = max(1, round(size / 64 * int(random.randint(4, 10))))
    start = int(random.uniform() * (size - width))
    photo = _photo_crop(split, random, size)
    if not present:
        return
    along = slice(start, start + width)
    where = (along, slice(None)) if horizontal else (slice(None), along)
    canvas[where] = photo[where]
    labels[where] = 0
    instances[where] = 0
