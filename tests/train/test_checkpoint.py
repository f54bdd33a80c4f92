"""A checkpoint that cannot be used is set aside by name; the one before is tried, then the start."""

from __future__ import annotations

import io
import shutil

import pytest
import torch
from rich.console import Console

from bench.cli.screen.progress import PlainReporter
from bench.matrix.matrix import load_matrix
from bench.matrix.settings import Settings
from bench.train import lockstep
from bench.train.run import run_matrix
from bench.train.stop import StopRequest
from tests.harness import run, weights, write_matrix

NAMES = ("checkpoint.pt", "checkpoint.prev.pt")


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A run that was killed after iteration 7, with two checkpoints a cell, and the weights of one that was not."""
    folder = tmp_path_factory.mktemp("killed")
    path = write_matrix(folder, methods=["none", "stateful"])
    whole = run(path, folder / "whole", checkpoint_seconds=0)
    original = lockstep.save_checkpoint

    def dying(trainee):
        if trainee.iteration == 8 and trainee.cell.student.name == "net_small":
            raise Killed
        original(trainee)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lockstep, "save_checkpoint", dying)
        patch.setattr(StopRequest, "is_asked_by", lambda self, error: isinstance(error, Killed))
        with pytest.raises(Killed):
            run(path, folder / "results", checkpoint_seconds=0)
    return path, folder / "results", weights(whole.run)


def emptied(state):
    return {}


def without_student(state):
    del state["student"]
    return state


def other_shape(state):
    state["student"]["head.weight"] = torch.zeros(3, 7, 1, 1)
    return state


def other_moments(state):
    for moments in state["optimizer"]["state"].values():
        moments["exp_avg"] = torch.zeros(2, 2)
    return state


def past_the_end(state):
    return state | {"iteration": 13}


def no_history(state):
    return state | {"evals": None}


def other_costs(state):
    return state | {"costs": {"step_s": "soon"}}


def other_stream(state):
    state["stream"]["torch"] = torch.zeros(3, dtype=torch.uint8)
    return state


def a_list(state):
    return [1, 2]


DAMAGES = (
    emptied,
    without_student,
    other_shape,
    other_moments,
    past_the_end,
    no_history,
    other_costs,
    other_stream,
    a_list,
)


def resumed(path, results):
    output = io.StringIO()
    reporter = PlainReporter(Console(file=output, width=400))
    return run_matrix(load_matrix(str(path)), Settings(results=results), reporter, StopRequest()), output.getvalue()


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_one_of_another_structure_gives_way_to_the_one_before(tmp_path, killed, damage):
    path, results, expected = killed
    shutil.copytree(results, tmp_path / "results")
    for file in (tmp_path / "results/shapes").rglob("checkpoint.pt"):
        torch.save(damage(torch.load(file, weights_only=True)), file)
    plan, said = resumed(path, tmp_path / "results")
    assert weights(plan.run) == expected
    assert said.count("checkpoint.pt cannot be used (") == 2
    assert said.count("kept as checkpoint.pt.unusable-1") == 2
    assert said.count("resumed at iteration 6 from checkpoint.prev.pt") == 2
    assert len(list((tmp_path / "results/shapes").rglob("checkpoint.pt.unusable-1"))) == 2


@pytest.mark.parametrize("torn", [False, True])
def test_where_none_can_be_used_the_cell_begins_again(tmp_path, killed, torn):
    path, results, expected = killed
    shutil.copytree(results, tmp_path / "results")
    for name in NAMES:
        for file in (tmp_path / "results/shapes").rglob(name):
            if torn:
                file.write_bytes(file.read_bytes()[:1000])
            else:
                torch.save({"model": {}}, file)
    plan, said = resumed(path, tmp_path / "results")
    assert weights(plan.run) == expected
    assert "resumed" not in said
    assert said.count("cannot be used") == 4


def test_a_whole_one_is_used_as_it_is(tmp_path, killed):
    path, results, expected = killed
    shutil.copytree(results, tmp_path / "results")
    plan, said = resumed(path, tmp_path / "results")
    assert weights(plan.run) == expected
    assert said.count("resumed at iteration 7 from checkpoint.pt") == 2
    assert not list((tmp_path / "results/shapes").rglob("*unusable*"))
