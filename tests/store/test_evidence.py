"""A result whose metrics are not those of its own records is trusted by nobody."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.base.files import file_digest, write_bytes, write_json
from bench.report import build_report
from bench.store import evidence as module
from bench.store.folders import COUNTS, RESULT, CellFolder, Record, seal
from bench.store.frame import load
from bench.tasks import scorings
from bench.tasks.means import Means
from bench.tasks.metric import Evidence, Metric, Scoring
from bench.tasks.segmentation.counts import Counts
from tests.depth_run import depth_run, with_errors
from tests.run_builder import RunBuilder

CLASSES = ("sky", "road", "person")


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_agreeing", set())


def change(folder: CellFolder, **fields: Any) -> None:
    """Change a result as somebody does who knows how it is sealed."""
    record = json.loads((folder.path / RESULT).read_text())
    record |= fields
    record["files"] = {COUNTS: file_digest(folder.path / COUNTS)}
    write_json(folder.path / RESULT, seal(record))


def counts_of(seed: int, n_classes: int = len(CLASSES)) -> Counts:
    matrices = np.random.default_rng(seed).integers(0, 50, size=(6, n_classes, n_classes))
    matrices[:, -1] = matrices[:, :, -1] = 0  # a class that is found nowhere
    boundary = np.stack([np.full((6, n_classes), 3), np.full((6, n_classes), 8)], axis=1)
    return Counts.from_dense(matrices, boundary)


@pytest.fixture
def segmented(tmp_path: Path) -> CellFolder:
    builder = RunBuilder(tmp_path / "run")
    folder = builder.done("none", 0.5)
    counts = counts_of(0)
    counts.save(folder.path / COUNTS)
    change(folder, metrics=dict(counts.metrics(CLASSES)))
    return folder


@pytest.fixture
def measured(tmp_path: Path) -> CellFolder:
    folder = depth_run(tmp_path / "run").done("none", 0.5)
    with_errors(folder, np.linspace(0.2, 0.4, 6))
    return folder


Change = Callable[[Record], object]
OF_CLASSES: dict[str, Change] = {
    "the score": lambda metrics: metrics.update(miou=metrics["miou"] + 0.001),
    "no score": lambda metrics: metrics.update(miou=None),
    "a word": lambda metrics: metrics.update(miou="0.5"),
    "another metric": lambda metrics: metrics.update(macc=metrics["macc"] / 2),
    "boundaries": lambda metrics: metrics.update(mean_boundary_iou=0.9),
    "a class": lambda metrics: metrics["iou"].update(sky=0.9),
    "a class that is not there": lambda metrics: metrics["iou"].update(person=0.9),
    "one class more": lambda metrics: metrics["iou"].update(tree=None) or metrics["iou"].update(tree=0.3),
    "one class fewer": lambda metrics: metrics["iou"].pop("sky"),
    "no classes": lambda metrics: metrics.update(iou=0.4),
    "the number of classes": lambda metrics: metrics.update(n_classes_scored=3),
}


@pytest.mark.parametrize("changed", OF_CLASSES)
def test_metrics_that_are_not_those_of_the_counts(segmented: CellFolder, changed: str) -> None:
    assert segmented.state()[0] == "done"
    metrics = json.loads((segmented.path / RESULT).read_text())["metrics"]
    OF_CLASSES[changed](metrics)
    change(segmented, metrics=metrics)
    state, record = segmented.state()
    assert state == "corrupt"
    assert record["reason"].startswith("result.json is not what counts.npz comes to: ")


@pytest.mark.parametrize("counts", [counts_of(1), counts_of(0, 4)], ids=["of another cell", "of other classes"])
def test_counts_that_are_not_those_of_the_metrics(segmented: CellFolder, counts: Counts) -> None:
    counts.save(segmented.path / COUNTS)
    change(segmented)
    assert segmented.state()[0] == "corrupt"


def test_names_of_classes_are_those_of_the_protocol(segmented: CellFolder) -> None:
    record = json.loads((segmented.path / RESULT).read_text())
    record["protocol"]["fields"]["dataset"]["classes"] = list(CLASSES)
    change(segmented, protocol=record["protocol"])
    assert segmented.state()[0] == "done"
    iou = record["metrics"]["iou"]
    turned = {"road": iou["sky"], "sky": iou["road"], "person": iou["person"]}
    change(segmented, metrics={**record["metrics"], "iou": turned})
    state, found = segmented.state()
    assert state == "corrupt"
    assert "iou of 'sky' is" in found["reason"]


def test_a_task_of_means(measured: CellFolder) -> None:
    assert measured.state()[0] == "done"
    metrics = json.loads((measured.path / RESULT).read_text())["metrics"]
    change(measured, metrics={**metrics, "rmse_of": {"near": 9.0}})  # does not follow from the records
    assert measured.state()[0] == "done"
    for key in ("rmse", "delta1"):
        change(measured, metrics={**metrics, key: 0.9 * metrics[key]})
        state, record = measured.state()
        assert state == "corrupt"
        assert f"{key} is {0.9 * metrics[key]:.6g}, its records give {metrics[key]:.6g}" in record["reason"]


class Own(Evidence):
    """Records that only a plug-in's code reads, of which nothing but the primary metric is told."""

    n_images = 2

    def resampled(self, weights: np.ndarray) -> np.ndarray:
        return weights @ np.array([0.2, 0.4]) / weights.sum(1)

    def per_image(self) -> np.ndarray:
        return np.array([0.2, 0.4])

    def save(self, path: Path) -> str:
        return write_bytes(path, b"own")


