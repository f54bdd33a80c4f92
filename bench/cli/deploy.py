"""What is done with a trained student: ``export`` to one file, ``predict`` on images."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bench.base.errors import EXIT_CELLS_FAILED, EXIT_DONE, BenchError
from bench.base.text import one_line
from bench.cli.screen.terminal import drawing, say

CellArgument = Annotated[
    Path, typer.Argument(metavar="CELL", help="Folder of a finished cell, results/<run>/cells/<cell id>.")
]
PluginOption = Annotated[
    list[Path] | None, typer.Option(help="A file that registers the cell's model or dataset. Repeatable.")
]


class ExportFormat(StrEnum):
    """What ``export`` can write."""

    ONNX = "onnx"
    TORCHSCRIPT = "torchscript"
    PT2 = "pt2"


def export(
    cell: CellArgument,
    format_: Annotated[
        ExportFormat,
        typer.Option("--format", help="What to write; onnx needs the optional packages of the extra export."),
    ],
    output: Annotated[
        Path | None, typer.Option(help="The file; the cell's id in the current folder if left out.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Input height and width; what it trained on if left out.")
    ] = None,
    batch: Annotated[str, typer.Option(metavar="N|dynamic", help="Images at once, or any number.")] = "1",
    dynamic: Annotated[bool, typer.Option("--dynamic", help="Leave height and width free.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    plugin: PluginOption = None,
) -> None:
    """Write a trained student as one file that takes RGB images, runs without bench, and was checked against it."""
    wanted_size, wanted_batch = None if size is None else height_and_width(size), _batch(batch)

    from bench.deploy.export import export_student

    record = export_student(
        cell,
        format_.value,
        output,
        wanted_size,
        batch=wanted_batch,
        dynamic=dynamic,
        plugins=tuple(plugin or ()),
        overwrite=force,
    )
    batch_axis, channels, height, width = (
        name if axis is None else str(axis)
        for axis, name in zip(record.input_shape, ("batch", "", "height", "width"), strict=True)
    )
    shapes = ", ".join(f"{count} x 3 x {tall} x {wide}" for count, tall, wide in record.checked)
    say(
        f"wrote {record.path} ({record.path.stat().st_size / 2**20:.1f} MiB)",
        f"input: RGB images in 0..1, {batch_axis} x {channels} x {height} x {width}",
        f"output: logits, {batch_axis} x {record.num_classes} x {height} x {width}",
        f"checked against the student on {shapes}: logits differ by at most {record.difference:.1e} of the largest, "
        f"the class is the same for {100 * record.same_class:.2f} % of the pixels",
        *(f"note: {note}" for note in record.notes),
    )


def predict(
    cell: CellArgument,
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE...", help="Image files, or folders of them; subfolders are not looked into."),
    ],
    output: Annotated[Path, typer.Option(help="Folder for masks and overlays.")] = Path("predictions"),
    overlay: Annotated[
        bool, typer.Option("--overlay/--no-overlay", help="Draw the mask over the image, with a legend, as well.")
    ] = True,
    alpha: Annotated[float, typer.Option(min=0, max=1, help="Opacity of the mask in overlays.")] = 0.5,
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Resize images to this for the model, as in 360x480.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    plugin: PluginOption = None,
) -> None:
    """Segment images with a trained student: a palette PNG of the classes and an overlay each."""
    wanted_size = None if size is None else height_and_width(size)

    from bench.deploy.inputs import image_files

    found_files = image_files(images)  # a mistake is told before the slow imports

    from bench.deploy.predict import Prediction, percent, predict_images

    def tell(found: Prediction) -> None:
        shares = ", ".join(f"{one_line(name)} {percent(share)}" for name, share in found.shares.items())
        files = " and ".join(str(path) for path in (found.mask, found.overlay) if path is not None)
        say(f"{found.image}: {shares}", f"  wrote {files}")

    with drawing():
        predictions = predict_images(
            cell,
            found_files.images,
            output,
            overlay=overlay,
            alpha=alpha,
            size=wanted_size,
            device=device,
            plugins=tuple(plugin or ()),
            tell=tell,
        )
    problems = (*found_files.problems, *predictions.problems)
    say(*(f"note: {note}" for note in (*found_files.notes, *predictions.notes)))
    say(*(f"error: {problem}" for problem in problems), stderr=True)
    raise typer.Exit(EXIT_CELLS_FAILED if problems else EXIT_DONE)


def height_and_width(text: str) -> tuple[int, int]:
    """Read a size such as ``360x480``.

    Raises:
        BenchError: it is written otherwise.
    """
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise BenchError(f"--size {text}: write height and width in pixels, as in --size 360x480")
    return int(height), int(width)


def _batch(text: str) -> int | None:
    if text == "dynamic":
        return None
    if not (text.isdecimal() and int(text)):
        raise BenchError(f"--batch {text}: write a number of images, or dynamic")
    return int(text)


def add_to(app: typer.Typer) -> None:
    """Register both commands."""
    app.command()(export)
    app.command()(predict)
