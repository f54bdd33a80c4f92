"""A task that a plug-in brings is trained, stopped, ranked, drawn and gated like those that are built in."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from bench.base.errors import EXIT_DONE, EXIT_REGRESSION, Interrupted
from bench.leaderboard import leaderboard, load
from bench.leaderboard.arms import read_arms
from bench.leaderboard.baseline import read_baseline, write_baseline
from bench.leaderboard.gate import Rules, check
from bench.matrix.matrix import load_matrix
from bench.matrix.settings import Settings
from bench.plan.groups import Plan, build_plan
from bench.store.folders import COUNTS
from bench.tasks.means import Means
from bench.train.events import Event, Listener, Stepped
from bench.train.run import run_matrix
from bench.train.stop import StopRequest
from tests.harness import PLUGINS, records, run, weights

METHODS = ["none", "bcd", {"name": "pkd", "tap": "stages", "adapter": True}, {"name": "mgd", "tap": "stages"}, "kd"]


def matrix(folder: Path, name: str = "depth", **changes: Any) -> Path:
    """Write a matrix of the depth plug-in."""
    recipe = {"iterations": 40, "batch_size": 4, "optimizer": {"lr": 3e-2}, "augment": {"shift": 2, "flip": 0.5}}
    content = {
        "dataset": "balls",
        "recipe": {**recipe, "evaluations": 2, "log_every": 10, "smooth": 0.5},
        "pairs": [{"teacher": "depth_large", "student": "depth_small"}],
        "methods": METHODS,
        "seeds": [0, 1],
        "plugins": [str(PLUGINS / "depth.py")],
        **changes,
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("depth")
    return run(matrix(folder), folder / "results")


def test_every_method_that_reads_features_trains_and_a_segmentation_method_is_skipped(done: Plan) -> None:
    states = {(planned.cell.method.name, planned.state) for planned in done.cells}
    assert states == {("none", "done"), ("bcd", "done"), ("pkd", "done"), ("mgd", "done"), ("kd", "skipped")}
    reasons = {planned.reason for planned in done.cells if planned.state == "skipped"}
    assert reasons == {"kd is for segmentation, the dataset's task is depth"}


def test_a_cell_ends_alone_as_in_its_group(done: Plan, tmp_path: Path) -> None:
    alone = run(matrix(tmp_path, include=[{"method": "mgd", "seed": 1}]), tmp_path / "results")
    (label,) = {label for label, _ in weights(alone.run)}
    assert weights(alone.run)[label, 1] == weights(done.run)[label, 1]


class StopsAt(Listener):
    """Asks for a stop, as a signal would."""

    def __init__(self, done: int, stop: StopRequest) -> None:
        self.done, self.stop = done, stop

    def tell(self, event: Event) -> None:
        if isinstance(event, Stepped) and event.done == self.done:
            self.stop.signal_number = 2


@pytest.mark.parametrize("at", [7, 20])
def test_a_stopped_and_resumed_run_ends_with_the_same_bits(done: Plan, tmp_path: Path, at: int) -> None:
    path, stop = matrix(tmp_path), StopRequest()
    with pytest.raises(Interrupted):
        run_matrix(load_matrix(str(path)), Settings(results=tmp_path / "results"), StopsAt(at, stop), stop)
    resumed = run(path, tmp_path / "results")
    assert weights(resumed.run) == weights(done.run)
    for planned in resumed.cells:
        if planned.state == "done":
            mine, theirs = (plan.run.cell(planned.cell.id).path / COUNTS for plan in (resumed, done))
            assert mine.read_bytes() == theirs.read_bytes()


def test_results_hold_the_metrics_and_what_they_are_made_from(done: Plan) -> None:
    state, record = records(done.run)["mgd"]
    evidence = Means.load(next(done.run.cells()).path / COUNTS)
    assert state == "done"
    assert record["task"] == "depth"
    assert [metric["key"] for metric in record["scoring"]["metrics"]] == ["rmse", "delta1"]
    assert set(record["metrics"]) == {"rmse", "delta1"}
    assert evidence.n_images == 6
    whole = evidence.totals[:, 0].sum() / evidence.counts[:, 0].sum()
    assert evidence.primary() == pytest.approx(np.sqrt(whole))


def test_the_lowest_error_ranks_first_and_gains_are_positive_where_it_falls(done: Plan) -> None:
    (board,) = leaderboard(load(done.run))
    none, *ranked = (row for row in board.rows if row.score_mean is not None)
    assert none.method == "none"
    assert [row.score_mean for row in ranked] == sorted(row.score_mean for row in ranked)
    for row in ranked:
        assert row.gain_mean == pytest.approx(none.score_mean - row.score_mean)


def test_the_report_needs_no_code_of_the_task(done: Plan, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(done.run.path, folder)
    ended = subprocess.run(
        [sys.executable, "-m", "bench", "report", str(folder)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == EXIT_DONE, ended.stderr
    text = (folder / "leaderboard.md").read_text()
    assert "RMSE (m)" in text
    assert "mIoU" not in text
    assert "over all pixels of the split whose depth is known" in text
    assert "Over images" in text
    page = (folder / "report.html").read_text()
    assert "RMSE" in page
    assert "mIoU" not in page
    assert "rmse_mean" in (folder / "leaderboard.csv").read_text().splitlines()[0]
    assert list(folder.glob("*.png"))


def changed(reference: Path, target: Path, by: float) -> Path:
    """Write references whose errors are this much lower than those of the run."""
    text = json.loads(reference.read_text())

    def lower(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: item - by if key == "rmse" else lower(item) for key, item in value.items()}
        return [lower(item) for item in value] if isinstance(value, list) else value

    target.write_text(json.dumps(lower(text)))
    return target


def test_the_gate_fails_where_the_error_rose_and_not_where_it_fell(done: Plan, tmp_path: Path) -> None:
    arms = read_arms(done.run)
    file = tmp_path / "references.json"
    write_baseline(file, arms.arms, "depth", "2026-01-01T00:00:00+00:00")
    outcomes = {}
    for by in (0.0, 5.0, -5.0):
        reference = read_baseline(changed(file, tmp_path / f"{by}.json", by))
        outcomes[by] = check(arms, reference.arms, Rules())
    assert outcomes[0.0].exit_code == EXIT_DONE
    assert outcomes[5.0].exit_code == EXIT_REGRESSION
    assert {row.finding.value for row in outcomes[5.0].rows if row.compared} == {"worse"}
    assert outcomes[-5.0].exit_code == EXIT_DONE
    assert {row.finding.value for row in outcomes[-5.0].rows if row.compared} == {"better"}


def test_the_gallery_shows_each_model_on_telling_images(done: Plan, tmp_path: Path) -> None:
    from bench.deploy.gallery.redraw import redraw
    from bench.train.events import Listener

    results = tmp_path / "results"
    shutil.copytree(done.run.path.parent, results)
    path = matrix(tmp_path)
    made = redraw(results / "depth", load_matrix(str(path)), Settings(results=results), Listener(), 1)
    assert made.problems == ()
    index = json.loads((results / "depth" / "gallery" / "gallery.json").read_text())
    (board,) = index["boards"]
    assert board["metric"]["header"] == "RMSE"
    kinds = {image["kind"]: image for image in board["images"]}
    assert "best" in kinds
    assert "RMSE" in kinds["best"]["why"]
    assert kinds["best"]["scores"]["none"] < kinds["worst"]["scores"]["none"]
    assert [panel["label"] for panel in board["images"][0]["panels"]][:3] == ["image", "truth", "teacher depth_large"]


def test_what_its_recipe_has_of_its_own_is_checked_with_the_line(tmp_path: Path) -> None:
    from bench.base.errors import BenchError

    path = matrix(tmp_path)
    path.write_text(path.read_text().replace("smooth: 0.5", "smoth: 0.5"))
    with pytest.raises(BenchError, match=r"recipe\.smoth: unknown key 'smoth'\. Did you mean 'smooth'"):
        load_matrix(str(path))


def test_the_teachers_error_can_be_expected(tmp_path: Path) -> None:
    pair = {"teacher": {"name": "depth_large", "expected": {"rmse": 0.001, "tolerance": 0.0001}}}
    path = matrix(tmp_path, pairs=[{**pair, "student": "depth_small"}], seeds=[0], methods=["none", "bcd"])
    from bench.base.errors import BenchError

    with pytest.raises(BenchError, match=r"teacher 'depth_large' has [\d.]+ RMSE on balls val, 0\.001 within 0\.0001"):
        run(path, tmp_path / "results")


def test_a_model_of_another_task_is_skipped_with_the_reason(tmp_path: Path) -> None:
    plugins = [str(PLUGINS / "depth.py"), str(PLUGINS / "shapes.py")]
    pairs = [{"teacher": "depth_large", "student": name} for name in ("depth_small", "net_small")]
    plan = build_plan(load_matrix(str(matrix(tmp_path, pairs=pairs, plugins=plugins))), Settings(results=tmp_path))
    reasons = {planned.reason for planned in plan.cells if planned.cell.student.name == "net_small"}
    assert "student 'net_small' is a model for segmentation, the dataset's task is depth" in reasons
