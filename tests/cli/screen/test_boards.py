from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from bench.cli.screen.boards import print_boards
from bench.leaderboard import NO_BASELINE, leaderboard, load
from tests.run_builder import RunBuilder


def printed(builder: RunBuilder, width: int) -> str:
    file = io.StringIO()
    print_boards(leaderboard(load(builder.run)), Console(file=file, width=width))
    return file.getvalue()


@pytest.fixture
def builder(tmp_path: Path) -> RunBuilder:
    builder = RunBuilder(tmp_path)
    for seed in range(2):
        builder.done("none", 0.5 + 0.01 * seed, seed)
        builder.done("cwd", 0.6 + 0.02 * seed, seed, label="cwd tau=4", train_s=21)
    return builder


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140, 200])
def test_no_line_is_wider_than_the_console_and_no_row_wraps(builder: RunBuilder, width: int) -> None:
    lines = printed(builder, width).splitlines()
    assert max(cell_len(line) for line in lines) <= width
    (row,) = (line for line in lines if line.startswith("cwd tau=4"))
    assert "61.00 ± 1.41" in row
    if width >= 60:
        assert "+10.50 [+4.15, +16.85]" in row


def test_wide_console_shows_every_column(builder: RunBuilder) -> None:
    text = printed(builder, 160)
    for header in (
        "mIoU (%)",
        "Gain [95 %]",
        "mAcc (%)",
        "Pixel acc. (%)",
        "Params",
        "MACs",
        "FPS",
        "Cost",
        "Tier",
    ):
        assert header in text
    assert "not shown" not in text


def test_narrow_console_drops_the_least_important_columns_and_says_so(builder: RunBuilder) -> None:
    text = printed(builder, 80)
    head = next(line for line in text.splitlines() if line.startswith("Method"))
    assert "Cost" in head
    assert "Pixel acc." not in head
    assert "not shown for lack of room: Pixel acc. (%)" in text


@pytest.mark.parametrize("name", ["[red]x[/red]", "[/]", ":smile:", "a|b_&%=<x>"])
def test_names_are_not_read_as_markup(builder: RunBuilder, name: str) -> None:
    builder.done("m", 0.4, label=name)
    builder.failed("n", label=f"{name}2", reason="[bold]no[/bold]")
    text = printed(builder, 140)
    assert f"\n{name}" in text
    assert f"{name}2, seed 0: diverged: [bold]no[/bold]" in text


def test_long_and_wide_names_are_shortened(builder: RunBuilder) -> None:
    builder.done("m", 0.4, label="名" * 200)
    text = printed(builder, 80)
    assert max(cell_len(line) for line in text.splitlines()) <= 80
    assert "40.00" in next(line for line in text.splitlines() if line.startswith("名"))


def test_unfinished_rows_footnotes_and_watermark_are_shown(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path)
    builder.done("kd", 0.5, 0)
    builder.failed("kd", 1)
    text = printed(builder, 100)
    assert NO_BASELINE in text
    assert "kd¹" in text
    assert "¹ n=1 of 2: seed 1 diverged" in text
    assert "1 diverged" in text


def test_many_unfinished_cells_are_cut_short(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path)
    for seed in range(30):
        builder.failed("kd", seed)
    text = printed(builder, 100)
    assert "and 18 more without a result" in text
    assert "No cell has finished" in text
