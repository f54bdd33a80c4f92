"""What is taken off a checkpoint, what is chosen of it, and what is said of both."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.models.weights.published import renamed
from bench.models.weights.reading import read_weights
from bench.models.weights.wrapping import Unwrapped, shared_prefixes, unwrapped

FILE = Path("w.pth")
STATE = {"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(2), "b.weight": torch.ones(1, 2), "b.bias": torch.zeros(1)}


def under(prefix: str, state: Mapping[str, Tensor] = STATE) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def model() -> nn.Module:
    made = nn.Module()
    made.a, made.b = nn.Linear(3, 2), nn.Linear(2, 1)
    return made


def read(content: Any) -> Unwrapped:
    found = unwrapped(content, FILE)
    assert set(found.tensors) == set(STATE)
    return found


def taken(prefix: str) -> str:
    return f"'{prefix}' was taken off the names of its tensors"


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        (STATE, ()),
        ({"state_dict": STATE, "epoch": 1}, ()),
        (under("module."), (taken("module."),)),
        (under("_orig_mod."), (taken("_orig_mod."),)),
        (under("module._orig_mod."), (taken("module._orig_mod."),)),
        (under("_fsdp_wrapped_module._orig_mod."), (taken("_fsdp_wrapped_module._orig_mod."),)),
        ({name.replace(".", "._orig_mod."): tensor for name, tensor in STATE.items()}, (taken("_orig_mod."),)),
        (
            {"n_averaged": torch.tensor(3), **under("module.")},
            (taken("module."), "'n_averaged' of an average of weights is left out"),
        ),
        (
            {"state_dict_ema": STATE, "epoch": 1},
            ("the weights under 'state_dict_ema' are taken, of its top keys state_dict_ema, epoch",),
        ),
        (
            {"state_dict": STATE, "state_dict_ema": {}, "model_ema": under("x."), "epoch": 1},
            ("the weights under 'state_dict' are taken, of its top keys state_dict, state_dict_ema, model_ema, epoch",),
        ),
        (
            {"model": STATE, "optimizer": {"state": {0: {"step": torch.ones(1)}}}, "rng": {"cpu": torch.ones(1)}},
            ("the weights under 'model' are taken, of its top keys model, optimizer, rng",),
        ),
        (
            {"checkpoint": {"model": STATE}},
            ("the weights under 'checkpoint'.'model' are taken, of its top keys checkpoint",),
        ),
    ],
)
def test_wrappings_are_taken_off_and_told(content: Any, notes: tuple[str, ...]) -> None:
    assert read(content).notes == notes


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"student": STATE, "teacher": STATE, "epoch": 1}, ("student", "teacher")),
        ({"G": STATE, "D": under("x.")}, ("G", "D")),
        ({"state_dict": STATE, "model": STATE}, ("state_dict", "model")),
        ({"ema": {"model": STATE}, "swa": STATE}, ("ema", "swa")),
    ],
)
def test_several_state_dicts_of_which_none_is_the_usual_one_are_listed(
    tmp_path: Path, content: dict[str, Any], named: tuple[str, ...]
) -> None:
    path = tmp_path / "w.pth"
    torch.save(content, path)
    with pytest.raises(BenchError) as caught:
        read_weights(path)
    told = str(caught.value)
    assert told.startswith(f"{path} holds several state dicts, under ")
    assert f"top keys {', '.join(content)}. " in told
    assert all(f"'{name}'" in told for name in named)
    exec(shlex.split(told[told.index("python -c ") :])[2], {})
    (saved,) = set(tmp_path.iterdir()) - {path}
    assert set(read_weights(saved)) == set(STATE)


def test_names_that_would_become_one_are_left_as_they_are() -> None:
    names = {"a._orig_mod.weight", "a.weight"}
    found = unwrapped(dict.fromkeys(names, torch.ones(1)), FILE)
    assert (set(found.tensors), found.notes) == (names, ())


def test_tensors_that_no_model_loads_are_told() -> None:
    with pytest.raises(BenchError, match="the tensor 'a' is sparse or quantised"):
        unwrapped({"a": torch.ones(2, 2).to_sparse()}, FILE)


def test_prefixes_that_all_names_share() -> None:
    assert list(shared_prefixes(["a.b.c", "a.b.d.e"])) == ["", "a.", "a.b."]
    assert list(shared_prefixes(["a", "a.b"])) == [""]
    assert list(shared_prefixes([])) == [""]


@pytest.mark.parametrize("prefix", ["model.", "net.", "model.student.", "anything.at.all."])
def test_any_prefix_that_all_names_share_is_taken_off_and_told(prefix: str) -> None:
    found = renamed(model(), under(prefix))
    assert set(found.weights) == set(STATE)
    assert found.notes == (taken(prefix),)


def test_a_prefix_that_the_model_has_as_well_stays() -> None:
    whole = nn.Module()
    whole.net = model()
    weights = under("net.")
    assert renamed(whole, weights).weights is weights
    found = renamed(whole, under("model.net."))
    assert (set(found.weights), found.notes) == (set(weights), (taken("model."),))


def test_a_part_that_is_the_whole_model_is_taken_from_beside_a_loss_and_told() -> None:
    found = renamed(model(), {**under("model.net."), "criterion.weight": torch.ones(3), "steps": torch.ones(1)})
    assert set(found.weights) == set(STATE)
    assert found.notes == ("of its tensors those under 'model.net.' are taken, not criterion.weight, steps",)


def test_two_parts_that_are_the_model_are_not_chosen_from() -> None:
    weights = {**under("teacher."), **under("student.")}
    found = renamed(model(), weights)
    assert (found.weights, found.notes) == (weights, ())
