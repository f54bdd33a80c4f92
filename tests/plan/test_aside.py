"""Two datasets under one results folder: neither pushes the results of the other aside without a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.base.errors import BenchError
from bench.base.files import write_json
from bench.plan.aside import changed_data, require_one_dataset
from bench.plan.standing import DATASET_CHANGED
from bench.store.folders import CONFIG
from tests.command import command_line
from tests.conftest import MatrixFile
from tests.harness import run
from tests.plan.test_plan import planned

LINES = {"recipe": "{iterations: 2, batch_size: 2, augment: {crop: 32}}"}


def own_masks(folder: Path, seed: int) -> Path:
    rng = np.random.RandomState(seed)
    for index in range(6):
        for kind, shape, high in (("images", (32, 32, 3), 256), ("masks", (32, 32), 2)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.randint(0, high, shape).astype(np.uint8)).save(folder / kind / f"{index}.png")
    return folder


def matrix_of(write: MatrixFile, data: Path, **lines: str) -> Path:
    dataset = f"{{name: folder, images: '{data}/images', masks: '{data}/masks', classes: [ground, disc]}}"
    return write(dataset=dataset, **{**LINES, **lines})


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("methods", ["[none]", "[none, kd]"])
def test_the_results_of_another_dataset_stay_where_they_are(
    matrix_file: MatrixFile,
    tmp_path: Path,
    methods: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    results, bench = tmp_path / "results", command_line(monkeypatch, capsys)
    run(matrix_of(matrix_file, own_masks(tmp_path / "one", 1), methods=methods), results)
    kept = content(results)
    second = matrix_of(matrix_file, own_masks(tmp_path / "two", 2), methods=methods)
    for command in (("plan",), ("run", "--plain")):
        ended = bench(*command, "--matrix", str(second), "--results", str(results))
        assert ended.code == 2
        n_cells = "1 cell" if methods == "[none]" else "2 cells"
        assert f"{results / 'm'} holds {n_cells} of another dataset, whose files differ and lie elsewhere" in ended.err
        assert "(name:), or choose another --results folder. Or give --retrain '*'" in ended.err
        assert (f"{results / 'teachers'} holds 1 cell of another dataset" in ended.err) == ("kd" in methods)
        assert {path: text for path, text in content(results).items() if path in kept} == kept
    asked = planned(second, results=results, retrain=("*",))
    require_one_dataset(asked)
    plan = run(second, results, retrain=("*",))
    assert {item.state for item in plan.cells} == {"done"}
    assert len(list((results / "m" / "superseded").iterdir())) == len(plan.cells)


def test_another_name_is_a_way_out(matrix_file: MatrixFile, tmp_path: Path) -> None:
    results = tmp_path / "results"
    run(matrix_of(matrix_file, own_masks(tmp_path / "one", 1), methods="[none]"), results)
    second = matrix_of(matrix_file, own_masks(tmp_path / "two", 2), methods="[none]")
    assert {item.state for item in planned(second, "name=other", results=results).cells} == {"planned"}


def test_moved_data_are_the_same_and_changed_ones_are_told(matrix_file: MatrixFile, tmp_path: Path) -> None:
    results, first = tmp_path / "results", own_masks(tmp_path / "one", 1)
    run(matrix_of(matrix_file, first, methods="[none]"), results)
    there = first.rename(tmp_path / "there")
    plan = planned(matrix_of(matrix_file, there, methods="[none]"), results=results)
    assert ([item.state for item in plan.cells], changed_data(plan)) == (["done"], [])
    there.rename(first)
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(first / "masks" / "0.png")
    plan = planned(matrix_of(matrix_file, first, methods="[none]"), results=results)
    assert [item.reason for item in plan.cells] == [DATASET_CHANGED]
    require_one_dataset(plan)
    assert not plan.cells[0].other_dataset
    (told,) = changed_data(plan)
    assert told.startswith(f"{results / 'm'} holds 1 cell of other content of the dataset. A run sets them aside")


def test_results_that_do_not_tell_the_place_are_told_and_not_refused(matrix_file: MatrixFile, tmp_path: Path) -> None:
    results = tmp_path / "results"
    before = run(matrix_of(matrix_file, own_masks(tmp_path / "one", 1), methods="[none]"), results)
    second = matrix_of(matrix_file, own_masks(tmp_path / "two", 2), methods="[none]")
    assert [item.other_dataset for item in planned(second, results=results).cells] == [True]
    folder = before.run.cell(before.cells[0].cell.id)
    config = folder.config()
    assert str(tmp_path) not in str(config["provenance"]["place"])
    del config["provenance"]["place"]
    write_json(folder.path / CONFIG, config)
    plan = planned(second, results=results)
    require_one_dataset(plan)
    assert len(changed_data(plan)) == 1
    config["provenance"]["place"] = "of another machine"
    write_json(folder.path / CONFIG, config)
    plan = planned(second, results=results)
    with pytest.raises(BenchError, match="choose another --results"):
        require_one_dataset(plan)
