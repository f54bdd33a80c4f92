"""Lockstep: companions do not matter, failures stay with their cell, costs and outputs are as stated."""

from __future__ import annotations

import itertools
import json
import re

import pytest
import torch

from bench.store.folders import HISTORY
from bench.tasks.segmentation.counts import Counts
from tests.disk import full_disk
from tests.harness import BASE, records, run, weights, write_matrix

GROUP = ["none", "kd", "cwd", "stateful"]


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    return run(write_matrix(folder, methods=GROUP), folder / "results")


@pytest.mark.parametrize("method", GROUP)
def test_a_cell_alone_and_in_a_group_of_four_ends_with_the_same_bits(tmp_path, together, method):
    alone = tmp_path / "alone.yaml"
    path = write_matrix(tmp_path, "alone", methods=GROUP, include=[{"method": method}])
    assert path == alone
    plan = run(path, tmp_path / "results")
    assert len(plan.cells) == 1
    assert weights(plan.run)[method, 0] == weights(together.run)[method, 0]


def test_methods_end_with_different_weights(together):
    found = weights(together.run)
    assert set(found) == {(name, 0) for name in GROUP}
    assert all(a != b for a, b in itertools.combinations(found.values(), 2))


def test_a_raising_and_a_diverging_cell_are_recorded_and_their_companions_do_not_notice(tmp_path, together):
    plan = run(write_matrix(tmp_path, methods=["none", "explodes", "kd", "raises", "cwd"]), tmp_path / "results")
    for method in ("none", "kd", "cwd"):
        assert weights(plan.run)[method, 0] == weights(together.run)[method, 0]
    found = records(plan.run)
    state, failure = found["raises"]
    assert state == "failed"
    assert "RuntimeError: broken on purpose" in failure["reason"]
    assert failure["iteration"] == 5
    assert "faulty.py" in failure["traceback"]
    state, failure = found["explodes"]
    assert state == "diverged"
    assert failure["iteration"] == 4
    assert failure["terms"]["explodes"] is None  # not a number, and JSON has none
    assert failure["terms"]["ce"] > 0
    states = {planned.cell.method.label: planned.state for planned in plan.cells}
    assert states == {"none": "done", "explodes": "diverged", "kd": "done", "raises": "failed", "cwd": "done"}


def test_a_method_without_teacher_has_its_terms_in_the_loss_whoever_trains_beside_it(tmp_path, together):
    beside = run(write_matrix(tmp_path, "beside", methods=["none", "kd", "alone"]), tmp_path / "results")
    apart = run(write_matrix(tmp_path, "apart", methods=["none", "alone"]), tmp_path / "results")
    state, record = records(beside.run)["alone"]
    assert state == "done"
    assert record["terms"] == ["ce", "alone"]
    assert weights(beside.run)["alone", 0] == weights(apart.run)["alone", 0]
    assert weights(beside.run)["alone", 0] != weights(together.run)["none", 0]


def test_a_failed_cell_is_tried_again_a_diverged_one_is_kept(tmp_path):
    path = write_matrix(tmp_path, methods=["none", "explodes", "raises"])
    before = run(path, tmp_path / "results")
    stamps = {folder.cell_id: folder.path.stat().st_mtime_ns for folder in before.run.cells()}
    again = run(path, tmp_path / "results")
    touched = {
        folder.config()["cell"]["method"]["name"]
        for folder in again.run.cells()
        if folder.path.stat().st_mtime_ns != stamps[folder.cell_id]
    }
    assert touched == {"raises"}


def test_a_finished_cell_is_never_trained_again_unless_asked(tmp_path):
    path = write_matrix(tmp_path)
    first = run(path, tmp_path / "results")
    stamps = {folder.cell_id: (folder.path / "result.json").stat().st_mtime_ns for folder in first.run.cells()}
    run(path, tmp_path / "results")
    assert stamps == {f.cell_id: (f.path / "result.json").stat().st_mtime_ns for f in first.run.cells()}
    run(path, tmp_path / "results", retrain=("*.kd.*",))
    again = {f.cell_id for f in first.run.cells() if (f.path / "result.json").stat().st_mtime_ns != stamps[f.cell_id]}
    assert len(again) == 1
    assert ".kd." in again.pop()
    assert len(list((first.run.path / "superseded").iterdir())) == 1


def test_the_teacher_is_trained_once_and_shared_by_seeds_and_matrices(tmp_path):
    first = run(write_matrix(tmp_path, seeds=[0, 1]), tmp_path / "results")
    (teacher,) = first.teachers_run.cells()
    stamp = (teacher.path / "result.json").stat().st_mtime_ns
    run(write_matrix(tmp_path, "other", methods=["none", "cwd"]), tmp_path / "results")
    assert [folder.cell_id for folder in first.teachers_run.cells()] == [teacher.cell_id]
    assert (teacher.path / "result.json").stat().st_mtime_ns == stamp


