"""Adversaries: their own optimiser, on what the student gave before its step, and through a checkpoint."""

from __future__ import annotations

import functools
import json

import pytest
import torch
from torch import nn

from bench.base.errors import Interrupted
from bench.matrix.matrix import load_matrix
from bench.matrix.settings import Settings
from bench.method import Adversary, Batch, Outputs, Step, methods
from bench.plan.groups import build_plan
from bench.store.folders import HISTORY
from bench.train.adversary import Opponent
from bench.train.events import Event, Listener, Stepped
from bench.train.run import run_matrix
from bench.train.stop import StopRequest
from tests.harness import records, run, weights, write_matrix

ADVERSARIAL = ["none", "skd", {"name": "ifvd+kd", "ifvd": {"holistic_weight": 0.01}}]


def opponent(power: float = 1.0) -> tuple[Opponent, nn.Linear]:
    network = nn.Linear(1, 1, bias=False)

    def loss(student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, torch.Tensor]:
        return {"first": network(student.logits).sum(), "second": network(teacher.logits).sum()}

    sgd = functools.partial(torch.optim.SGD, lr=0.5)
    return Opponent(Adversary(network, loss, sgd, power), iterations=2), network


def test_each_step_descends_the_sum_of_the_terms_at_a_falling_rate():
    one, network = opponent()
    start = network.weight.item()
    student, teacher = Outputs(torch.full((1, 1), 2.0)), Outputs(torch.full((1, 1), 1.0))
    batch, step = Batch(torch.zeros(1), torch.zeros(1), 255), Step(0, 2, torch.zeros(()))
    terms = one.step(student, teacher, batch, step)
    assert network.weight.item() == pytest.approx(start - 0.5 * 3)
    assert {name: value.requires_grad for name, value in terms.items()} == {"first": False, "second": False}
    one.step(student, teacher, batch, step)
    assert network.weight.item() == pytest.approx(start - 0.5 * 3 - 0.25 * 3)
    assert not network.weight.requires_grad, "frozen while the student learns"


def test_the_discriminator_learns_and_its_loss_is_logged(tmp_path):
    path = write_matrix(tmp_path, methods=["none", "skd"])
    plan = run(path, tmp_path / "results")
    state, record = records(plan.run)["skd"]
    assert state == "done"
    own = ["ce", "skd_pixel", "skd_pair", "skd_holistic"]
    assert record["terms"] == own, "the discriminator's loss is no term of the student's"
    (folder,) = (folder for folder in plan.run.cells() if folder.state()[1]["cell"]["method"]["name"] == "skd")
    history = json.loads((folder.path / HISTORY).read_text())["steps"]
    assert set(history[-1]["terms"]) == {*own, "skd_discriminator", "skd_penalty"}
    assert history[-1]["terms"]["skd_discriminator"] != history[0]["terms"]["skd_discriminator"]
    assert record["remarks"] == [
        "skd: the discriminator has 2 of its 4 stages, as many as fit logits of 16 x 16 (all fit from 64 x 64 on)"
    ]
    again = build_plan(load_matrix(str(path)), Settings(results=tmp_path / "results"))
    assert [planned.remarks for planned in again.cells] == [(), tuple(record["remarks"])]


class StopsAt(Listener):
    """Asks for a stop at an iteration of the students' run, as a signal would."""

    def __init__(self, iteration: int, stop: StopRequest) -> None:
        self.iteration, self.stop = iteration, stop

    def tell(self, event: Event) -> None:
        if event == Stepped(self.iteration, 12):
            self.stop.signal_number = 2


def test_interrupted_and_resumed_ends_with_the_same_bits(tmp_path):
    path = write_matrix(tmp_path, methods=ADVERSARIAL, teacher_recipe={"iterations": 4})
    whole = run(path, tmp_path / "whole")
    stop = StopRequest()
    with pytest.raises(Interrupted):
        run_matrix(load_matrix(str(path)), Settings(results=tmp_path / "halves"), StopsAt(5, stop), stop)
    resumed = run(path, tmp_path / "halves")
    assert weights(resumed.run) == weights(whole.run)
    assert len(weights(whole.run)) == 3


def test_a_cell_with_a_discriminator_ends_alone_as_in_its_group(tmp_path):
    together = run(write_matrix(tmp_path, methods=ADVERSARIAL), tmp_path / "together")
    only = write_matrix(tmp_path, methods=ADVERSARIAL, include=[{"method": "skd"}])
    assert weights(run(only, tmp_path / "alone").run)["skd", 0] == weights(together.run)["skd", 0]


def test_the_discriminator_joins_neither_the_students_optimiser_nor_its_file(tmp_path):
    plan = run(write_matrix(tmp_path, methods=["none", "skd"]), tmp_path / "results")
    sizes = {label: len(content) for (label, _), content in weights(plan.run).items()}
    assert sizes["skd"] == sizes["none"]
    assert "skd" in methods
