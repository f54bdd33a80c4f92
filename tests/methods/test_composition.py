"""``a+b``: the sum of two methods' terms, each with its own hyperparameters."""

from __future__ import annotations

import pytest
import torch
import yaml
from typer.testing import CliRunner

from bench.base.errors import BenchError
from bench.cli.main import app
from bench.matrix.matrix import load_matrix
from bench.method import Batch, Outputs, OutputSpec, Pair, Step, TapSpec, Unsupported
from bench.method.registry import methods
from tests.harness import records, run, write_matrix

SPEC = OutputSpec(TapSpec(5, 4), TapSpec(8, 4))
PAIR = Pair(5, 255, SPEC, SPEC, (64, 64))


def outputs(seed: int) -> Outputs:
    generator = torch.Generator().manual_seed(seed)
    return Outputs(torch.randn(2, 5, 16, 16, generator=generator), torch.randn(2, 8, 16, 16, generator=generator))


def terms(name: str, **options: object) -> dict[str, torch.Tensor]:
    entry = methods.get(name)
    target = torch.randint(0, 5, (2, 64, 64), generator=torch.Generator().manual_seed(9))
    batch = Batch(torch.zeros(2, 3, 64, 64), target, 255)
    method = entry.builder(PAIR, **entry.options.resolve(options))
    return method(outputs(0), outputs(1), batch, Step(1, 10, torch.zeros(())))


def test_a_sum_has_the_terms_of_its_parts_each_with_its_own_hyperparameters():
    together = terms("kd+cwd", kd={"tau": 4.0}, cwd={"tau": 2.0, "weight": 7.0})
    assert together == {**terms("kd", tau=4.0), **terms("cwd", tau=2.0, weight=7.0)}
    assert set(terms("kd+ifvd", ifvd={"holistic_weight": 0.0})) == {"kd", "ifvd", "ifvd_pixel"}


def test_the_weights_that_parts_give_the_task_loss_are_multiplied():
    builder = methods.get("response+kd").builder
    assert builder(PAIR, response={"alpha": 0.75}).task_weight == pytest.approx(0.25)
    assert builder(PAIR).taps == ("logits",)


def test_a_part_that_refuses_the_pair_refuses_for_the_sum():
    coarse = Pair(5, 255, OutputSpec(TapSpec(5, 8)), SPEC, (64, 64))
    with pytest.raises(Unsupported, match="cwd compares logits of one size"):
        methods.get("response+cwd").builder(coarse)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("kd+cdw", "'kd+cdw': unknown method 'cdw'. Did you mean 'cwd'?"),
        ("kd+kd", "'kd+kd': a method stands twice in a sum; raise its weight instead"),
        ("kd+none", "'kd+none': 'none' adds nothing to a sum; leave it out"),
        ("kd+", "'kd+': a method's name is missing beside a '+'"),
    ],
)
def test_a_sum_that_is_none_is_told_with_its_line(matrix_file, name, told):
    with pytest.raises(BenchError) as caught:
        load_matrix(str(matrix_file(methods=f"[none, {name}]")))
    assert f"m.yaml:4: methods[1]: {told}" in str(caught.value)


def test_a_wrong_hyperparameter_of_a_part_is_told_with_its_path(matrix_file):
    text = "[none, {name: kd+cwd, kd: {tua: 4}, cwd: {tau: -1}}]"
    with pytest.raises(BenchError) as caught:
        load_matrix(str(matrix_file(methods=text)))
    told = str(caught.value)
    assert "m.yaml:4: methods[1].kd.tua: unknown key 'tua'. Did you mean 'tau'?" in told
    assert "m.yaml:4: methods[1].cwd.tau: input should be greater than 0" in told


def test_options_of_a_method_that_is_no_part_are_refused(matrix_file):
    with pytest.raises(BenchError, match=r"methods\[1\].skd: unknown key 'skd'.*Known: cwd, kd"):
        load_matrix(str(matrix_file(methods="[none, {name: kd+cwd, skd: {pair_weight: 1}}]")))


def test_lists_are_swept_within_a_part_and_labels_name_what_is_not_default(matrix_file):
    loaded = load_matrix(str(matrix_file(methods="[none, {name: kd+cwd, kd: {tau: [1, 4]}, cwd: {weight: 5}}]")))
    labels = [choice.label for choice in loaded.choices]
    assert labels == ["none", "kd+cwd (cwd.weight=5)", "kd+cwd (kd.tau=4, cwd.weight=5)"]
    assert loaded.choices[2].params["kd"]["tau"] == 4
    assert loaded.choices[2].params["cwd"] == {**loaded.choices[1].params["cwd"], "weight": 5.0}


def test_a_list_that_is_the_default_is_no_part_of_the_label(matrix_file):
    loaded = load_matrix(
        str(matrix_file(methods="[none, cosine, {name: response+cosine, cosine: {student_stages: [0, 1, -1]}}]"))
    )
    assert [choice.label for choice in loaded.choices] == ["none", "cosine", "response+cosine"]


def test_a_sum_trains_and_its_terms_stand_in_the_result(tmp_path):
    listed = ["none", {"name": "kd+cwd", "kd": {"tau": 2}, "cwd": {"weight": 0.5}}]
    plan = run(write_matrix(tmp_path, methods=yaml.safe_load(yaml.safe_dump(listed))), tmp_path / "results")
    state, record = records(plan.run)["kd+cwd (kd.tau=2, cwd.weight=0.5)"]
    assert state == "done"
    assert record["terms"] == ["ce", "kd", "cwd"]
    assert record["cell"]["method"]["params"]["cwd"]["weight"] == 0.5


def test_the_card_of_a_sum_is_that_of_its_parts():
    shown = CliRunner().invoke(app, ["list", "methods", "--long", "kd+cwd"]).output
    assert "arXiv 1503.02531" in shown
    assert "arXiv 2011.13256" in shown
    assert "cwd.tau: float > 0 = 4.0" in shown
