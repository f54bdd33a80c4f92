from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bench.base.errors import BenchError
from bench.base.files import write_json
from bench.data.base import datasets
from bench.matrix.matrix import load_matrix
from bench.matrix.settings import Settings
from bench.models.base import build_model
from bench.models.weights.reading import save_weights
from bench.plan.groups import Plan, PlannedCell, build_plan
from bench.store.folders import CHECKPOINT, CONFIG, RESULT, STUDENT, CellFolder, RunFolder
from tests.conftest import SHAPES, MatrixFile
from tests.harness import run


def planned(path: Path, *overrides: str, no_baseline: bool = False, **settings: Any) -> Plan:
    settings.setdefault("results", path.parent / "results")
    return build_plan(load_matrix(str(path), overrides, no_baseline), Settings(**settings))


def problems(path: Path, *overrides: str, **settings: Any) -> list[str]:
    with pytest.raises(BenchError) as caught:
        planned(path, *overrides, **settings)
    return [problem.replace(f"{path.parent}/", "") for problem in caught.value.problems]


def rows(plan: Plan) -> list[tuple[str, int, str]]:
    return [(item.cell.method.label, item.cell.seed, item.state) for item in plan.cells]


def write_cell(run: RunFolder, item: PlannedCell, fingerprint: str = "shapes-{'train': 32, 'val': 8}-32") -> CellFolder:
    """Write the folder of a finished cell as a training run does."""
    folder = run.cell(item.cell.id)
    folder.path.mkdir(parents=True)
    provenance = {**item.provenance, "dataset": fingerprint}
    write_json(folder.path / CONFIG, {"cell": item.cell.record(), "provenance": provenance})
    save_weights(build_model(item.cell.student.name, 3, item.cell.student.options), folder.path / STUDENT)
    folder.finish({"cell": item.cell.record(), "status": "done", "metrics": {}})
    return folder


@pytest.fixture
def finished(matrix_file: MatrixFile) -> tuple[Path, Plan]:
    """A matrix of which the teacher and every cell are done."""
    path = matrix_file()
    plan = planned(path)
    for item in plan.teachers:
        write_cell(plan.teachers_run, item)
    plan = planned(path)
    for item in plan.cells:
        write_cell(plan.run, item)
    return path, planned(path)


def kd(plan: Plan) -> PlannedCell:
    return next(item for item in plan.cells if item.cell.method.name == "kd")


# --- cells and groups


def test_a_matrix_is_every_pair_seed_and_method(matrix_file: MatrixFile) -> None:
    plan = planned(matrix_file(methods="[none, {name: kd, tau: [1, 2]}]", seeds="[0, 7]"))
    wanted = [(label, seed, "planned") for seed in (0, 7) for label in ("none", "kd", "kd (tau=2)")]
    assert rows(plan) == wanted
    assert [item.cell.student.name for item in plan.teachers] == ["net_large"]
    assert all(item.to_train for item in (*plan.cells, *plan.teachers))


def test_cells_of_a_seed_train_together_with_their_teacher(matrix_file: MatrixFile) -> None:
    plan = planned(matrix_file(methods="[none, kd, cwd]", seeds="[0, 7]"))
    assert [[item.cell.method.label for item in group.cells] for group in plan.groups] == [["none", "kd", "cwd"]] * 2
    assert [{item.cell.seed for item in group.cells} for group in plan.groups] == [{0}, {7}]
    (teacher,) = plan.teachers
    assert {group.teacher.key for group in plan.groups if group.teacher} == {teacher.cell.key}
    assert plan.groups[1].name == "shapes, net_large -> net_small, seed 7"
    (teacher_group,) = plan.teacher_groups
    assert teacher_group.teacher is None
    assert teacher_group.name == "shapes, net_large, seed 0"


def test_the_baseline_of_two_pairs_with_one_student_is_one_cell(matrix_file: MatrixFile) -> None:
    pairs = "[{teacher: net_large, student: net_small}, {teacher: {name: net_large, width: 8}, student: net_small}]"
    plan = planned(matrix_file(pairs=pairs))
    assert [item.cell.method.name for item in plan.cells] == ["none", "kd", "kd"]
    assert len(plan.teachers) == 2
    assert [[item.cell.method.name for item in group.cells] for group in plan.groups] == [["none", "kd"], ["kd"]]
    ids = [item.cell.id for group in plan.groups for item in group.cells]
    assert sorted(ids) == sorted(item.cell.id for item in plan.cells)