class Unfit(Own):
    def metrics(self, classes: Sequence[str]) -> Mapping[str, Any]:
        raise KeyError("no such class")


def test_a_plug_in_with_records_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scoring = Scoring("of a plug-in", (Metric("err", "Error"), Metric("other", "Other")), read=lambda _: Own())
    monkeypatch.setattr(scorings, "_known", {**scorings.known_scorings(), scoring.name: scoring})
    builder = RunBuilder(tmp_path / "run", scoring, (lambda score: {"err": score, "other": 3.0}, 0.2))
    right, wrong = builder.done("none", 0.3), builder.done("kd", 0.31)
    for folder in (right, wrong):
        Own().save(folder.path / COUNTS)
        change(folder)
    assert right.state()[0] == "done"
    assert wrong.state()[1]["reason"].endswith("err is 0.31, its records give 0.3")
    monkeypatch.setattr(module, "_agreeing", set())
    known = {scoring.name: replace(scoring, read=lambda _: Unfit())}
    monkeypatch.setattr(scorings, "_known", {**scorings.known_scorings(), **known})
    assert right.state()[1]["reason"].endswith("its records cannot be scored ('no such class')")
    monkeypatch.setattr(scorings, "_known", {**scorings.known_scorings(), scoring.name: replace(scoring, read=None)})
    assert wrong.state()[0] == "done"  # where its code is not, nobody can tell


def test_the_report_tells_it_and_gives_it_no_score(segmented: CellFolder) -> None:
    builder = RunBuilder(segmented.path.parent.parent)
    builder.done("kd", 0.6)
    metrics = json.loads((segmented.path / RESULT).read_text())["metrics"]
    change(segmented, metrics={**metrics, "miou": 0.99})
    cells = load(builder.run).set_index("method")
    assert cells.loc["none", "state"] == "corrupt"
    assert cells.loc["none", "score"] != cells.loc["none", "score"]  # NaN
    build_report(builder.run)
    assert "99.00" not in (builder.run.path / "leaderboard.md").read_text()


def test_records_are_read_once(segmented: CellFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert segmented.state()[0] == "done"
    monkeypatch.setattr(Means, "load", lambda path: pytest.fail("read again"))
    monkeypatch.setattr(module, "scoring_of", lambda record: pytest.fail("read again"))
    assert segmented.state()[0] == "done"
