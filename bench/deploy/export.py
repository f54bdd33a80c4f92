"""A trained student as one file that runs without bench: ONNX, TorchScript or torch.export, checked after writing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from bench import __version__
from bench.base.errors import BenchError, describe_error, unknown
from bench.base.files import write_atomic
from bench.deploy.formats import FORMATS, INPUT, OUTPUT, Shape, Shapes, example_images, quiet, require_onnx
from bench.deploy.student import ImageSegmenter, TrainedStudent, load_student

TOLERANCE = 1e-3
"""Largest difference between the file's logits and the student's, as a share of the student's largest logit.

Other kernels sum in another order, which moves float32 logits by millionths of their scale; what is above this is
another computation.
"""

_SHOWN_CHARACTERS = 240
"""Of an exporter's own message, which may fill screens."""


@dataclass(frozen=True)
class ExportRecord:
    """What was written, and how well it agrees with the student.

    Attributes:
        path: the file.
        format: ``onnx``, ``torchscript`` or ``pt2``.
        cell_id: the cell that trained the student.
        input_shape: N, 3, H, W; None where an axis is free.
        num_classes: channels of the output.
        checked: shapes N, H, W at which the file was run.
        difference: largest difference of a logit, as a share of the student's largest one.
        same_class: share of the pixels, 0..1, whose best class is the student's.
        notes: what the user should know, in sentences.
    """

    path: Path
    format: str
    cell_id: str
    input_shape: tuple[int | None, int, int | None, int | None]
    num_classes: int
    checked: tuple[Shape, ...]
    difference: float
    same_class: float
    notes: tuple[str, ...] = ()


def export_student(
    cell: Path,
    format: str,
    output: Path | None = None,
    size: tuple[int, int] | None = None,
    *,
    batch: int | None = 1,
    dynamic: bool = False,
    plugins: Sequence[Path] = (),
    overwrite: bool = True,
) -> ExportRecord:
    """Export the student of a finished cell and check the file against it.

    The graph takes RGB images, N x 3 x H x W float in 0..1, and returns N x K x H x W logits; normalisation, the order
    of the channels and up-sampling are inside, auxiliary heads are not.

    Args:
        cell: folder of the cell.
        format: ``onnx``, ``torchscript`` or ``pt2``.
        output: the file; None takes ``<cell id>`` with the format's suffix in the current folder.
        size: height and width; None takes what the student trained on.
        batch: images at once; None for any number.
        dynamic: whether height and width are free.
        plugins: files that register the model, where it is not built in.
        overwrite: whether a file of that name is replaced.

    Raises:
        BenchError: no finished cell, a model that the format cannot hold, a file that is there and is not to be
            replaced, or one that computes something else, which is not kept.
    """
    _require_possible(format, output)
    student = load_student(cell, plugins)
    path = output or Path(f"{student.cell_id}{FORMATS[format].suffixes[0]}")
    if not overwrite and os.path.lexists(path):
        raise BenchError(f"{path} is there already. Choose another --output, or overwrite it with --force.")
    shapes = Shapes(size or student.size, batch, dynamic)
    expected = _expected(student, shapes)
    difference, same_class = _write_and_check(path, student, format, shapes, expected)
    return ExportRecord(
        path=path,
        format=format,
        cell_id=student.cell_id,
        input_shape=shapes.input_shape,
        num_classes=len(student.class_names),
        checked=tuple(expected),
        difference=difference,
        same_class=same_class,
        notes=student.notes,
    )


def _write_and_check(
    path: Path, student: TrainedStudent, format: str, shapes: Shapes, expected: dict[Shape, Tensor]
) -> tuple[float, float]:
    """Write the file and return how far it agrees with the student; one that computes something else is not kept."""
    write = _converted(student, format, shapes)
    agreement: list[tuple[float, float]] = []

    def checked(file: IO[bytes]) -> None:
        try:
            write(file)
        except OSError:
            raise
        except Exception as error:  # some of what a format cannot hold shows only when it is written
            raise _inexpressible(student, format, shapes, error) from error
        file.flush()
        agreement.append(_agreement(Path(file.name), format, student, expected))

    try:
        write_atomic(path, checked)
    except OSError as error:
        raise BenchError(f"cannot write to {path}: {error.strerror or error}. Choose another --output.") from error
    (found,) = agreement
    return found


def _require_possible(format: str, output: Path | None) -> None:
    if format not in FORMATS:
        raise BenchError(f"--format {format}: {unknown('format', format, FORMATS)}")
    if format == "onnx":
        require_onnx()
    if output is not None:
        _require_fitting(output, format)


def _require_fitting(output: Path, format: str) -> None:
    suffixes = FORMATS[format].suffixes
    if output.is_dir():
        raise BenchError(f"--output {output} is a folder: name a file in it, as in {output / f'student{suffixes[0]}'}")
    if output.suffix.lower() not in suffixes:
        raise BenchError(f"--output {output}: a {format} file ends in {' or '.join(suffixes)}")


