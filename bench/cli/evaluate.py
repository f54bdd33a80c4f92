"""``evaluate``: a model with given weights on a split."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.deploy import height_and_width
from bench.cli.options import DataRootOption, ResultsOption, WorkersOption, make_settings
from bench.cli.screen import terminal


def evaluate(
    model: Annotated[str, typer.Option(help="Name of a student or teacher.")],
    weights: Annotated[Path, typer.Option(help="A .safetensors file or a torch checkpoint.")],
    dataset: Annotated[str, typer.Option(help="Name of a dataset.")],
    split: Annotated[str | None, typer.Option(help="A split; the one that papers report if left out.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="An option, as in model.q=3 or dataset.folder=camvid-half. Repeatable."),
    ] = None,
    classes: Annotated[
        int | None, typer.Option(min=1, help="Output channels of the weights; the dataset's classes are the first.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Resize images to this for the model, as in 360x480.")
    ] = None,
    align_corners: Annotated[
        bool | None, typer.Option("--align-corners/--no-align-corners", help="How logits are brought to label size.")
    ] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Write scores and protocol to this file.")] = None,
    data_root: DataRootOption = None,
    results: ResultsOption = Path("results"),
    plugin: Annotated[
        list[Path] | None, typer.Option(help="A file that registers models or datasets. Repeatable.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Images in one forward pass.")] = 16,
    workers: WorkersOption = None,
) -> None:
    """Score a model with given weights on a split, by the code that scores students."""
    settings = make_settings(results, data_root, device=device, workers=workers)
    wanted_size = None if size is None else height_and_width(size)

    from bench.base.files import write_json
    from bench.cli.screen.scores import print_evaluation
    from bench.deploy.score import Request, evaluate_weights

    request = Request(
        model=model,
        weights=weights,
        dataset=dataset,
        split=split,
        overrides=tuple(set_ or ()),
        plugins=tuple(plugin or ()),
        classes=classes,
        size=wanted_size,
        align_corners=align_corners,
        batch_size=batch_size,
    )
    record = evaluate_weights(request, settings)
    console = terminal.console()
    print_evaluation(record, console)
    if json_ is not None:
        write_json(json_, record)
        console.print(f"wrote {json_}", markup=False, highlight=False)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(evaluate)
