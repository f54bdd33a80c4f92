"""``init``: a matrix for the user's own images."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.base.errors import BenchError
from bench.cli.screen import terminal

if TYPE_CHECKING:
    from rich.console import Console


def init(
    matrix: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="The matrix to write.")],
    images: Annotated[Path, typer.Option(help="Folder of the images.")],
    masks: Annotated[
        Path | None, typer.Option(help="Folder of the masks; looked for beside the images if left out.")
    ] = None,
    classes: Annotated[
        Path | None,
        typer.Option(help="Text file with a class name a line; classes.txt and the like beside the masks are found."),
    ] = None,
    colours: Annotated[
        Path | None, typer.Option(help="CSV file of name,r,g,b, for masks that are drawings in colours.")
    ] = None,
    by_colour: Annotated[
        bool, typer.Option("--by-colour", help="Tell classes by colour, where masks with palettes differ in them.")
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(min=0, help="For two classes with smooth edges or as JPEG: the grey level that divides them."),
    ] = None,
    lists: Annotated[
        Path | None, typer.Option(help="Folder with train.txt and val.txt or test.txt, an image a line.")
    ] = None,
    mask_suffix: Annotated[
        str | None, typer.Option(help="What a mask's name has after its image's; found if left out.")
    ] = None,
    val_share: Annotated[
        float, typer.Option(min=0.001, max=0.999, help="Share of the images that is scored, where no split is told.")
    ] = 0.2,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Look at your own images and masks and write a commented matrix for them."""
    from bench.matrix.matrix import RESERVED_NAMES

    if matrix.suffix not in (".yaml", ".yml") or matrix.stem in RESERVED_NAMES:
        raise BenchError(f"{matrix}: name a .yaml file, with a name other than {' and '.join(RESERVED_NAMES)}")
    if matrix.is_dir() or (matrix.exists() and not force):
        raise BenchError(f"{matrix} is there already. Choose another name, or overwrite it with --force.")
    if lists is not None and not lists.is_dir():
        raise BenchError(f"--lists {lists}: no such folder")

    from bench.base.files import write_text
    from bench.cli.screen.survey import print_survey
    from bench.data.look.classing import Asked
    from bench.data.look.scaffold import matrix_text, survey

    asked = Asked(classes, colours, by_colour, threshold)
    found = survey(images, masks, mask_suffix=mask_suffix, asked=asked, lists=lists, val_share=val_share)
    console = terminal.console()
    print_survey(found, console)
    write_text(matrix, matrix_text(found, matrix))
    _print_next(matrix, console)


def _print_next(matrix: Path, console: Console) -> None:
    """Print what to do with the matrix that was written."""
    name = shlex.quote(str(matrix))
    for line in (
        f"wrote {matrix}",
        "next:",
        f"  python -m bench plan -m {name}",
        f"  python -m bench run -m {name} --set recipe.iterations=20 --results results/try    # does it work at all?",
        f"  python -m bench run -m {name}",
    ):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(init)
