"""Batches of one image for models whose batch norm needs more: told in the plan, not in the middle of a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import BenchError
from bench.models import base
from tests.conftest import SHAPES, MatrixFile
from tests.plan.test_plan import planned, problems

POOLED = """
import torch
import torch.nn.functional as F
from torch import nn
from bench.method import Outputs
from bench.models.base import SegmentationModel, students, teachers


class Pooled(SegmentationModel):
    def __init__(self, num_classes, side, only_in_training=False, looks=False):
        super().__init__()
        self.body, self.head = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, num_classes, 1)
        self.side, self.only_in_training, self.looks = side, only_in_training, looks

    def forward(self, images):
        feature = self.body(images)
        if self.training or not self.only_in_training:
            pooled = F.adaptive_avg_pool2d(feature, self.side)
            pooled = F.batch_norm(pooled, torch.zeros(4), torch.ones(4), training=self.training)
            feature = feature + F.interpolate(pooled, feature.shape[-2:])
        if self.looks and len(images) and float(feature.abs().max()) < 0:
            raise RuntimeError
        return Outputs(self.head(feature), feature, (feature,), model=self)


@students.register("pooled")
def pooled(num_classes: int, *, side: int = 1, only_in_training: bool = False, looks: bool = False) -> Pooled:
    '''Pools to some pixels before a batch norm that is no module.'''
    return Pooled(num_classes, side, only_in_training, looks)


@teachers.register("pooled_teacher")
def pooled_teacher(num_classes: int) -> Pooled:
    '''The same, larger in name.'''
    return Pooled(num_classes, 1)
"""
ONE = "{iterations: 2, batch_size: 1, augment: {crop: 32}}"
TWO = ONE.replace("batch_size: 1", "batch_size: 2")


def pooled_matrix(matrix_file: MatrixFile, student: str = "pooled", teacher: str = "net_large", **lines: str) -> Path:
    path = matrix_file(
        **{
            "recipe": ONE,
            "pairs": f"[{{teacher: {teacher}, student: {student}}}]",
            "plugins": f"[{SHAPES}, pooled.py]",
            **lines,
        }
    )
    path.with_name("pooled.py").write_text(POOLED)
    return path


@pytest.mark.parametrize("options", ["", ", only_in_training: true", ", looks: true"])
def test_a_batch_norm_behind_pooling_to_one_pixel_is_refused(matrix_file: MatrixFile, options: str) -> None:
    path = pooled_matrix(matrix_file, f"{{name: pooled{options}}}")
    assert problems(path) == [
        "m.yaml: recipe.batch_size: 'pooled' cannot be trained on batches of one image, as a batch norm of it sees one "
        "value a channel (Expected more than 1 value per channel when training, got input size "
        "torch.Size([1, 4, 1, 1])). Set recipe.batch_size to 2 or more, or choose another model."
    ]


def test_a_teacher_that_is_trained_here_counts_with_its_own_recipe(matrix_file: MatrixFile) -> None:
    path = pooled_matrix(matrix_file, "net_small", "pooled_teacher", recipe=TWO, teacher_recipe="{batch_size: 1}")
    (note,) = planned(path).notes
    assert "m.yaml: teacher_recipe.batch_size: 'pooled_teacher' cannot be trained on batches of one" in note
    assert note.endswith("Cells that listen to it will fail.")
    (problem,) = problems(path, "methods=[kd]", no_baseline=True)
    assert problem.startswith("m.yaml: teacher_recipe.batch_size: 'pooled_teacher' cannot be trained on batches of one")
    assert len(planned(path, "teacher_recipe.batch_size=2").teachers) == 1
    assert planned(path, "methods=[none]").teachers == ()  # nobody listens to it


def test_all_such_models_are_told_at_once(matrix_file: MatrixFile) -> None:
    with pytest.raises(BenchError) as caught:
        planned(pooled_matrix(matrix_file, "pooled", "pooled_teacher"))
    assert [problem.split("'")[1] for problem in caught.value.problems] == ["pooled", "pooled_teacher"]


def test_what_can_be_trained_is_planned(matrix_file: MatrixFile) -> None:
    assert planned(pooled_matrix(matrix_file, "{name: pooled, side: 2}")).cells
    assert planned(pooled_matrix(matrix_file, "net_small")).cells
    assert planned(pooled_matrix(matrix_file, recipe=TWO)).cells


def test_larger_batches_cost_no_trial(matrix_file: MatrixFile, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    original = base._run_copy

    def counting(model: Any, batch_size: int, size: Any, device: str, *, training: bool = False) -> object:
        tried.extend([device] * training)
        return original(model, batch_size, size, device, training=training)

    monkeypatch.setattr(base, "_run_copy", counting)
    planned(pooled_matrix(matrix_file, recipe=TWO, seeds="[0, 1, 2]"))
    assert tried == []
    planned(pooled_matrix(matrix_file, "net_small", seeds="[0, 1, 2]"))
    assert tried == ["cpu"] * 2, "student and teacher, once each; the meta device, which is slow to come, is not asked"


def test_a_registered_pspnet_is_refused_on_batches_of_one(matrix_file: MatrixFile) -> None:
    path = matrix_file(recipe=ONE, pairs="[{teacher: net_large, student: {name: pspnet_r18_cirkd, pretrained: false}}]")
    assert [problem.split("'")[1] for problem in problems(path)] == ["pspnet_r18_cirkd"]


def test_other_pairs_are_planned_beside_one_that_cannot_be_trained(matrix_file: MatrixFile) -> None:
    pairs = "[{teacher: net_large, student: pooled}, {teacher: net_large, student: net_small}]"
    plan = planned(pooled_matrix(matrix_file, pairs=pairs))
    states = {(item.cell.student.name, item.state) for item in plan.cells}
    assert states == {("pooled", "skipped"), ("net_small", "planned")}
    assert all("cannot be trained on batches of one image" in item.reason for item in plan.cells if item.reason)
