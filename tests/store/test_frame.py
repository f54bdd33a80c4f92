"""Every cell of a run as a row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.base.files import write_json
from bench.store.folders import RESULT, seal
from bench.store.frame import load
from bench.tasks.means import Means
from bench.tasks.segmentation.scores import SCORING
from tests.depth_run import DEPTH, depth_run
from tests.run_builder import RunBuilder


def test_a_result_that_names_no_task_is_of_segmentation(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path)
    builder.done("none", 0.5)
    (cell,) = load(builder.run).to_dict("records")
    assert (cell["task"], cell["scoring"]) == ("segmentation", SCORING)
    assert cell["score"] == 0.5
    assert cell["metrics"] == {"miou": 0.5, "macc": 0.55, "pixel_accuracy": 0.7}
    assert cell["per_class"] == {"background": 0.5, "0": 0.5, "1": None}
    assert cell["extras"] == {"n_classes_scored": 2}


def test_a_plug_ins_task_is_read_from_the_record_of_its_scoring(tmp_path: Path) -> None:
    builder = depth_run(tmp_path)
    builder.done("none", 0.5)
    (cell,) = load(builder.run).to_dict("records")
    assert (cell["task"], cell["scoring"].metrics) == (DEPTH.name, DEPTH.metrics)
    assert cell["scoring"].read == Means.load
    assert (cell["score"], cell["metrics"]) == (0.5, {"rmse": 0.5, "delta1": 0.75})
    assert cell["per_class"] == {"near": 0.25, "far": 1.0}


@pytest.mark.parametrize("scoring", [None, "rmse", {}, {"name": "depth", "metrics": [{"key": "rmse"}]}])
def test_an_unknown_task_without_a_sound_record_is_told(tmp_path: Path, scoring: object) -> None:
    builder = depth_run(tmp_path)
    path = builder.done("none", 0.5).path / RESULT
    record = json.loads(path.read_text())
    write_json(path, seal({**record, "scoring": scoring}))
    (cell,) = load(builder.run).to_dict("records")
    assert cell["state"] == "corrupt"
    assert RESULT in cell["reason"]


def test_a_metric_that_a_result_lacks_is_no_metric_and_one_that_is_no_number_corrupts_it(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path)
    for seed, macc in enumerate((None, "much")):
        path = builder.done("none", 0.5, seed).path / RESULT
        record = json.loads(path.read_text())
        record["metrics"]["macc"] = macc
        del record["metrics"]["pixel_accuracy"]
        write_json(path, seal(record))
    first, second = sorted(load(builder.run).to_dict("records"), key=lambda cell: cell["seed"])
    assert (first["state"], first["metrics"]) == ("done", {"miou": 0.5, "macc": None})
    assert second["state"] == "corrupt"


def test_cells_without_a_result_have_neither_scoring_nor_score(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path)
    builder.failed("kd")
    (cell,) = load(builder.run).to_dict("records")
    assert (cell["scoring"], cell["metrics"], cell["score"] == cell["score"]) == (None, None, False)