def test_a_result_tells_cost_terms_efficiency_and_teacher(together):
    found = records(together.run)
    _, none = found["none"]
    _, stateful = found["stateful"]
    assert none["teacher"] is None
    assert none["cost"]["teacher_s"] == 0
    assert stateful["cost"]["teacher_s"] > 0
    cost = stateful["cost"]
    assert cost["train_s"] == pytest.approx(cost["teacher_s"] + cost["step_s"])
    assert stateful["terms"] == ["ce", "feature"]
    assert stateful["cost"]["method_params"] == 4 * 16 + 16
    assert stateful["efficiency"]["params"] == none["efficiency"]["params"] == 4 * 27 + 4 + 8 + 4 * 3 + 3
    assert stateful["teacher"]["name"] == "net_large"
    assert stateful["teacher"]["metrics"]["miou"] > 0


def test_the_stored_student_has_no_adapters_and_counts_give_the_scores_again(together):
    from safetensors.torch import load_file

    from bench.tasks.segmentation.scores import scores

    for folder in together.run.cells():
        _, record = folder.state()
        names = load_file(folder.path / "student.safetensors")
        assert not any("adapter" in name for name in names)
        counts = Counts.load(folder.path / "counts.npz")
        assert counts.n_images == 8
        assert scores(counts.total(), list(record["metrics"]["iou"]), counts.boundary_total()) == record["metrics"]
        assert counts.total().sum() == 8 * 30 * 30  # the border of one pixel is ignored


def test_same_seed_same_start_whatever_the_method(tmp_path):
    """With a method of weight zero the student's training is that of the baseline, bit for bit."""
    plan = run(write_matrix(tmp_path, methods=["none", {"name": "kd", "weight": 0.0}]), tmp_path / "results")
    none, kd = weights(plan.run).values()
    assert none == kd


def test_results_are_the_same_on_any_number_of_workers(tmp_path, together):
    plan = run(write_matrix(tmp_path, methods=GROUP), tmp_path / "results", workers=2)
    assert weights(plan.run) == weights(together.run)


def test_clipping_bf16_and_sgd_train(tmp_path):
    recipe = {
        **BASE["recipe"],
        "precision": "bf16-mixed",
        "clip_grad_norm": 1.0,
        "optimizer": {"name": "sgd", "lr": 0.1},
    }
    plan = run(write_matrix(tmp_path, recipe=recipe, methods=["none", "kd", "stateful"]), tmp_path / "results")
    assert {planned.state for planned in plan.cells} == {"done"}


def test_a_teacher_from_a_weights_file_is_used_and_scored(tmp_path, together):
    (teacher,) = together.teachers_run.cells()
    pair = {
        "teacher": {"name": "net_large", "weights": str(teacher.path / "student.safetensors")},
        "student": "net_small",
    }
    plan = run(write_matrix(tmp_path, pairs=[pair]), tmp_path / "results")
    assert plan.teachers == ()
    assert weights(plan.run)["kd", 0] == weights(together.run)["kd", 0]
    _, record = records(plan.run)["kd"]
    assert record["teacher"]["metrics"] == records(together.run)["kd"][1]["teacher"]["metrics"]


@pytest.mark.parametrize("file", ["checkpoint.pt", "student.safetensors"])
def test_no_disk_space_fails_the_cell_and_keeps_the_others(tmp_path, monkeypatch, together, file):
    """The disk fills inside a write: torch hides what the system said behind a fault of its own."""
    with monkeypatch.context() as patch:
        full_disk(patch, lambda path: path.name.startswith(f".{file}.") and ".kd." in str(path))
        plan = run(write_matrix(tmp_path), tmp_path / "results", checkpoint_seconds=0)
    state, failure = records(plan.run)["kd"]
    assert state == "failed"
    free_and_needed = (
        r"no disk space for .*: \d+\.\d MiB free, \d+\.\d MiB needed\. Free some, or choose another --results"
    )
    assert re.match(free_and_needed, failure["reason"])
    assert "enforce fail" not in failure["reason"]
    assert weights(plan.run)["cwd", 0] == weights(together.run)["cwd", 0]
    plan = run(write_matrix(tmp_path), tmp_path / "results")
    assert weights(plan.run)["kd", 0] == weights(together.run)["kd", 0]


def test_the_teacher_gets_no_gradient_and_keeps_its_buffers(tmp_path, monkeypatch):
    from bench.train.lockstep import LockstepGroup

    seen = {}
    original = LockstepGroup.run

    def watched(self):
        before = {k: v.clone() for k, v in self.teacher.state_dict().items()} if self.teacher else {}
        original(self)
        if self.teacher:
            seen["same"] = all(torch.equal(before[k], v) for k, v in self.teacher.state_dict().items())
            seen["grad"] = any(p.grad is not None for p in self.teacher.parameters())

    monkeypatch.setattr(LockstepGroup, "run", watched)
    run(write_matrix(tmp_path), tmp_path / "results")
    assert seen == {"same": True, "grad": False}


