"""``strength`` multiplies all that a method adds, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.matrix.matrix import load_matrix
from bench.matrix.settings import Settings
from bench.plan.groups import build_plan
from bench.store.folders import HISTORY
from tests.harness import BASE, PLUGINS, run, weights, write_matrix

OWN = """
from bench.method import Method, methods


@methods.register("has_its_own")
class HasItsOwn(Method):
    '''A strength of another meaning.'''

    def __init__(self, pair, *, strength: float = 3.0):
        super().__init__(pair)
        self.strength = strength

    def forward(self, student, teacher, batch, step):
        return {"own": self.strength * student.logits.square().mean()}
"""


def ids(path: Path) -> dict[str, str]:
    plan = build_plan(load_matrix(str(path)), Settings(results=path.parent / "results"))
    return {planned.cell.method.label: planned.cell.id for planned in plan.cells}


def test_it_is_part_of_the_key_only_where_it_is_not_1(tmp_path):
    plain = ids(write_matrix(tmp_path, methods=["none", "kd", "kd+cwd"]))
    swept = [{"name": "kd", "strength": [0.5, 1, 2]}, {"name": "kd+cwd", "strength": [1.0, 0]}]
    given = ids(write_matrix(tmp_path, methods=["none", *swept]))
    assert set(given) == {
        *("none", "kd (strength=0.5)", "kd", "kd (strength=2)"),
        *("kd+cwd", "kd+cwd (strength=0)"),
    }
    assert {label: given[label] for label in plain} == plain
    assert len(set(given.values())) == 6


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ({"name": "kd", "strength": -0.1}, "greater than or equal to 0"),
        ({"name": "kd", "strength": "strong"}, "strength: input should be a valid number"),
        ({"name": "kd", "strength": True}, "should be a number"),
        ({"name": "kd", "strength": []}, "an empty list leaves no value to train with"),
        ({"name": "kd", "strenght": 2}, "unknown key 'strenght'. Did you mean 'strength'?"),
        ({"name": "kd", "strength": [1, 1.0]}, "kd stands twice with the same hyperparameters"),
    ],
)
def test_a_wrong_one_is_refused_with_its_line(tmp_path, method, told):
    path = write_matrix(tmp_path, methods=["none", method])
    with pytest.raises(BenchError) as caught:
        load_matrix(str(path))
    assert any(told in problem and f"{path}:" in problem for problem in caught.value.problems), caught.value.problems


def test_the_baseline_has_none(tmp_path):
    with pytest.raises(BenchError, match="unknown key 'strength'"):
        load_matrix(str(write_matrix(tmp_path, methods=[{"name": "none", "strength": 2}, "kd"])))


def test_all_added_terms_are_multiplied_and_the_task_loss_is_not(tmp_path):
    recipe = {**BASE["recipe"], "iterations": 2, "log_every": 1}
    choices = ["none", {"name": "response", "strength": [0, 1, 0.5]}, {"name": "kd+cwd", "strength": [1, 3]}]
    plan = run(write_matrix(tmp_path, methods=choices, recipe=recipe), tmp_path / "results")
    first = {
        planned.cell.method.label: json.loads((plan.run.cell(planned.cell.id).path / HISTORY).read_text())["steps"][0]
        for planned in plan.cells
    }
    terms = {label: entry["terms"] for label, entry in first.items()}
    for one, other, factor in (
        ("response", "response (strength=0.5)", 0.5),
        ("response", "response (strength=0)", 0),
        ("kd+cwd", "kd+cwd (strength=3)", 3),
    ):
        assert set(terms[one]) == set(terms[other])
        assert terms[other]["ce"] == terms[one]["ce"]
        added = set(terms[one]) - {"ce"}
        assert added
        assert {name: terms[other][name] for name in added} == pytest.approx(
            {name: factor * terms[one][name] for name in added}
        )


def test_with_strength_0_a_student_ends_as_the_baseline(tmp_path):
    plan = run(write_matrix(tmp_path, methods=["none", {"name": "kd", "strength": 0}]), tmp_path / "results")
    none, kd = weights(plan.run).values()
    assert none == kd


def test_a_plugin_with_an_option_of_that_name_keeps_its_meaning(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    plugins = [str(PLUGINS / "shapes.py"), str(tmp_path / "own.py")]
    recipe = {**BASE["recipe"], "iterations": 1, "log_every": 1}
    methods = ["none", {"name": "has_its_own", "strength": [1.0, 2.0]}]
    path = write_matrix(tmp_path, methods=methods, plugins=plugins, recipe=recipe)
    plan = run(path, tmp_path / "results")
    assert {planned.state for planned in plan.cells} == {"done"}
    terms = {
        planned.cell.method.params.get("strength"): json.loads(
            (plan.run.cell(planned.cell.id).path / HISTORY).read_text()
        )["steps"][0]["terms"]
        for planned in plan.cells
    }
    assert terms[2.0]["own"] == pytest.approx(2 * terms[1.0]["own"])
