"""Whatever is written into a matrix, the plan is made or refused with sentences, and no file is written elsewhere."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.command import Command, command_line
from tests.harness import BASE
from tests.mutations import damaged, spoiled

WHOLE = {
    **BASE,
    "name": "mutant",
    "pairs": [
        {
            "teacher": {"name": "net_large", "width": 16, "expected": {"miou": 50, "tolerance": 2}},
            "student": {"name": "net_small", "dropout": 0.1, "input": {"mean": [0.5, 0.5, 0.5]}},
        }
    ],
    "dataset": {"name": "shapes", "n_train": 32, "eval_split": "val", "normalization": "dataset"},
    "methods": ["none", "cwd", {"name": "kd", "tau": [1, 4]}, {"name": "kd+cwd", "kd": {"tau": 2}}],
    "include": [{"method": ["none", "kd*", "cwd"]}],
    "teacher_recipe": {"iterations": 4},
}
FAST = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    call = command_line(monkeypatch, capsys, "plan", "--matrix")
    return lambda path: call(str(path), "--results", str(tmp_path / "results"))


def require_told(plan: Command, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mutant.yaml"
    path.write_bytes(content)
    ended = plan(path)
    assert ended.code in (0, 2), ended
    if ended.code:
        assert ended.err.startswith("error: "), ended
    assert {one.name for one in tmp_path.iterdir()} <= {"mutant.yaml", "results"}


def text_of(tree: object) -> bytes:
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True).encode()


def test_the_matrix_that_is_mutated_is_a_good_one(plan: Command, tmp_path: Path) -> None:
    path = tmp_path / "whole.yaml"
    path.write_bytes(text_of(WHOLE))
    assert plan(path).code == 0


@FAST
@given(tree=spoiled(WHOLE))
def test_values_of_another_kind(plan: Command, tmp_path: Path, tree: object) -> None:
    require_told(plan, tmp_path, text_of(tree))


@FAST
@given(content=damaged(text_of(WHOLE)))
def test_bytes_that_are_cut_or_changed(plan: Command, tmp_path: Path, content: bytes) -> None:
    require_told(plan, tmp_path, content)


@FAST
@given(
    key=st.sampled_from(
        ["recipe.iterations", "recipe.optimizer.lr", "seeds", "methods", "name", "pairs[0].student", "x"]
    ),
    value=st.one_of(st.text(max_size=20), st.integers(), st.floats(), st.sampled_from(["[", "{a: ", "&a [*a]", "!!x"])),
)
def test_values_given_on_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, key: str, value: object
) -> None:
    path = tmp_path / "mutant.yaml"
    path.write_bytes(text_of(WHOLE))
    shown = f"{value:g}" if isinstance(value, float) and math.isfinite(value) else str(value)
    call = command_line(monkeypatch, capsys, "plan", "--matrix")
    assert call(str(path), "--results", str(tmp_path / "results"), "--set", f"{key}={shown}").code in (0, 2)