def test_students_with_other_options_are_other_cells(matrix_file: MatrixFile) -> None:
    pairs = "[{teacher: net_large, student: net_small}, {teacher: net_large, student: {name: net_small, width: 6}}]"
    plan = planned(matrix_file(pairs=pairs))
    assert len({item.cell.key for item in plan.cells}) == 4
    assert [len(group.cells) for group in plan.groups] == [4]  # same batches, same teacher
    written_out = (
        "[{teacher: net_large, student: net_small}, {teacher: net_large, student: {name: net_small, width: 4}}]"
    )
    assert len(planned(matrix_file(pairs=written_out)).cells) == 2  # the default, written out


def test_baselines_alone_need_no_teacher(matrix_file: MatrixFile) -> None:
    plan = planned(matrix_file(methods="[none]"))
    assert plan.teachers == ()
    assert [group.teacher for group in plan.groups] == [None]


def test_the_teachers_recipe_and_seed_are_its_own(matrix_file: MatrixFile) -> None:
    path = matrix_file(teacher_recipe="{iterations: 5, optimizer: {lr: 0.5}}", teacher_seed="3")
    (teacher,) = planned(path).teachers
    assert (teacher.cell.recipe.iterations, teacher.cell.seed) == (5, 3)
    assert teacher.cell.recipe.optimizer.lr == 0.5
    assert teacher.cell.recipe.batch_size == 8
    (other,) = planned(path, "teacher_recipe.iterations=6").teachers
    assert other.cell.key != teacher.cell.key
    assert kd(planned(path)).cell.key != kd(planned(path, "teacher_recipe.iterations=6")).cell.key


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ({"include": "[{method: kd}]"}, ["kd", "kd", "kd (tau=2)", "kd (tau=2)"]),
        ({"include": "[{method: 'kd (tau=2)'}]"}, ["kd (tau=2)", "kd (tau=2)"]),
        (
            {"include": "[{seed: 7, method: [none, kd]}, {method: 'k*', seed: 0}]", "exclude": "[{method: 'kd (*'}]"},
            ["kd", "none", "kd"],
        ),
        ({"exclude": "[{seed: 0}]"}, ["none", "kd", "kd (tau=2)"]),
        ({"exclude": "[{student: net_*, method: k*}]"}, ["none", "none"]),
        ({"exclude": "[{teacher: net_*, seed: 0}]"}, ["none", "kd", "kd (tau=2)"]),
    ],
)
def test_filters(matrix_file: MatrixFile, filters: dict[str, str], left: list[str]) -> None:
    path = matrix_file(methods="[none, {name: kd, tau: [1, 2]}]", seeds="[0, 7]", **filters)
    assert sorted(row[0] for row in rows(planned(path))) == sorted(left)


def test_filters_that_leave_nothing_are_named(matrix_file: MatrixFile) -> None:
    assert problems(matrix_file(exclude="[{method: '*'}]")) == [
        "m.yaml: no cell is left after include and exclude: include=[], exclude=[{'method': '*'}]. Loosen one of them."
    ]
    assert "include[0]: {'method': 'nnoe'} fits no cell" in problems(matrix_file(include="[{method: nnoe}]"))[0]


# --- what cannot work


def test_more_cells_than_anybody_can_train_are_refused(matrix_file: MatrixFile) -> None:
    seeds = "[" + ", ".join(map(str, range(9000))) + "]"
    assert problems(matrix_file(seeds=seeds, methods="[none, kd]")) == [
        "m.yaml: pairs, seeds, methods (1 x 9000 x 2) stand for 18,000 cells, more than 10,000, which nobody can train"
    ]


def test_a_method_that_does_not_fit_a_pair_is_skipped_with_its_reason(matrix_file: MatrixFile) -> None:
    plan = planned(matrix_file(pairs="[{teacher: net_large, student: net_stride4}]"))
    reason = "kd compares logits of one size; strides are 4 (student) and 2 (teacher). "
    reason += "resize: teacher (or student) resizes one of them, which the paper does not"
    assert [(item.state, item.reason) for item in plan.cells] == [("planned", ""), ("skipped", reason)]
    assert not plan.cells[1].to_train
    assert [[item.cell.method.name for item in group.cells] for group in plan.groups] == [["none"]]
    assert plan.teachers == ()  # nobody would listen to it


def test_a_matrix_of_skipped_cells_is_refused(matrix_file: MatrixFile) -> None:
    path = matrix_file(pairs="[{teacher: net_large, student: net_stride4}]", methods="[kd, {name: kd, tau: 2}]")
    reason = "skipped: kd compares logits of one size; strides are 4 (student) and 2 (teacher). "
    reason += "resize: teacher (or student) resizes one of them, which the paper does not"
    assert problems(path, no_baseline=True) == [f"kd {reason}", f"kd (tau=2) {reason}"]


