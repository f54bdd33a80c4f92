from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.leaderboard import NO_BASELINE, leaderboard, load, read_plan
from bench.report.text.markdown import escape, markdown
from tests.run_builder import RunBuilder

HOSTILE = ["a|b_&%=<x>", "*bold* `code`\nnext", "名前 ü ±", "x" * 200, "=SUM(A1)", "[link](http://x)", "a\\|b"]


@pytest.fixture
def builder(tmp_path: Path) -> RunBuilder:
    return RunBuilder(tmp_path / "run")


def report_of(builder: RunBuilder) -> str:
    return markdown(read_plan(builder.run), leaderboard(load(builder.run)))


def table_of(text: str) -> list[list[str]]:
    """Return the cells of the first table, split where Markdown splits: at a bar that no backslash precedes."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def column_of(text: str, header: str) -> dict[str, str]:
    head, _, *rows = table_of(text)
    return {row[0]: row[head.index(header)] for row in rows}


def test_numbers_as_people_read_them(builder: RunBuilder) -> None:
    for seed, (baseline, distilled) in enumerate([(0.64, 0.655), (0.65, 0.669)]):
        builder.done("none", baseline, seed)
        builder.done("kd", distilled, seed, train_s=21)
    text = report_of(builder)
    assert column_of(text, "mIoU (%)") == {
        "*teacher big*": "72.00",
        "none": "64.50 ± 0.71 (2)",
        "kd": "66.20 ± 0.99 (2)",
    }
    # t with one degree of freedom at 97.5 % is 12.706: 1.70 -+ 12.706 * 0.2828 / sqrt(2)
    assert column_of(text, "Gain [95 %]") == {"*teacher big*": "", "none": "—", "kd": "+1.70 [-0.84, +4.24]"}
    assert column_of(text, "Tier") == {"*teacher big*": "", "none": "1", "kd": "1"}
    assert column_of(text, "Params")["*teacher big*"] == "1.23 M"
    assert column_of(text, "MACs")["kd"] == "3.4 M"
    assert column_of(text, "Cost")["kd"] == "2.10×"  # noqa: RUF001
    assert column_of(text, "Loss terms")["kd"] == "ce + kd"
    assert "Memory" not in text  # nothing was measured


def test_notes_tell_how_to_read_it(builder: RunBuilder) -> None:
    builder.done("none", 0.5)
    builder.done("kd", 0.6)
    text = report_of(builder)
    (board,) = leaderboard(load(builder.run))
    assert f"protocol {board.protocol}" in text
    for words in (
        "sample standard deviation",
        "neither labels nor predictions are left out",
        "2 of 3 classes scored",
        "Dataset: digits, train → evaluation split: train → val",
        "multiply-accumulate",
        "64 x 64",
        "cpu: test, 2 threads",
    ):
        assert words in text


def test_one_seed_has_no_plus_minus_in_its_row(builder: RunBuilder) -> None:
    builder.done("none", 0.5)
    assert "±" not in "".join("".join(row) for row in table_of(report_of(builder)))


def test_watermark_stands_above_the_table(builder: RunBuilder) -> None:
    builder.done("kd", 0.5)
    text = report_of(builder)
    assert f"**{NO_BASELINE}**" in text
    assert text.index(NO_BASELINE) < text.index("| Method")
    assert "Gain" not in text


def test_unfinished_cells_are_listed_with_reason(builder: RunBuilder) -> None:
    builder.done("none", 0.5)
    builder.failed("kd", status="failed", reason="line one\nline | two")
    text = report_of(builder)
    assert "- kd, seed 0: failed: line one line \\| two (iteration 17)" in text
    assert column_of(text, "Unfinished")["kd"] == "1 failed"


def test_footnote_marks_point_to_their_notes(builder: RunBuilder) -> None:
    builder.done("none", 0.5, 0)
    builder.done("none", 0.5, 1)
    builder.done("kd", 0.6, 0)
    text = report_of(builder)
    assert "kd <sup>1</sup>" in column_of(text, "mIoU (%)")
    assert "<sup>1</sup> n=1 of 2: seed 1 not run" in text


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_leave_the_table_whole(builder: RunBuilder, name: str) -> None:
    builder.done("none", 0.5)
    builder.done(name, 0.6, label=name)
    rows = table_of(report_of(builder))
    assert len(rows) == 5
    assert len({len(row) for row in rows}) == 1
    assert rows[-1][0] == escape(name)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b_&%=<x>", r"a\|b\_&amp;%=&lt;x&gt;"),
        ("*b* `c`", r"\*b\* \`c\`"),
        ("two\nlines", "two lines"),
        ("a\\b", r"a\\b"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("# head", r"\# head"),
        ("x - 1. #", "x - 1. #"),
    ],
)
def test_escape(text: str, escaped: str) -> None:
    assert escape(text) == escaped
