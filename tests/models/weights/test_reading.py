from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from bench.base.errors import BenchError
from bench.base.registry import discover
from bench.models.base import build_model
from bench.models.weights.reading import load_into, read_weights, require_finite, require_fit, save_weights

pytestmark = pytest.mark.filterwarnings("ignore:Detected pickle protocol")

STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.tensor([1.0, 2.0])}


def refused(path: Path) -> str:
    with pytest.raises(BenchError) as caught:
        read_weights(path)
    assert len(caught.value.problems) == 1
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{path.parent}/", "")


def same(weights: dict[str, torch.Tensor]) -> bool:
    return set(weights) == set(STATE) and all(torch.equal(weights[name], STATE[name]) for name in STATE)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state, "optimizer": {"lr": 1.0}},
        lambda state: {"model": {"state_dict": state}},
        lambda state: {"state_dict": {"model": state}},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {"net": {f"module.{name}": tensor for name, tensor in state.items()}},
    ],
)
def test_common_wrappings_are_taken_off(tmp_path: Path, wrap: Callable[[Any], Any]) -> None:
    torch.save(wrap(STATE), tmp_path / "w.pth")
    assert same(read_weights(tmp_path / "w.pth"))


def test_a_name_that_only_some_tensors_begin_with_is_no_wrapping(tmp_path: Path) -> None:
    torch.save({"module.a": STATE["bias"], "b": STATE["bias"]}, tmp_path / "w.pth")
    assert set(read_weights(tmp_path / "w.pth")) == {"module.a", "b"}


def test_a_tensor_may_be_called_like_a_wrapping(tmp_path: Path) -> None:
    torch.save({"model": STATE["weight"], "net": STATE["bias"]}, tmp_path / "w.pth")
    assert set(read_weights(tmp_path / "w.pth")) == {"model", "net"}


def test_a_checkpoint_that_holds_itself_ends(tmp_path: Path) -> None:
    content: dict[str, Any] = {}
    content["model"] = content
    torch.save(content, tmp_path / "w.pth")
    assert refused(tmp_path / "w.pth") == "w.pth holds no state dict of tensors; it has the top keys model"


def test_safetensors(tmp_path: Path) -> None:
    safetensors.torch.save_file(STATE, tmp_path / "w.safetensors")
    assert same(read_weights(tmp_path / "w.safetensors"))


