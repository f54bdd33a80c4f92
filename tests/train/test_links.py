"""A run writes nothing through a link that somebody else put into the results."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.base.errors import BenchError
from tests.harness import run, write_matrix


@pytest.mark.parametrize("name", ["shapes", "shapes/cells", "teachers", "cache"])
def test_a_run_refuses_links_below_its_results(tmp_path: Path, name: str) -> None:
    link, elsewhere = tmp_path / "results" / name, tmp_path / "elsewhere"
    elsewhere.mkdir()
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    with pytest.raises(BenchError, match=f"{link} is a link, which may lead anywhere"):
        run(write_matrix(tmp_path, methods=["none"]), tmp_path / "results")
    assert not list(elsewhere.iterdir())


def test_the_results_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "results").symlink_to(tmp_path / "disk")
    plan = run(write_matrix(tmp_path, methods=["none"]), tmp_path / "results")
    assert [planned.state for planned in plan.cells] == ["done"]
