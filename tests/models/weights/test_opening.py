"""What is said of a file that holds more than tensors, or is none of torch's; nothing of it is run."""

from __future__ import annotations

import argparse
import os
import pickle
import shlex
import subprocess
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from bench.base.errors import BenchError
from bench.models.weights.opening import opened
from bench.models.weights.reading import read_weights

STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.tensor([1.0, 2.0])}


def linear() -> nn.Module:
    model = nn.Linear(3, 2)
    model.load_state_dict(STATE)
    return model


def refused(path: Path) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BenchError) as caught:
            opened(path)
    (told,) = caught.value.problems
    assert told.isprintable()
    assert "weights_only" not in told.partition("python -c")[0], "it is torch's word"
    return told


def save_zip(content: Any, path: Path) -> None:
    torch.save(content, path)


def save_legacy(content: Any, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def save_pickle(content: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(content))


@pytest.mark.parametrize("save", [save_zip, save_legacy, save_pickle])
@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: {"state_dict": STATE, "best": np.float64(0.5)}, ".multiarray.scalar, numpy.dtype"),
        (lambda: {"state_dict": STATE, "args": argparse.Namespace(lr=1)}, "argparse.Namespace"),
        (lambda: {"model": STATE, "paths": [Path("x")]}, "pathlib.PosixPath"),
        (lambda: {"epoch": 1, "net": {"state_dict": STATE}, "meta": defaultdict(list)}, "collections.defaultdict"),
        (lambda: {"state_dict_ema": STATE, "args": argparse.Namespace()}, "argparse.Namespace"),
        (linear, "the whole model torch.nn.modules.linear.Linear"),
        (lambda: {"model": linear(), "epoch": 1}, "torch.nn.modules.linear.Linear"),
        (lambda: {"state_dict": STATE, "optimizer": torch.optim.SGD(linear().parameters())}, "torch.optim.sgd.SGD"),
    ],
)
def test_what_a_file_needs_is_named_and_the_line_that_is_given_saves_its_tensors(
    tmp_path: Path, save: Callable[[Any, Path], None], make: Callable[[], Any], named: str
) -> None:
    path = tmp_path / "w.pth"
    save(make(), path)
    told = refused(path)
    assert told.startswith(f"{path} holds more than tensors: ")
    assert named in told
    command = shlex.split(told[told.index("python -c ") :])
    exec(command[2], {})
    (saved,) = set(tmp_path.iterdir()) - {path}
    found = read_weights(saved)
    assert set(found) == set(STATE)
    assert all(torch.equal(found[name], STATE[name]) for name in STATE)


@pytest.mark.parametrize("name", ["it's.pth", 'a "b" $HOME.pth', "a\\b.pth"])
def test_the_line_is_right_for_names_that_a_shell_would_change(tmp_path: Path, name: str) -> None:
    save_zip({"state_dict": STATE, "args": argparse.Namespace()}, tmp_path / name)
    with pytest.raises(BenchError) as caught:
        opened(tmp_path / name)
    command = str(caught.value)[str(caught.value).index("python -c ") :]
    code = shlex.split(command)[2]
    exec(code, {})
    assert len(list(tmp_path.iterdir())) == 2


class Call:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


@pytest.mark.parametrize("save", [save_zip, save_legacy, save_pickle])
@pytest.mark.parametrize("function", [os.system, eval, exec, os.rename, subprocess.Popen])
def test_what_runs_code_is_not_run_and_no_way_to_run_it_is_given(
    tmp_path: Path, save: Callable[[Any, Path], None], function: Any
) -> None:
    mark = tmp_path / "mark"
    text = f"open({str(mark)!r}, 'w')" if function in (eval, exec) else f"touch {mark}"
    save({**STATE, "extra": Call(function, text)}, tmp_path / "w.pth")
    told = refused(tmp_path / "w.pth")
    assert "asks to run" in told
    assert function.__name__ in told
    assert "python -c" not in told
    assert not mark.exists()


class Renamed:
    """Stands for an object whose name holds what a terminal obeys."""


def test_names_are_shown_without_what_a_terminal_obeys(tmp_path: Path) -> None:
    content = pickle.dumps(Renamed(), protocol=2).replace(b"Renamed", b"Re\x1b[31md")
    (tmp_path / "w.pth").write_bytes(content)
    assert "Re [31md" in refused(tmp_path / "w.pth")


def test_a_pickle_that_makes_up_sizes_takes_no_memory(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"\x80\x02cargparse\nNamespace\nr\xff\xff\xff\x7f.")
    assert "argparse.Namespace" in refused(tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is empty"),
        (b"\n<!DOCTYPE html><html>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (b"PK\x03\x04" + bytes(50), "its archive is damaged or cut short"),
        (b"\x80\x02}q\x00", "its pickle is damaged or cut short"),
        (b"hello", "its bytes are neither torch's nor those of safetensors"),
        ((100).to_bytes(8, "little") + b"{}", "its end is missing or its header is damaged"),
    ],
)
def test_what_is_no_checkpoint_is_told_in_words(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    message = refused(tmp_path / "w.pth")
    assert message.startswith(f"{tmp_path / 'w.pth'} is not a readable checkpoint ({len(content)} bytes): ")
    assert told in message


def test_a_program_is_told_from_weights(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(linear(), torch.zeros(1, 3)), tmp_path / "w.pt")
    told = refused(tmp_path / "w.pt")
    assert "is a program of TorchScript, and was not opened" in told
    exec(shlex.split(told[told.index("python -c ") :])[2], {})
    assert set(read_weights(tmp_path / "w-tensors.pth")) == set(STATE)


def test_safetensors_are_known_by_their_bytes(tmp_path: Path) -> None:
    safetensors.torch.save_file(STATE, tmp_path / "w.pth")
    assert set(read_weights(tmp_path / "w.pth")) == set(STATE)
