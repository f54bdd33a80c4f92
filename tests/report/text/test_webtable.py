from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from bench.leaderboard import leaderboard, load, read_plan
from bench.report.text.webtable import web_table
from tests.report.page.page_run import fill
from tests.run_builder import RunBuilder

HOSTILE = '</td><script>alert("x")</script> & | _ % 名前'


class Cells(HTMLParser):
    """Rows of cell texts, and every attribute that could load something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.loaded: list[str] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[-1][-1] += data


def text_of(builder: RunBuilder) -> str:
    plan = read_plan(builder.run)
    return web_table(plan, leaderboard(load(builder.run, plan)))


@pytest.fixture
def builder(tmp_path: Path) -> RunBuilder:
    return RunBuilder(tmp_path / "run")


def test_every_row_has_a_cell_for_every_column(builder: RunBuilder) -> None:
    fill(builder, pairs=2, seeds=2, methods=["none", "kd"])
    found = Cells(text_of(builder))
    lengths: list[set[int]] = []
    for row in found.rows:
        if row[0] == "Method":
            lengths.append(set())
        lengths[-1].add(len(row))
    assert len(lengths) == 3  # across pairs, and two pairs
    assert all(len(kinds) == 1 for kinds in lengths)
    labels = [row[0] for row in found.rows]
    assert labels.count("kd") == 3
    assert {"diverging", "broken"} <= set(labels)


def test_names_are_shown_as_they_are_and_nothing_is_loaded_or_run(builder: RunBuilder) -> None:
    builder.done("none", 0.5)
    builder.done(HOSTILE, 0.6)
    found = Cells(text_of(builder))
    assert HOSTILE in [row[0] for row in found.rows]
    assert "script" not in found.tags
    assert found.loaded == []


def test_a_run_without_cells_says_so(builder: RunBuilder) -> None:
    builder.plan()
    text = text_of(builder)
    assert "There is no cell to show" in text
    assert not Cells(text).rows