def test_a_teacher_of_other_classes_is_an_error(matrix_file: MatrixFile) -> None:
    assert problems(matrix_file(pairs="[{teacher: net_five, student: net_small}]")) == [
        "teacher 'net_five' gives 5 classes, dataset 'shapes' has 3: ground, disc, square"
    ]


def test_a_student_of_other_classes_is_an_error(matrix_file: MatrixFile) -> None:
    assert problems(matrix_file(pairs="[{teacher: net_large, student: net_five}]")) == [
        "student 'net_five' gives 5 classes, dataset 'shapes' has 3: ground, disc, square"
    ]


def test_options_that_a_builder_cannot_work_with_are_told_without_a_traceback(matrix_file: MatrixFile) -> None:
    (found,) = problems(matrix_file(pairs="[{teacher: net_large, student: {name: net_small, width: -1}}]"))
    assert found.startswith("model 'net_small' with {'width': -1, 'dropout': 0.2} and input 32x32 does not work: ")
    assert "\n" not in found


PLUGIN = """
from bench.method import Method, methods

@methods.register("picky")
class Picky(Method):
    def __init__(self, pair, *, depth: int = 1):
        super().__init__(pair)
        if depth > 1:
            raise IndexError("no such stage")

@methods.register("wrong_signature")
class WrongSignature(Method):
    def __init__(self, *, depth: int = 1):
        pass

@methods.register("no_method")
def no_method(pair):
    return pair
"""


def test_a_method_that_cannot_be_built_takes_out_only_its_own_cells(matrix_file: MatrixFile, tmp_path: Path) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text(PLUGIN)
    methods = "[none, kd, {name: picky, depth: [1, 2]}, wrong_signature, no_method]"
    plan = planned(matrix_file(methods=methods, plugins=f"[{SHAPES}, {plugin}]"))
    found = {item.cell.method.label: (item.state, item.reason) for item in plan.cells}
    assert found["none"] == found["kd"] == found["picky"] == ("planned", "")
    assert found["picky (depth=2)"] == (
        "skipped",
        f"'picky' ({plugin}:4) cannot be built: IndexError: no such stage ({plugin}:9)",
    )
    assert found["wrong_signature"][0] == "skipped"
    assert f"'wrong_signature' ({plugin}:11) cannot be built: TypeError: " in found["wrong_signature"][1]
    assert found["no_method"] == ("skipped", f"'no_method' ({plugin}:16) is no bench.method.Method")


@pytest.mark.parametrize("source", ["raise ValueError('on purpose')", "import sys\nsys.exit(3)", "def"])
def test_a_broken_plugin_disables_only_its_cells(matrix_file: MatrixFile, tmp_path: Path, source: str) -> None:
    (tmp_path / "broken.py").write_text(source)
    plan = planned(matrix_file(methods="[none, theirs, kd]", plugins=f"[{SHAPES}, broken.py]"))
    assert rows(plan) == [("none", 0, "planned"), ("theirs", 0, "skipped"), ("kd", 0, "planned")]
    assert f"plug-in {tmp_path / 'broken.py'} failed: " in plan.cells[1].reason


# --- weights


def test_weights_are_known_by_their_content(matrix_file: MatrixFile, tmp_path: Path) -> None:
    pairs = "[{{teacher: {{name: net_large, weights: {}}}, student: net_small}}]"
    path = matrix_file(pairs=pairs.format("here.safetensors"))  # beside the matrix
    save_weights(build_model("tiny_fpn_8", 3, {}), tmp_path / "here.safetensors")
    (found,) = problems(path)
    assert found.startswith("here.safetensors (model 'net_large') does not fit the model: ")
    save_weights(build_model("net_large", 3, {}), tmp_path / "here.safetensors")
    plan = planned(path)
    assert plan.teachers == ()
    assert list(plan.weights.values()) == [tmp_path / "here.safetensors"]
    (tmp_path / "there.safetensors").write_bytes((tmp_path / "here.safetensors").read_bytes())
    moved = planned(matrix_file(pairs=pairs.format(tmp_path / "there.safetensors")))
    assert kd(moved).cell.key == kd(plan).cell.key
    torch.manual_seed(1)
    save_weights(build_model("net_large", 3, {}), tmp_path / "there.safetensors")
    assert kd(planned(matrix_file(pairs=pairs.format("there.safetensors")))).cell.key != kd(plan).cell.key


