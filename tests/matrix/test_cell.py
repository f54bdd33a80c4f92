from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from bench.data.feed.augment import Augment
from bench.matrix import cell as cells
from bench.matrix.cell import Cell, DatasetSpec, InputSpec, MethodSpec, ModelSpec, TeacherSpec
from bench.matrix.recipe import NOT_IN_KEY, Recipe, recipe_for
from bench.tasks.segmentation.settings import Evaluation

CELL = Cell(
    dataset=DatasetSpec(name="shapes", options={"size": 32}),
    teacher=TeacherSpec(name="large", options={"width": 16}, trained_by="ab" * 32),
    student=ModelSpec(name="small", options={"width": 4}),
    method=MethodSpec(name="kd", params={"tau": 1.0}, label="kd"),
    seed=0,
    recipe=recipe_for()(
        iterations=100, augment=Augment(crop=(32, 32), scale=(0.5, 2.0)), evaluation=Evaluation(window=(32, 32))
    ),
)

MUTATIONS: dict[str, Any] = {
    "dataset.name": "others",
    "dataset.options": {"size": 64},
    "dataset.train_split": "trainval",
    "dataset.eval_split": "test",
    "dataset.normalization": "imagenet",
    "dataset.shared_images": "allowed",
    "teacher.name": "larger",
    "teacher.options": {"width": 32},
    "teacher.weights_sha256": "cd" * 32,
    "teacher.trained_by": "cd" * 32,
    "teacher.input": InputSpec(bgr=True),
    "student.name": "smaller",
    "student.options": {"width": 2},
    "student.weights_sha256": "cd" * 32,
    "student.input": InputSpec(mean=(0.5, 0.5, 0.5)),
    "method.name": "cwd",
    "method.params": {"tau": 2.0},
    "seed": 1,
    "recipe.iterations": 101,
    "recipe.batch_size": 8,
    "recipe.optimizer.name": "sgd",
    "recipe.optimizer.lr": 2e-3,
    "recipe.optimizer.weight_decay": 0.0,
    "recipe.optimizer.momentum": 0.8,
    "recipe.schedule.name": "one_cycle",
    "recipe.schedule.power": 1.0,
    "recipe.schedule.warmup": 0.1,
    "recipe.augment.short_side": 64,
    "recipe.augment.scale": (0.5, 1.5),
    "recipe.augment.scale_step": 0.1,
    "recipe.augment.distort": 0.5,
    "recipe.augment.crop": (64, 64),
    "recipe.augment.shift": 2,
    "recipe.augment.flip": 0.5,
    "recipe.augment.jitter": 0.1,
    "recipe.precision": "bf16-mixed",
    "recipe.clip_grad_norm": 1.0,
    "recipe.auxiliary_weight": 0.4,
    "recipe.align_corners": True,
    "recipe.channels_last": False,
    "recipe.eval_batch_size": 4,
    "recipe.evaluation.window": (64, 64),
    "recipe.evaluation.stride": (16, 16),
    "recipe.evaluation.short_side": 64,
    "recipe.evaluation.scales": (0.5, 1.0),
    "recipe.evaluation.flip": True,
}
"""Another value for every field that may move a score."""

ONE_VALUE = {"recipe.checkpoint_rule"}
"""Fields with a single permitted value, which cannot be mutated."""

EXCLUDED: dict[str, Any] = {
    "dataset.paths": {"images": "elsewhere"},
    "method.label": "KD",
    "recipe.evaluations": 9,
    "recipe.log_every": 9,
}


def changed(model: Any, path: str, value: Any) -> Any:
    """Return the model built anew with one field changed."""
    name, _, rest = path.partition(".")
    fields = {field: getattr(model, field) for field in type(model).model_fields}
    return type(model)(**{**fields, name: changed(fields[name], rest, value) if rest else value})


