"""Values and gradients of the official implementations, in float64 and float32, and the command that runs any file."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.goldens.__main__ import main
from tests.goldens.case import NotOffered, mismatches
from tests.goldens.load_golden import load

FOLDER = Path(__file__).parent.parent / "goldens"
CASES: list[dict[str, Any]] = [case for path in sorted(FOLDER.glob("*.json")) for case in load(path)]
NOT_OFFERED = {
    "bcd-06": "needs a teacher's head that is fitted before distillation",
    "bcd-09": "needs a teacher's head that is fitted before distillation",
    "dist-07": "over the images of the batch",
}


def offered() -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in CASES if case["id"] not in NOT_OFFERED]


@pytest.mark.parametrize("case", offered())
def test_float64_reproduces_loss_terms_and_gradients(case):
    assert mismatches(case) == []


@pytest.mark.parametrize("case", offered())
def test_float32_is_within_1e_4(case):
    assert mismatches(case, torch.float32, rtol=1e-4) == []


@pytest.mark.parametrize("name", NOT_OFFERED)
def test_what_is_not_offered_says_why(name):
    (case,) = (case for case in CASES if case["id"] == name)
    with pytest.raises(NotOffered, match=NOT_OFFERED[name]):
        mismatches(case)


def test_every_file_is_there():
    assert len(CASES) == 109
    assert len({case["method"] for case in CASES}) == 17


def altered(name: str, change: Any) -> dict[str, Any]:
    case = copy.deepcopy(next(case for case in CASES if case["id"] == name))
    change(case)
    return case


def test_the_command_prints_a_line_a_case_and_fails_on_a_mismatch(tmp_path, capsys):
    def nudge_loss(case: dict[str, Any]) -> None:
        case["outputs"]["loss"] *= 1 + 1e-5

    def nudge_gradient(case: dict[str, Any]) -> None:
        case["outputs"]["grads"]["student"]["flat_values"][0] += 1e-5

    def unknown_variant(case: dict[str, Any]) -> None:
        case["variant"] = "kd_other"

    def unknown_method(case: dict[str, Any]) -> None:
        case["method"] = "other"

    def too_hot(case: dict[str, Any]) -> None:
        case["params"]["temperature"] = -1.0

    changes = [lambda case: None, nudge_loss, nudge_gradient, unknown_variant, unknown_method, too_hot]
    path = tmp_path / "cases.json"
    path.write_text(json.dumps([altered("kd-01", change) for change in changes]))
    assert main([str(path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines[:-1]] == [
        "kd-01 passed",
        "kd-01 failed",
        "kd-01 failed",
        "kd-01 not offered",
        "kd-01 not offered",
        "kd-01 failed",
    ]
    assert lines[-1] == "1 passed, 3 failed, 2 not offered"


def test_a_file_that_is_none_is_told_without_a_traceback(tmp_path):
    path = tmp_path / "cases.json"
    path.write_text("{")
    command = [sys.executable, "-m", "tests.goldens", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=FOLDER.parent.parent)
    assert done.returncode == 2
    assert "cannot be read as a golden file" in done.stderr
    assert "Traceback" not in done.stderr