@pytest.mark.parametrize("role", ["teacher", "student"])
def test_bad_weights_are_refused_before_anything_trains(matrix_file: MatrixFile, tmp_path: Path, role: str) -> None:
    names = {"teacher": "net_large", "student": "net_small"}
    models = {key: f"{{name: {name}, weights: w.pth}}" if key == role else name for key, name in names.items()}
    path = matrix_file(pairs=f"[{{teacher: {models['teacher']}, student: {models['student']}}}]")
    assert problems(path)[0].startswith("weights not found: w.pth (looked in the current folder and beside the matrix")
    (tmp_path / "w.pth").write_text("<html>404</html>")
    assert problems(path)[0] == "w.pth is not a readable checkpoint (16 bytes): it is a web page. Download it again."
    torch.save(build_model(names[role], 5, {}).state_dict(), tmp_path / "w.pth")
    (found,) = problems(path)
    assert found.startswith(
        f"w.pth (model '{names[role]}') does not fit the model: 2 of another shape: head.bias: (5,)"
    )
    torch.save(build_model(names[role], 3, {}).state_dict(), tmp_path / "w.pth")
    assert {item.state for item in planned(path).cells} == {"planned"}


# --- states


def test_everything_done(finished: tuple[Path, Plan]) -> None:
    _, plan = finished
    assert {item.state for item in (*plan.cells, *plan.teachers)} == {"done"}
    assert plan.groups == plan.teacher_groups == ()


def test_new_cells_join_what_is_done(finished: tuple[Path, Plan]) -> None:
    path, _ = finished
    plan = planned(path, "seeds=[0, 1]")
    assert [state for _, _, state in rows(plan)] == ["done", "done", "planned", "planned"]
    assert plan.teacher_groups == ()


def test_other_settings_and_labels_of_writing_train_nothing_anew(finished: tuple[Path, Plan]) -> None:
    path, _ = finished
    plan = planned(path, "recipe.evaluations=2", "recipe.log_every=1", device="mps", workers=3)
    assert {item.state for item in (*plan.cells, *plan.teachers)} == {"done"}


def test_a_corrupt_result_is_told_and_trained_again(finished: tuple[Path, Plan]) -> None:
    path, before = finished
    result = before.run.cell(kd(before).cell.id).path / RESULT
    result.write_bytes(result.read_bytes()[:40])
    item = kd(planned(path))
    assert (item.state, item.to_train) == ("corrupt", True)
    assert item.reason.startswith("result.json cannot be read: ")


def test_an_interrupted_and_a_failed_cell_train_again_and_a_diverged_one_does_not(finished: tuple[Path, Plan]) -> None:
    path, before = finished
    folder = before.run.cell(kd(before).cell.id)
    (folder.path / RESULT).unlink()
    (folder.path / CHECKPOINT).write_bytes(b"")
    assert (kd(planned(path)).state, kd(planned(path)).to_train) == ("interrupted", True)
    for state, to_train in (("failed", True), ("diverged", False)):
        folder.fail({"status": state, "reason": "because"})
        item = kd(planned(path))
        assert (item.state, item.reason, item.to_train) == (state, "because", to_train)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("method", "the method's code changed"),
        ("student", "the student's code changed"),
        ("teacher", "the teacher's code changed"),
        ("teacher_weights", "the teacher's weights changed"),
        ("torch", "torch 0 -> "),
        ("dataset", "the content of the dataset changed"),
    ],
)
def test_results_of_other_code_data_or_versions_are_stale(finished: tuple[Path, Plan], key: str, reason: str) -> None:
    path, before = finished
    folder = before.run.cell(kd(before).cell.id)
    config = folder.config()
    config["provenance"][key] = "0"
    write_json(folder.path / CONFIG, config)
    item = kd(planned(path))
    assert (item.state, item.to_train) == ("stale", True)
    assert item.reason.startswith(reason)
    accepted = kd(planned(path, accept_stale=True))
    assert (accepted.state, accepted.to_train) == ("done", False)


@pytest.mark.parametrize("content", [None, "", "[]", '{"provenance": null}', '{"provenance": [1]}'])
def test_a_result_without_its_provenance_is_stale(finished: tuple[Path, Plan], content: str | None) -> None:
    path, before = finished
    config = before.run.cell(kd(before).cell.id).path / CONFIG
    config.unlink() if content is None else config.write_text(content)
    item = kd(planned(path))
    assert (item.state, item.reason) == ("stale", "config.json does not tell by which code it was made")


