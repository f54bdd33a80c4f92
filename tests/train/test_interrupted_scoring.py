"""A stop that comes while students are scored: nothing is lost, nothing fails, and the scores are taken later."""

from __future__ import annotations

import io
import json
import signal

import pytest
from rich.console import Console

from bench.base.errors import Interrupted
from bench.cli.screen.progress import PlainReporter
from bench.matrix.matrix import load_matrix
from bench.matrix.settings import Settings
from bench.store.folders import HISTORY
from bench.train import evaluate
from bench.train.run import run_matrix
from bench.train.stop import StopRequest
from tests.harness import BASE, run, weights, write_matrix

METHODS = ["none", "kd", "stateful"]


def matrix(folder):
    recipe = {**BASE["recipe"], "evaluations": 3, "eval_batch_size": 2}
    return write_matrix(folder, recipe=recipe, teacher_recipe={"evaluations": 1}, methods=METHODS)


def histories(plan):
    return {
        item.cell.method.label: json.loads((plan.run.cell(item.cell.id).path / HISTORY).read_text())["evals"]
        for item in plan.cells
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return run(matrix(folder), folder / "results")


def interrupted_run(path, results, monkeypatch, batch):
    """Run until the n-th batch of an evaluation is loaded, where a signal arrives."""
    stop, seen = StopRequest(), [0]
    original = evaluate.eval_loader

    def loader(*arguments):
        for item in original(*arguments):
            seen[0] += 1
            if seen[0] == batch:
                stop.signal_number = signal.SIGTERM
            yield item

    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "eval_loader", loader)
        with pytest.raises(Interrupted):
            run_matrix(
                load_matrix(str(path)), Settings(results=results), PlainReporter(Console(file=io.StringIO())), stop
            )
    return seen[0]


@pytest.mark.parametrize("batch", [2, 6, 14, 22, 30, 38])
def test_a_stop_in_the_middle_of_a_score_is_made_up_for(tmp_path, monkeypatch, undisturbed, batch):
    path, results = matrix(tmp_path), tmp_path / "results"
    seen = interrupted_run(path, results, monkeypatch, batch)
    assert seen == batch  # not one more batch was looked at
    plan = run(path, results)
    assert {item.state for item in plan.cells} == {"done"}
    assert weights(plan.run) == weights(undisturbed.run)
    assert histories(plan) == histories(undisturbed)
