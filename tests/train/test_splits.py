from __future__ import annotations

from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.matrix.matrix import load_matrix
from bench.matrix.settings import Settings
from bench.plan.groups import build_plan
from bench.train.events import Event, Said
from bench.train.splits import prepare_splits
from tests.data.own import hard, look, noise, pair, smooth, tagged


class Listening:
    """A reporter that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def tell(self, event: Event) -> None:
        """Keep a message."""
        if isinstance(event, Said):
            self.said.append(event.text)


def prepared(root: Path) -> list[str]:
    settings, listening = Settings(results=root / "results"), Listening()
    prepare_splits(build_plan(load_matrix(str(root / "m.yaml")), settings), settings, listening)
    return listening.said


def test_a_run_tells_what_is_worth_a_second_look(tmp_path: Path) -> None:
    look(pair(tmp_path, [tagged(hard, 0, ".png")] * 4, tagged(noise, 3, ".jpg")))
    told = [line for line in prepared(tmp_path) if "may lie otherwise" in line]
    assert len(told) == 2
    assert "note: train: 3 masks may lie otherwise than their images" in told[0]


def test_a_run_refuses_masks_whose_numbers_mean_nothing(tmp_path: Path) -> None:
    look(pair(tmp_path, map(hard, range(4))))
    pair(tmp_path, map(smooth, range(4)))
    with pytest.raises(BenchError, match="smooth edges"):
        prepared(tmp_path)
