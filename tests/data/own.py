"""A user's own images and masks for tests, and the command that looks at them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import typer
import yaml
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from bench.base.errors import BenchError
from bench.cli.init import add_to
from bench.matrix.matrix import load_matrix
from bench.matrix.settings import Settings
from bench.plan.groups import build_plan

SIZE = (96, 64)
"""Width and height of masks that :func:`shape` draws."""
ORIENTATION = 0x0112
Writer = Callable[[Path], object]


def shape(seed: int, level: int = 255, scale: int = 4) -> Image.Image:
    """An ellipse and a rectangle on black, drawn several times as large as :data:`SIZE`, without smooth edges."""
    random = np.random.RandomState(seed)
    image = Image.new("L", (SIZE[0] * scale, SIZE[1] * scale))
    draw = ImageDraw.Draw(image)
    for part in (draw.ellipse, draw.rectangle):
        left, top = random.randint(0, SIZE[0] * scale // 2), random.randint(0, SIZE[1] * scale // 2)
        part([left, top, left + SIZE[0] * scale // 3, top + SIZE[1] * scale // 3], fill=level)
    return image


def smooth(seed: int, level: int = 255) -> Image.Image:
    """That shape with smooth edges."""
    return shape(seed, level).resize(SIZE, Image.Resampling.BILINEAR)


def hard(seed: int, level: int = 255) -> Image.Image:
    """That shape without."""
    return shape(seed, level).resize(SIZE, Image.Resampling.NEAREST)


def pair(root: Path, masks: Iterable[Image.Image | Writer], image: Writer | None = None, suffix: str = ".png") -> Path:
    """Write masks, each with an image of noise of its size, into two folders.

    Args:
        root: holds both folders.
        masks: images, or what writes one to a path without suffix.
        image: writes an image likewise; noise of the mask's size where not given.
        suffix: of the masks that are images.
    """
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for index, mask in enumerate(masks):
        size = SIZE
        if isinstance(mask, Image.Image):
            mask.save(root / "masks" / f"{index}{suffix}")
            size = mask.size
        else:
            mask(root / "masks" / f"{index}")
        if image is None:
            noise(index, size).save(root / "images" / f"{index}.png")
        else:
            image(root / "images" / f"{index}")
    return root


def noise(seed: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """An image of noise."""
    return Image.fromarray(np.random.RandomState(seed).randint(0, 256, (size[1], size[0], 3)).astype(np.uint8))


def tagged(draw: Callable[[int], Image.Image], orientation: int, suffix: str) -> Writer:
    """Return what writes an image of its own for each number in a name, with an EXIF orientation; 0 writes none."""
    exif = Image.Exif()
    if orientation:
        exif[ORIENTATION] = orientation
    return lambda path: draw(int(path.name)).save(path.with_suffix(suffix), exif=exif)


def init(*arguments: object) -> str:
    """Run the command; a user's mistake is raised as it is."""
    app = typer.Typer()
    add_to(app)
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(part) for part in arguments])
    if isinstance(result.exception, BenchError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def look(root: Path, *arguments: object) -> tuple[str, dict[str, Any]]:
    """Return what ``init`` prints of the folders of :func:`pair` and the dataset that it writes."""
    told = init(root / "m.yaml", "--images", root / "images", "--force", *arguments)
    return told, yaml.safe_load((root / "m.yaml").read_text())["dataset"]


def labels_of(root: Path) -> dict[str, NDArray[np.uint8]]:
    """Return the labels of all samples of the matrix that ``init`` wrote, by name; the data are checked first."""
    plan = build_plan(load_matrix(str(root / "m.yaml")), Settings(results=root / "results"))
    names = plan.cells[0].cell.dataset.splits
    splits = {name: plan.data.split(name) for name in names}
    plan.data.check(splits)
    return {name: samples[i][1].numpy() for samples in splits.values() for i, name in enumerate(samples.names)}
