"""What is told about surveyed images and masks."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.base.text import one_line
from bench.cli.screen.console import literal
from bench.data.look.scaffold import Survey

KINDS = {"index": "numbers", "palette": "numbers with a palette", "colour": "drawings in colours"}


def print_survey(found: Survey, console: Console) -> None:
    """Print what the folders hold: files, sizes, classes, remarks."""
    table = Table(title="found", title_justify="left", show_header=False)
    for _ in range(2):
        table.add_column(overflow="fold")
    rows = {
        "images": str(found.tree.images),
        "masks": str(found.tree.masks) + (f" (*{found.tree.mask_suffix})" if found.tree.mask_suffix else ""),
        "samples": ", ".join(f"{count} {split}" for split, count in found.counts.items()) + _division(found),
        "heights": _spread(found.heights),
        "widths": _spread(found.widths),
        "kind of masks": ", ".join(f"{KINDS[kind]} ({count})" for kind, count in found.tally.kinds.items()),
        "masks read": found.tally.sampled,
        "names of classes": found.named_by or "made up",
    }
    for name, text in rows.items():
        table.add_row(name, literal(text))
    console.print(table)
    classes = Table(title="classes", title_justify="left")
    for heading in ("index", "name", "in the masks"):
        classes.add_column(heading, overflow="fold")
    classes.add_column("pixels", justify="right")
    for index, item in enumerate(found.classes):
        classes.add_row(str(index), literal(one_line(item.name)), literal(str(item.key)), f"{item.share:.2%}")
    console.print(classes)
    for remark in found.remarks:
        console.print(f"note: {remark}", markup=False, highlight=False, soft_wrap=True)


def _division(found: Survey) -> str:
    if found.tree.lists is not None:
        return " (lists)"
    return " (subfolders)" if found.tree.divided else f" (by share, {found.tree.val_share:g} for val)"


def _spread(sizes: Sequence[int]) -> str:
    low, high = min(sizes), max(sizes)
    return str(low) if low == high else f"{low} to {high}, median {median(sizes):g}"