def leaves(model: Any, prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name in type(model).model_fields:
        value = getattr(model, name)
        found |= leaves(value, f"{prefix}{name}.") if isinstance(value, BaseModel) else {f"{prefix}{name}"}
    return found


def test_every_field_is_mutated_or_excluded() -> None:
    assert leaves(CELL) == set(MUTATIONS) | set(EXCLUDED) | ONE_VALUE
    assert {f"recipe.{name}" for name in NOT_IN_KEY} < set(EXCLUDED)


@pytest.mark.parametrize("path", sorted(MUTATIONS))
def test_a_field_that_may_move_the_score_changes_the_key(path: str) -> None:
    assert changed(CELL, path, MUTATIONS[path]).key != CELL.key


def test_no_two_mutations_share_a_key() -> None:
    keys = {changed(CELL, path, value).key for path, value in MUTATIONS.items()}
    assert len(keys | {CELL.key}) == len(MUTATIONS) + 1


@pytest.mark.parametrize("path", sorted(EXCLUDED))
def test_a_field_that_cannot_move_the_score_leaves_the_key(path: str) -> None:
    assert changed(CELL, path, EXCLUDED[path]).key == CELL.key


def test_shared_images_are_recorded_only_where_they_are_allowed() -> None:
    assert "shared_images" not in CELL.record()["dataset"]
    allowed = changed(CELL, "dataset.shared_images", "allowed").record()
    assert allowed["dataset"]["shared_images"] == "allowed"
    assert Cell.model_validate(allowed).dataset.shared_images == "allowed"


def test_the_checkpoint_rule_takes_part_in_the_key() -> None:
    assert "checkpoint_rule" in CELL.recipe.key_fields()


def test_no_teacher_is_another_cell() -> None:
    assert changed(CELL, "teacher", None).key != CELL.key


def test_a_change_of_the_harness_numerics_changes_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = CELL.key
    monkeypatch.setattr(cells, "NUMERICS", cells.NUMERICS + 1)
    assert changed(CELL, "seed", CELL.seed).key != before


def test_the_key_does_not_depend_on_how_numbers_and_options_are_written() -> None:
    augment = {"crop": 32, "scale": ["0.5", 2]}
    recipe = recipe_for().model_validate(
        {"iterations": 100.0, "optimizer": {"lr": "1e-3"}, "augment": augment, "evaluation": {"window": 32}}
    )
    assert changed(CELL, "recipe", recipe).key == CELL.key
    one = DatasetSpec(name="shapes", options={"a": 1, "b": 2})
    other = DatasetSpec(name="shapes", options={"b": 2, "a": 1})
    assert changed(CELL, "dataset", one).key == changed(CELL, "dataset", other).key


def test_the_id_reads_well_and_ends_in_the_key() -> None:
    assert CELL.id == f"shapes.large-small.kd.s0.{CELL.key[:12]}"
    assert changed(CELL, "teacher", None).id.startswith("shapes.small.kd.s0.")


HOSTILE = [
    "a/b",
    "../../etc/passwd",
    "..",
    "a|b & c_d %$#{}~^\\",
    "kd (tau=2, weight=0.5)",
    "知識蒸留",
    "\U0001f600",
    "x" * 200,
    "=cmd()",
    "-rf",
    ".hidden",
    "nul\0byte",
    "line\nbreak",
    "",
    " ",
    "<script>",
    "con",
]


TEXTS = st.text(st.characters(codec="utf-8"))


def assert_safe(name: str, folder: Path) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_+.-]+", name)
    assert not name.startswith((".", "-"))
    assert len(name) <= 140
    assert (folder / name).resolve().parent == folder.resolve()


@pytest.mark.parametrize("label", HOSTILE)
def test_ids_of_hostile_labels_are_folder_names(label: str, tmp_path: Path) -> None:
    cell = changed(CELL, "method", MethodSpec(name=label, params={}, label=label))
    assert_safe(cell.id, tmp_path)
    (tmp_path / cell.id).mkdir()


@given(TEXTS, TEXTS, TEXTS)
def test_ids_of_any_text_are_folder_names(label: str, student: str, dataset: str) -> None:
    cell = changed(changed(CELL, "method.label", label), "student.name", student)
    assert_safe(changed(cell, "dataset.name", dataset).id, Path("/somewhere"))


def test_labels_that_look_alike_as_ids_stay_apart() -> None:
    ids = {changed(CELL, "method", MethodSpec(name=name, label=name)).id for name in ("a/b", "a|b", "a b")}
    assert len(ids) == 3


def test_the_record_is_the_cell() -> None:
    record = CELL.record()
    assert (record["id"], record["key"]) == (CELL.id, CELL.key)
    fields = {name: record[name] for name in Cell.model_fields}
    assert Cell.model_validate(fields) == CELL


@given(st.integers(1, 5000), st.integers(1, 60))
def test_evaluations_are_spread_and_end_with_the_last_iteration(iterations: int, evaluations: int) -> None:
    points = sorted(Recipe(iterations=iterations, evaluations=evaluations).evaluation_points())
    assert len(points) == min(evaluations, iterations)
    assert points[-1] == iterations
    assert points[0] >= 1
    gaps = [after - before for before, after in zip([0, *points], points, strict=False)]
    assert max(gaps) - min(gaps) <= 1 + (iterations < evaluations)