def test_absent(tmp_path: Path) -> None:
    assert refused(tmp_path / "w.pth") == "weights not found: w.pth"
    assert refused(tmp_path) == f"weights not found: {tmp_path.name}"


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_an_error_page_saved_as_weights(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"w.{suffix}"
    path.write_text("<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n")
    assert refused(path).startswith(f"w.{suffix} ")


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_weights_cut_anywhere(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"w.{suffix}"
    torch.save(STATE, path) if suffix == "pth" else safetensors.torch.save_file(STATE, path)
    content = path.read_bytes()
    for length in range(0, len(content) - 1, max(1, len(content) // 60)):
        path.write_bytes(content[:length])
        assert f"w.{suffix}" in refused(path)


def test_a_truncated_checkpoint_tells_its_size(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(STATE, path)
    path.write_bytes(path.read_bytes()[:700])
    message = refused(path)
    assert message.startswith("w.pth is not a readable checkpoint (700 bytes): ")
    assert message.endswith(" Download it again.")


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x02.", b"hello", b"\x80\x04\x95\xff", b"cbuiltins\nlist\n.", bytes(64)]
)
def test_other_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    assert "w.pth" in refused(tmp_path / "w.pth")


class Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, save: Callable[[Any, Path], object]) -> None:
    path, mark = tmp_path / "w.pth", tmp_path / "mark"
    save({**STATE, "extra": Touch(mark)}, path)
    told = refused(path)
    # the first name depends on the pickle's protocol
    assert re.match(r"w\.pth asks to run (builtins\.getattr|pathlib\.Path\.touch) when it is opened, which no", told)
    assert "python -c" not in told
    assert not mark.exists()


@pytest.mark.parametrize("content", [{}, [], {"a": 1}, {"state_dict": {}}, {"a": STATE["bias"], "b": "text"}])
def test_no_state_dict(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "w.pth")
    keys = f"; it has the top keys {', '.join(content)}" if content else ""
    assert refused(tmp_path / "w.pth") == f"w.pth holds no state dict of tensors{keys}"


def test_weights_load_into_a_model(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "w.pth")
    model = nn.Linear(3, 2)
    load_into(model, read_weights(tmp_path / "w.pth"), "w.pth")
    assert same(model.state_dict())


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_every_mismatch_is_told_and_nothing_is_half_loaded(device: str) -> None:
    model = nn.Sequential(nn.Linear(3, 2, device=device), nn.Linear(2, 5, device=device))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    weights = {
        "0.weight": torch.zeros(2, 3),
        "1.weight": torch.zeros(19, 2),
        "1.bias": torch.zeros(19),
        "x": torch.ones(1),
    }
    with pytest.raises(BenchError) as caught:
        require_fit(model, weights, "w.pth")
    assert str(caught.value) == (
        "w.pth does not fit the model: 1 missing: 0.bias; 1 unexpected: x; 2 of another shape: "
        "1.bias: (19,) in the file, (5,) in the model, 1.weight: (19, 2) in the file, (5, 2) in the model"
    )
    with pytest.raises(BenchError, match="does not fit"):
        load_into(model, weights, "w.pth")
    if device == "cpu":
        assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_long_list_of_names_is_cut() -> None:
    with pytest.raises(BenchError, match=r"8 missing: 0\.bias, 0\.weight, 1\.bias, 1\.weight, 2\.bias, \.\.\.$"):
        require_fit(nn.Sequential(*(nn.Linear(1, 1) for _ in range(4))), {}, "w.pth")


def test_saved_weights_come_back(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 1).to(memory_format=torch.channels_last), nn.BatchNorm2d(2))
    save_weights(model, tmp_path / "w.safetensors")
    other = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
    load_into(other, read_weights(tmp_path / "w.safetensors"), "w")
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_a_module_with_two_names_can_be_saved(tmp_path: Path) -> None:
    model = nn.Module()
    model.encoder = nn.Linear(3, 2)
    model.backbone = model.encoder
    save_weights(model, tmp_path / "w.safetensors")
    load_into(model, read_weights(tmp_path / "w.safetensors"), "w")


class Norms(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.BatchNorm2d(2), nn.SyncBatchNorm(2)


@pytest.mark.parametrize("whole", [nn.BatchNorm2d(2), Norms()])
def test_batches_that_were_not_counted_are_no_fault_as_they_are_none_to_torch(whole: nn.Module) -> None:
    weights = {
        name: value + 1 for name, value in whole.state_dict().items() if not name.endswith("num_batches_tracked")
    }
    reference, model = copy.deepcopy(whole), copy.deepcopy(whole)
    reference.load_state_dict(dict(weights))
    load_into(model, weights, "w.pth")
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in reference.state_dict().items())
    weights.pop(next(name for name in weights if name.endswith("running_mean")))
    with pytest.raises(BenchError, match=r"1 missing: .*running_mean"):
        load_into(model, weights, "w.pth")


def test_two_models_under_one_roof_are_named() -> None:
    model = nn.Linear(3, 2)
    weights = {f"{part}.{name}": value for part in ("teacher", "student") for name, value in STATE.items()}
    with pytest.raises(BenchError, match=r"names that begin with 'teacher\.' and 'student\.' are several such models"):
        load_into(model, weights, "w.pth")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_parameters_that_are_not_finite_are_refused(value: float) -> None:
    model = nn.BatchNorm2d(2)
    weights = {**model.state_dict(), "weight": torch.tensor([1.0, value])}
    with pytest.raises(BenchError, match="w holds numbers that are not finite: weight"):
        require_finite(model, weights, "w")
    model.register_buffer("mask", torch.tensor([-torch.inf]))
    require_finite(model, model.state_dict(), "w")


def test_weights_of_another_number_of_classes_say_so(tmp_path):
    discover()
    donor, model = (build_model("tiny_fpn_8", count, {}) for count in (7, 3))
    save_weights(donor, tmp_path / "w.safetensors")
    with pytest.raises(BenchError) as caught:
        load_into(model, read_weights(tmp_path / "w.safetensors"), "w.safetensors")
    assert str(caught.value).endswith("It was trained for 7 classes, 3 are wanted")
    other = build_model("tiny_fpn_12", 3, {})
    with pytest.raises(BenchError) as caught:
        load_into(other, read_weights(tmp_path / "w.safetensors"), "w.safetensors")
    assert "trained for" not in str(caught.value)