def test_a_failing_teacher_takes_only_its_listeners_with_it(tmp_path, together):
    pairs = [{"teacher": "net_tired", "student": "net_small"}]
    plan = run(write_matrix(tmp_path, pairs=pairs), tmp_path / "results")
    found = records(plan.run)
    assert weights(plan.run) == {("none", 0): weights(together.run)["none", 0]}
    for method in ("kd", "cwd"):
        state, failure = found[method]
        assert (state, failure["iteration"], failure["reason"]) == ("failed", 3, "RuntimeError: tired")


def test_a_teacher_that_cannot_be_loaded_takes_only_its_listeners_with_it(tmp_path, monkeypatch, together):
    from bench.train import teacher as local

    def out_of_memory(*_):
        raise MemoryError("no room for the teacher")

    path = write_matrix(tmp_path)
    run(path, tmp_path / "results")
    monkeypatch.setattr(local, "load_into", out_of_memory)
    plan = run(path, tmp_path / "results", retrain=("*-net_small.*", "*.net_small.none.*"))
    assert weights(plan.run) == {("none", 0): weights(together.run)["none", 0]}
    assert records(plan.run)["kd"][1]["reason"] == "MemoryError: no room for the teacher"


def test_a_cell_that_is_trained_again_no_longer_counts_as_failed(tmp_path, monkeypatch):
    """While it trains, and if it is then killed, the failure of the time before is not told any more."""
    path = write_matrix(tmp_path, methods=["none", "raises"])
    plan = run(path, tmp_path / "results")
    assert records(plan.run)["raises"][0] == "failed"
    from bench.train.lockstep import LockstepGroup

    seen = []
    monkeypatch.setattr(LockstepGroup, "run", lambda self: seen.append(records(plan.run)["raises"][0]))
    run(path, tmp_path / "results")
    assert seen == ["planned"]


def test_a_broken_efficiency_file_is_measured_again(tmp_path):
    path = write_matrix(tmp_path, methods=["none"])
    plan = run(path, tmp_path / "results")
    (stored,) = (plan.run.path / "efficiency").iterdir()
    stored.write_text("{")
    run(path, tmp_path / "results", retrain=("*",))
    assert "params" in stored.read_text()


def test_the_result_carries_the_digest_of_the_data_that_it_was_made_with(together):
    for _, record in records(together.run).values():
        assert record["provenance"]["dataset"].startswith("shapes-")


@pytest.mark.parametrize("change", [{"evaluations": 1}, {"evaluations": 12}, {"log_every": 1}])
def test_what_is_not_in_the_key_does_not_move_a_weight(tmp_path, together, change):
    plan = run(write_matrix(tmp_path, methods=GROUP, recipe={**BASE["recipe"], **change}), tmp_path / "results")
    assert {planned.cell.key for planned in plan.cells} == {planned.cell.key for planned in together.cells}
    assert weights(plan.run) == weights(together.run)


def test_checkpoints_do_not_move_a_weight(tmp_path, together):
    plan = run(write_matrix(tmp_path, methods=GROUP), tmp_path / "results", checkpoint_seconds=0)
    assert weights(plan.run) == weights(together.run)


def test_the_history_has_the_scores_and_terms_asked_for(together):
    import json

    for folder in together.run.cells():
        history = json.loads((folder.path / "history.json").read_text())
        _, record = folder.state()
        assert [entry["iteration"] for entry in history["steps"]] == [3, 6, 9, 12]
        assert [entry["iteration"] for entry in history["evals"]] == [6, 12]
        assert history["evals"][-1]["miou"] == record["metrics"]["miou"]
        assert all(set(entry["terms"]) == set(record["terms"]) for entry in history["steps"])


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize("what", ["logits", "embedding", "images", "target"])
def test_a_method_that_writes_into_what_all_share_harms_itself_alone(tmp_path, together, what, raises):
    vandal = {"name": "vandal", "what": what, "raises": raises}
    plan = run(write_matrix(tmp_path, methods=["none", vandal, "kd", "cwd", "stateful"]), tmp_path / "results")
    assert weights(plan.run) == weights(together.run)
    (failed,) = (planned for planned in plan.cells if planned.state == "failed")
    if raises:
        assert "broken after the damage" in failed.reason
    elif what == "target":
        assert "modified by an inplace operation" in failed.reason  # its own backward needs the labels, and torch tells
    else:
        assert "in place, which its companions share" in failed.reason


def test_the_weight_that_a_method_gives_the_task_loss_is_applied(tmp_path):
    recipe = {**BASE["recipe"], "iterations": 2, "log_every": 1}
    choices = ["none", {"name": "response", "alpha": 0.75}]
    plan = run(write_matrix(tmp_path, methods=choices, recipe=recipe), tmp_path / "results")
    first = {
        folder.config()["cell"]["method"]["name"]: json.loads((folder.path / HISTORY).read_text())["steps"][0]["terms"]
        for folder in plan.run.cells()
    }
    assert first["response"]["ce"] == pytest.approx(0.25 * first["none"]["ce"])
