"""The formats of ``export``: how a file is made of a student and how it is read back."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from bench.base.errors import BenchError
from bench.base.text import install_hint
from bench.deploy.student import ImageSegmenter

INPUT, OUTPUT = "images", "logits"
METADATA = "bench.json"
"""Name of the extra file that TorchScript and torch.export files carry; ONNX has properties of the model instead."""

_ONNX_PACKAGES = ("onnx", "onnxruntime", "onnxscript")
_jit: Any = torch.jit  # has no types
_AXES = {0: "batch", 2: "height", 3: "width"}

# Height and width beyond the export size, at which a file of free size is checked as well: a step of the usual
# stride, and one that no stride divides. Both are uneven, so that height and width cannot be mistaken for each other.
_FURTHER_SIZES = ((32, 64), (13, 27))

Run = Callable[[Tensor], Tensor]
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Shapes:
    """Sizes of the exported graph.

    Attributes:
        size: height and width.
        batch: images at once; None for any number.
        dynamic: whether height and width are free.
    """

    size: tuple[int, int]
    batch: int | None = 1
    dynamic: bool = False

    @property
    def example(self) -> Shape:
        """N, H, W of the images that the graph is traced with."""
        height, width = self.size
        # free axes must differ from each other and from 1: equal or single ones are taken for constants of the model
        return (2 if self.batch is None else self.batch), height, width + (32 if self.dynamic else 0)

    @property
    def free(self) -> tuple[int, ...]:
        """The free axes of the input."""
        return (*((0,) if self.batch is None else ()), *((2, 3) if self.dynamic else ()))

    @property
    def checked(self) -> tuple[Shape, ...]:
        """N, H, W of the images that the file is checked with; a model may refuse the last ones itself."""
        height, width = self.size
        sizes = [self.size, *((height + down, width + right) for down, right in _FURTHER_SIZES if self.dynamic)]
        if self.batch is not None:
            return tuple((self.batch, *size) for size in sizes)
        return tuple((count, *size) for count, size in zip((2, 1, 3), (*sizes, self.size)[:3], strict=False))

    @property
    def input_shape(self) -> tuple[int | None, int, int | None, int | None]:
        """N, 3, H, W with None for free axes."""
        height, width = (None, None) if self.dynamic else self.size
        return self.batch, 3, height, width


@dataclass(frozen=True)
class Format:
    """How one format is made and read.

    Attributes:
        suffixes: that its files may have; the first is the usual one.
        convert: makes of a module, its shapes and the metadata what writes the file.
        load: reads a file back as a function from images to logits.
    """

    suffixes: tuple[str, ...]
    convert: Callable[[ImageSegmenter, Shapes, Mapping[str, Any]], Callable[[IO[bytes]], object]]
    load: Callable[[Path], Run]


def require_onnx() -> None:
    """Refuse ONNX where its packages are missing.

    Raises:
        BenchError: names them.
    """
    missing = [name for name in _ONNX_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise BenchError(
            f"--format onnx needs {', '.join(missing)}: {install_hint('export')}. "
            "The formats torchscript and pt2 need nothing more."
        )


def example_images(shape: Shape) -> Tensor:
    """Return N x 3 x H x W random images, float32 in 0..1, the same ones for the same shape.

    Args:
        shape: N, H, W.
    """
    count, height, width = shape
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep exporters' advice to their own developers, and notes of deprecation, off the screen."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _program(segmenter: ImageSegmenter, shapes: Shapes) -> torch.export.ExportedProgram:
    axes: Any = {INPUT: dict.fromkeys(shapes.free, torch.export.Dim.DYNAMIC)} if shapes.free else None
    return torch.export.export(segmenter, (example_images(shapes.example),), dynamic_shapes=axes, strict=False)


def _convert_to_onnx(
    segmenter: ImageSegmenter, shapes: Shapes, told: Mapping[str, Any]
) -> Callable[[IO[bytes]], object]:
    converted: Any = torch.onnx.export(
        _program(segmenter, shapes),
        (example_images(shapes.example),),
        dynamo=True,
        verbose=False,
        input_names=[INPUT],
        output_names=[OUTPUT],
    )
    model = converted.model_proto
    _name_axes(model.graph, shapes)
    for key, value in told.items():
        model.metadata_props.add(key=key, value=value if isinstance(value, str) else json.dumps(value))
    payload: bytes = model.SerializeToString()
    return lambda file: file.write(payload)


def _name_axes(graph: Any, shapes: Shapes) -> None:
    """Call free axes batch, height and width in place of the tracer's symbols, everywhere they occur."""
    taken = graph.input[0].type.tensor_type.shape.dim
    names = {taken[axis].dim_param: _AXES[axis] for axis in shapes.free if taken[axis].dim_param}
    if not names:
        return
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, names))})\b")
    for value in (*graph.input, *graph.output, *graph.value_info):
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param:
                axis.dim_param = pattern.sub(lambda found: names[found.group()], axis.dim_param)


def _load_onnx(path: Path) -> Run:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4  # what goes wrong is raised as well
    session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run([OUTPUT], {INPUT: images.numpy()})[0])


def _convert_to_torchscript(
    segmenter: ImageSegmenter, shapes: Shapes, told: Mapping[str, Any]
) -> Callable[[IO[bytes]], object]:
    traced = _jit.trace(segmenter, example_images(shapes.example), check_trace=False)
    files = {METADATA: json.dumps(told)}

    def write(file: IO[bytes]) -> None:
        with quiet():
            _jit.save(traced, file, _extra_files=files)

    return write


def _load_torchscript(path: Path) -> Run:
    loaded: Run = _jit.load(str(path), map_location="cpu")
    return loaded


def _convert_to_pt2(
    segmenter: ImageSegmenter, shapes: Shapes, told: Mapping[str, Any]
) -> Callable[[IO[bytes]], object]:
    program = _program(segmenter, shapes)

    def write(file: IO[bytes]) -> None:
        with quiet():
            torch.export.save(program, file, extra_files={METADATA: json.dumps(told)})

    return write


def _load_pt2(path: Path) -> Run:
    with path.open("rb") as file:
        loaded: Run = torch.export.load(file).module()
    return loaded


FORMATS: dict[str, Format] = {
    "onnx": Format((".onnx",), _convert_to_onnx, _load_onnx),
    "torchscript": Format((".pt", ".ts", ".torchscript"), _convert_to_torchscript, _load_torchscript),
    "pt2": Format((".pt2",), _convert_to_pt2, _load_pt2),
}
