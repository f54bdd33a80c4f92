"""A trained student on images of one's own: class masks, overlays, and which classes were found."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from bench.base.device import find_device
from bench.base.errors import BenchError, describe_error
from bench.base.files import write_atomic
from bench.base.registry import datasets
from bench.data.facts import DatasetInfo
from bench.data.read.images import read_image
from bench.deploy.student import ImageSegmenter, TrainedStudent, load_student
from bench.tasks.segmentation.inference import predict
from bench.tasks.segmentation.overlay import Colour, distinct_palette, draw_overlay, palette_image
from bench.tasks.segmentation.settings import Evaluation


@dataclass(frozen=True)
class Prediction:
    """What was found in one image.

    Attributes:
        image: the image.
        mask: palette PNG of class indices at the image's size.
        overlay: the image with its mask and a legend, where one was drawn.
        shares: share of the pixels, 0..1, by class name, the largest first; classes that occur.
    """

    image: Path
    mask: Path
    overlay: Path | None
    shares: dict[str, float]


@dataclass(frozen=True)
class Predictions:
    """What came of all images.

    Attributes:
        done: one for each image that could be read.
        problems: a sentence for each other one.
        notes: what the user should know of the student.
    """

    done: tuple[Prediction, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Target:
    image: Path
    mask: Path
    overlay: Path | None


def predict_images(
    cell: Path,
    images: Sequence[Path],
    output: Path = Path("predictions"),
    *,
    overlay: bool = True,
    alpha: float = 0.5,
    size: tuple[int, int] | None = None,
    device: str = "auto",
    plugins: Sequence[Path] = (),
    tell: Callable[[Prediction], None] = lambda _: None,
) -> Predictions:
    """Segment images with the student of a finished cell.

    Writes ``NAME.png``, class indices with the dataset's palette, and ``NAME.overlay.png`` for every image; a second
    image of the same name becomes ``NAME-2``. An image that cannot be read or segmented does not stop the others.

    Args:
        cell: folder of the cell.
        images: files; one named twice is done once.
        output: folder for the results; made where it is absent.
        overlay: whether overlays are drawn.
        alpha: opacity of the mask in them, 0..1.
        size: height and width that images are resized to for the model; None looks at them as the cell was scored.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        plugins: files that register the model or its dataset, where they are not built in.
        tell: called with each prediction once its files are written.

    Raises:
        BenchError: no finished cell, no such device, or a folder that cannot be written to.
    """
    place = find_device(device)
    targets = _targets(images, output, overlay)
    student = load_student(cell, plugins)
    palette = palette_of(student.dataset, len(student.class_names))
    segmenter = ImageSegmenter(student, inference_only=True).to(place)
    done: list[Prediction] = []
    problems: list[str] = []
    for target in targets:
        try:
            pixels = read_image(target.image, student.span)
            mask = _segment(segmenter, pixels, size, student.evaluation, target.image)
        except BenchError as error:
            problems += error.problems
            continue
        found = _write(target, pixels.permute(1, 2, 0).numpy(), mask, student, palette, alpha)
        done.append(found)
        tell(found)
    return Predictions(tuple(done), tuple(problems), student.notes)


def palette_of(dataset: str, num_classes: int) -> tuple[Colour, ...]:
    """Return the colours of a registered dataset; generated ones where its own are not known or of another number."""
    builder = datasets.get(dataset).builder if dataset in datasets else None
    info = getattr(builder, "info", None)
    if isinstance(info, DatasetInfo) and len(info.palette) == num_classes:
        return info.palette
    return distinct_palette(num_classes)


def _targets(images: Sequence[Path], output: Path, overlay: bool) -> list[_Target]:
    """Give every image file names of its own that are no image's.

    Raises:
        BenchError: the output folder cannot be made.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchError(_no_writing(output, error)) from error
    different: dict[Path, Path] = {}
    for image in images:
        different.setdefault(image.resolve(), image)
    taken = {_key(image) for image in different}
    targets = []
    for image in different.values():
        for number in itertools.count(1):
            name = image.stem if number == 1 else f"{image.stem}-{number}"
            files = output / f"{name}.png", output / f"{name}.overlay.png"
            if taken.isdisjoint(map(_key, files)):
                break
        taken.update(map(_key, files))
        targets.append(_Target(image, files[0], files[1] if overlay else None))
    return targets


def _key(path: Path) -> str:
    return str(path.resolve()).casefold()  # a.png and A.png are one file on some file systems


def _segment(
    segmenter: ImageSegmenter, pixels: Tensor, size: tuple[int, int] | None, evaluation: Evaluation, image: Path
) -> NDArray[np.uint8]:
    """Return the H x W class indices of a 3 x H x W uint8 image.

    Raises:
        BenchError: the model does not work on an image of that size.
    """
    try:
        with torch.inference_mode():
            batch = pixels.as_subclass(Tensor)[None].to(segmenter.mean.device).float() / 255
            if size is None:
                height, width = batch.shape[-2:]
                logits = predict(segmenter.coarse, batch, (height, width), evaluation, segmenter.align_corners)
            else:
                seen = F.interpolate(batch, size=size, mode="bilinear", antialias=True)
                logits = segmenter.upsample(segmenter.coarse(seen), batch.shape[-2:])
            return np.asarray(logits.argmax(1)[0].to(torch.uint8).cpu().numpy())
    except Exception as error:  # the model's own code meets an image of any size here
        height, width = size or tuple(pixels.shape[-2:])
        reason = "out of memory" if isinstance(error, torch.OutOfMemoryError) else describe_error(error)
        raise BenchError(f"{image}: the student failed on {height}x{width}: {reason}. Give another --size.") from error


def _write(
    target: _Target,
    pixels: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    student: TrainedStudent,
    palette: Sequence[Colour],
    alpha: float,
) -> Prediction:
    counts = np.bincount(mask.ravel(), minlength=len(student.class_names))
    order = [int(index) for index in np.argsort(-counts, kind="stable") if counts[index]]
    shares = {index: float(counts[index] / mask.size) for index in order}
    _save(palette_image(mask, palette), target.mask)
    if target.overlay is not None:
        legend = [(index, student.class_names[index], percent(share)) for index, share in shares.items()]
        _save(draw_overlay(pixels, mask, palette, legend, alpha), target.overlay)
    named = {student.class_names[index]: share for index, share in shares.items()}
    return Prediction(target.image, target.mask, target.overlay, named)


def percent(share: float) -> str:
    """Return a share of the pixels as text; what is there is never shown as none."""
    return f"{100 * share:.1f} %" if share >= 0.0005 else "<0.1 %"


def _save(image: Image.Image, path: Path) -> None:
    try:
        write_atomic(path, lambda file: image.save(file, format="PNG"))
    except OSError as error:
        raise BenchError(_no_writing(path, error)) from error


def _no_writing(path: Path, error: OSError) -> str:
    return f"cannot write to {path}: {error.strerror or error}. Choose another --output."