def test_a_teacher_whose_weights_were_damaged_is_corrupt(finished: tuple[Path, Plan]) -> None:
    path, before = finished
    weights = before.teachers_run.cell(before.teachers[0].cell.id).path / STUDENT
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    (teacher,) = planned(path).teachers
    assert (teacher.state, teacher.reason) == (
        "corrupt",
        "student.safetensors does not match the digest in result.json",
    )
    again = planned(path, retrain=("*.net_large.none.*",)).teachers
    assert [teacher.to_train for teacher in again] == [True]
    weights.unlink()
    plan = planned(path)
    assert plan.teachers == (), "nobody waits for it: the students keep their results"
    assert {item.state for item in plan.cells} == {"done"}
    (teacher,) = planned(path, retrain=("*.kd.*",)).teachers
    assert (teacher.state, teacher.to_train) == ("corrupt", True)


def test_retrain_takes_the_cells_that_match(finished: tuple[Path, Plan]) -> None:
    path, _ = finished
    plan = planned(path, retrain=("*.kd.*",))
    assert rows(plan) == [("none", 0, "done"), ("kd", 0, "stale")]
    assert kd(plan).reason == "asked to train again"


def test_data_that_are_not_at_hand_make_nothing_stale(
    finished: tuple[Path, Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = finished
    loaded = load_matrix(str(path))

    def absent(self: Any, names: Any) -> None:
        raise BenchError("no such data")

    monkeypatch.setattr(datasets.get("shapes").builder, "require", absent)
    plan = build_plan(loaded, Settings(results=path.parent / "results"))
    assert {item.state for item in plan.cells} == {"done"}


def test_a_results_folder_that_is_a_file_holds_nothing(matrix_file: MatrixFile, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    plan = planned(matrix_file(), results=tmp_path / "file")
    assert {item.state for item in plan.cells} == {"planned"}


def test_planning_writes_nothing(matrix_file: MatrixFile, tmp_path: Path) -> None:
    planned(matrix_file())
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.yaml"]


@pytest.mark.parametrize("key", ["include", "exclude"])
def test_a_filter_that_fits_no_cell_is_refused(matrix_file, tmp_path, key):
    path = matrix_file(**{key: "[{method: kd, seed: 7}]"})
    with pytest.raises(BenchError, match=rf"{key}\[0\].*fits no cell"):
        build_plan(load_matrix(str(path)), Settings(results=tmp_path / "results"))


FOLDER = "{{name: folder, images: '{0}/images', masks: '{0}/masks', classes: [ground, disc], title: ducks{1}}}"


def _own_masks(folder: Path) -> Path:
    rng = np.random.RandomState(0)
    for index in range(6):
        for kind, shape, high in (("images", (32, 32, 3), 256), ("masks", (32, 32), 2)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.randint(0, high, shape).astype(np.uint8)).save(folder / kind / f"{index}.png")
    return folder


def test_moving_the_data_changes_no_key_and_trains_nothing_again(matrix_file: MatrixFile, tmp_path: Path) -> None:
    first = _own_masks(tmp_path / "here")
    lines = {"recipe": "{iterations: 2, batch_size: 2, augment: {crop: 32}}", "methods": "[none]"}
    path = matrix_file(dataset=FOLDER.format(first, ""), **lines)
    plan = run(path, tmp_path / "results")
    assert [item.state for item in plan.cells] == ["done"]
    second = first.rename(tmp_path / "there")
    again = build_plan(
        load_matrix(str(matrix_file(dataset=FOLDER.format(second, ""), **lines))),
        Settings(results=tmp_path / "results"),
    )
    assert [item.cell.key for item in again.cells] == [item.cell.key for item in plan.cells]
    assert [item.state for item in again.cells] == ["done"]
    record = json.dumps(again.cells[0].cell.record())
    assert "here" not in record
    assert "there" not in record
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(second / "masks" / "0.png")
    changed = build_plan(load_matrix(str(path.with_name("m.yaml"))), Settings(results=tmp_path / "results"))
    assert [(item.state, item.reason) for item in changed.cells] == [("stale", "the content of the dataset changed")]


@pytest.mark.parametrize(
    ("split", "sentence"),
    [("eval_split: train", "'train' is trained on"), ("eval_split: tset", "unknown split of folder 'tset'")],
)
def test_splits_that_only_the_files_tell_are_checked_before_anything_trains(
    matrix_file: MatrixFile, tmp_path: Path, split: str, sentence: str
) -> None:
    path = matrix_file(dataset=FOLDER.format(_own_masks(tmp_path / "d"), f", {split}"), recipe="{iterations: 2}")
    with pytest.raises(BenchError, match=sentence):
        build_plan(load_matrix(str(path)), Settings(results=tmp_path / "results"))
