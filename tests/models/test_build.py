"""How images reach a model: the matrix's word, the model's own way, the dataset's."""

from __future__ import annotations

import pytest
import torch

from bench.base.errors import BenchError
from bench.data.facts import Locations
from bench.matrix.cell import InputSpec, ModelSpec
from bench.matrix.matrix import load_matrix
from bench.matrix.settings import Settings
from bench.models.base import IMAGENET_MEAN, IMAGENET_STD
from bench.plan.build import build_spec
from bench.plan.groups import build_plan
from bench.train.batches import Views
from bench.train.setting import Setting
from tests.harness import run, write_matrix


def views(plan, *models):
    images = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    setting = Setting(plan.data.info, plan.task, torch.device("cpu"), lambda _: None, lambda _: None)
    made = Views(images, setting, channels_last=False)
    return images, [made.of(model) for model in models], made


def normalised(images, mean, std):
    return (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


def test_teacher_and_student_see_one_batch_each_in_its_own_way(tmp_path):
    pairs = [
        {
            "teacher": {"name": "net_large", "input": {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7], "bgr": True}},
            "student": "net_small",
        }
    ]
    plan = build_plan(load_matrix(str(write_matrix(tmp_path, pairs=pairs))), Settings(results=tmp_path / "r"))
    cell = next(planned.cell for planned in plan.cells if planned.cell.teacher)
    teacher, student = (build_spec(spec, 3) for spec in (cell.teacher, cell.student))
    images, (for_teacher, for_student), made = views(plan, teacher, student)
    expected = normalised(images, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)).flip(1)
    torch.testing.assert_close(for_teacher, expected)
    torch.testing.assert_close(for_student, normalised(images, (0.2,) * 3, (0.2,) * 3))
    assert made.of(build_spec(cell.student, 3)) is for_student  # one view for all that want the same


def test_the_teacher_that_is_trained_first_prepares_images_alike(tmp_path):
    teacher = {"name": "net_large", "input": {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]}}
    plan = run(
        write_matrix(tmp_path, pairs=[{"teacher": teacher, "student": "net_small"}], methods=["none", "kd"]),
        tmp_path / "results",
    )
    (trained,) = plan.teachers
    assert trained.cell.student.input == InputSpec(mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    assert {planned.state for planned in plan.cells} == {"done"}


def test_imagenet_stands_for_the_dataset_where_the_matrix_says_so(tmp_path):
    path = write_matrix(tmp_path, dataset={"name": "shapes", "normalization": "imagenet"})
    plan = build_plan(load_matrix(str(path)), Settings(results=tmp_path / "r"))
    own = build_plan(load_matrix(str(write_matrix(tmp_path, "own"))), Settings(results=tmp_path / "r"))
    assert (plan.data.info.mean, plan.data.info.std) == (IMAGENET_MEAN, IMAGENET_STD)
    assert own.data.info.mean == (0.2,) * 3
    assert plan.cells[0].cell.key != own.cells[0].cell.key
    model = build_spec(plan.cells[0].cell.student, 3)
    images, (seen,), _ = views(plan, model)
    torch.testing.assert_close(seen, normalised(images, IMAGENET_MEAN, IMAGENET_STD))


def test_what_is_not_given_stays_as_the_model_has_it():
    plain = build_spec(ModelSpec(name="espnet", options={"normalization": "espnet_camvid"}), 4)
    changed = build_spec(
        ModelSpec(name="espnet", options={"normalization": "espnet_camvid"}, input=InputSpec(bgr=False)), 4
    )
    assert (plain.bgr, changed.bgr) == (True, False)
    assert changed.mean == plain.mean


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"mean": [123, 116, 103]}, "less than or equal to 1"),
        ({"std": [0.2, 0.0, 0.2]}, "above 0"),
        ({"means": [0, 0, 0]}, "Did you mean 'mean'"),
    ],
)
def test_a_wrong_preparation_is_told_with_its_line(tmp_path, given, sentence):
    pairs = [{"teacher": "net_large", "student": {"name": "net_small", "input": given}}]
    with pytest.raises(BenchError, match=rf"shapes.yaml:\d+: pairs\[0\].student.input.*{sentence}"):
        load_matrix(str(write_matrix(tmp_path, pairs=pairs)))


def test_a_path_is_looked_up_here_and_beside_the_matrix(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "beside" / "data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    locations = Locations(tmp_path / "cache", base=tmp_path / "beside")
    assert locations.find("data") == tmp_path / "beside" / "data"
    (tmp_path / "here" / "data").mkdir()
    assert locations.find("data").resolve() == tmp_path / "here" / "data"
    assert locations.find(str(tmp_path / "beside")) == tmp_path / "beside"