def _expected(student: TrainedStudent, shapes: Shapes) -> dict[Shape, Tensor]:
    """Return the student's own logits at every shape to check; sizes that it refuses itself are left out."""
    segmenter, found = ImageSegmenter(student), {}
    for shape in shapes.checked:
        try:
            with torch.inference_mode():
                found[shape] = segmenter(example_images(shape))
        except Exception as error:
            if len(found) >= min(2, len(shapes.checked)):
                continue
            size = "x".join(map(str, shape[1:]))
            raise BenchError(
                f"model '{student.name}' does not work on images of {size}: {describe_error(error)}. "
                "Give another --size."
            ) from error
        if not bool(torch.isfinite(found[shape]).all()):
            raise BenchError(f"the student of {student.cell_id} gives logits that are not finite: nothing to export")
    return found


def _converted(student: TrainedStudent, format: str, shapes: Shapes) -> Callable[[IO[bytes]], object]:
    segmenter = ImageSegmenter(student, inference_only=True)
    try:
        with quiet(), torch.no_grad():
            return FORMATS[format].convert(segmenter, shapes, metadata(student, shapes))
    except Exception as error:  # whatever a tracer stumbles over in a model's code
        raise _inexpressible(student, format, shapes, error) from error


def _inexpressible(student: TrainedStudent, format: str, shapes: Shapes, error: Exception) -> BenchError:
    return BenchError(
        f"model '{student.name}' cannot be exported as {format}: {_short(error)}. {_advice(format, shapes)}"
    )


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:_SHOWN_CHARACTERS].rstrip()


def _advice(format: str, shapes: Shapes) -> str:
    others = " or ".join(name for name in FORMATS if name != format)
    fixed = [
        *(["without --dynamic"] if shapes.dynamic else []),
        *(["with a fixed --batch"] if shapes.batch is None else []),
    ]
    return f"Try {' and '.join(fixed)}, or --format {others}." if fixed else f"Try --format {others}."


def metadata(student: TrainedStudent, shapes: Shapes) -> dict[str, Any]:
    """Return what the file tells about itself, as JSON values."""
    batch, channels, height, width = (
        name if axis is None else str(axis)
        for axis, name in zip(shapes.input_shape, ("batch", "3", "height", "width"), strict=True)
    )
    return {
        "bench_version": __version__,
        "cell": student.cell_id,
        "model": student.name,
        "dataset": student.dataset,
        "miou": student.miou,
        "class_names": list(student.class_names),
        "mean": list(student.mean),
        "std": list(student.std),
        "input": f"{INPUT}: RGB images, float32 in 0..1, {batch} x {channels} x {height} x {width}, not normalised: "
        "mean, std and the order of the channels are applied inside",
        "output": f"{OUTPUT}: float32, {batch} x {len(student.class_names)} x {height} x {width}, one score for each "
        "class and pixel; the class is the argmax over axis 1",
        "size": list(shapes.size),
    }


def _agreement(
    path: Path, format: str, student: TrainedStudent, expected: Mapping[Shape, Tensor]
) -> tuple[float, float]:
    """Run a written file; return the largest relative difference and the share of pixels with the same class.

    Raises:
        BenchError: it cannot be run, or computes something else.
    """
    differences, same, pixels = [], 0, 0
    for shape, wanted in expected.items():
        try:
            with quiet(), torch.inference_mode():
                logits = FORMATS[format].load(path)(example_images(shape))
            difference = _difference(logits, wanted)
        except Exception as error:  # a runtime raises what it likes
            raise _refused(student, format, shape, f"it does not run: {_short(error)}", expected) from error
        if not difference <= TOLERANCE:  # not a number is too large as well
            told = f"logits differ by {difference:.1e} of the largest one, {TOLERANCE:g} is allowed"
            raise _refused(student, format, shape, told, expected)
        differences.append(difference)
        same += int((logits.argmax(1) == wanted.argmax(1)).sum())
        pixels += wanted[:, 0].numel()
    return max(differences), same / pixels


def _difference(logits: Tensor, wanted: Tensor) -> float:
    if logits.shape != wanted.shape:
        raise ValueError(f"logits of shape {tuple(logits.shape)} instead of {tuple(wanted.shape)}")
    scale = wanted.abs().max().clamp(min=torch.finfo(torch.float32).tiny)
    return float((logits - wanted).abs().max() / scale)


def _refused(
    student: TrainedStudent, format: str, shape: Shape, what: str, expected: Mapping[Shape, Tensor]
) -> BenchError:
    count, height, width = shape
    free = "Leave out --dynamic and --batch dynamic, or try" if len(expected) > 1 else "Try"
    others = " or ".join(name for name in FORMATS if name != format)
    return BenchError(
        f"model '{student.name}' as {format} is not what was trained, and the file was not kept: on images of "
        f"{count} x 3 x {height} x {width}, {what}. {free} --format {others}."
    )
