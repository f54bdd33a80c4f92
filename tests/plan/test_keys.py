"""Ids, keys and protocols of every preset stay what they were: stored results depend on them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from bench.matrix.cell import Cell
from bench.matrix.find import presets
from bench.matrix.matrix import load_matrix
from bench.matrix.settings import Settings
from bench.plan.cells import expand, teacher_cell
from bench.plan.dataset import build_dataset
from bench.plan.models import Models
from bench.tasks.base import find_task
from bench.train.record import protocol

KEPT: dict[str, Any] = json.loads((Path(__file__).parent / "preset_keys.json").read_text())
CONTENT = "0" * 64
"""Stands for the digest of a dataset's content, which is not here."""


@pytest.mark.parametrize("name", sorted(KEPT))
def test_the_cells_of_a_preset_keep_their_ids_keys_and_protocols(name: str, tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"x")
    given = [f"pairs[0].teacher.weights={weights}"] if name == "camvid-espnet" else []
    loaded = load_matrix(name, given)
    locations = Settings(results=tmp_path).locations
    data, dataset = build_dataset(loaded.matrix.dataset, locations, loaded.path.parent)
    task = find_task(data.task)
    models = Models(task, data.info, loaded.path.parent)
    cells = expand(loaded, dataset, models)
    entries = [entry.teacher for entry in loaded.matrix.pairs if entry.teacher.weights is None]
    teachers = [teacher_cell(loaded, dataset, models, entry) for entry in entries]

    def hashes(of: list[Cell]) -> list[str]:
        return sorted({protocol(cell, data.info, task, CONTENT)["hash"] for cell in of})

    assert [cell.id for cell in cells] == KEPT[name]["cells"]
    assert hashlib.sha256(" ".join(cell.key for cell in cells).encode()).hexdigest() == KEPT[name]["keys"]
    assert sorted({cell.id for cell in teachers}) == KEPT[name]["teachers"]
    assert hashes(cells) == KEPT[name]["protocols"]
    assert hashes(teachers) == KEPT[name]["teacher_protocols"]


def test_every_preset_is_kept() -> None:
    assert sorted(KEPT) == sorted(presets())
