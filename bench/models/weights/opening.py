"""Opening a file of weights: nothing that it holds is run, and what it is instead is told in words."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from bench.base.errors import BenchError
from bench.base.text import one_line
from bench.models.weights.outline import Inert, InertTensor, Outline, is_program, outline
from bench.models.weights.saving import program_line, saving_line
from bench.models.weights.wrapping import USUAL, chosen, state_dicts

_SHOWN_NAMES = 4
_BEGINNINGS = {
    b"": "it is empty",
    b"version https://git-lfs": "it is a pointer of Git LFS: run git lfs pull where it comes from",
    b"<": "it is a web page",
    b"PK": "its archive is damaged or cut short",
    b"\x80": "its pickle is damaged or cut short",
}
"""What is wrong with a file that cannot be read, by its first bytes."""


def is_safetensors(path: Path) -> bool:
    """Tell whether a file is of safetensors, by its name or by its first bytes."""
    return path.suffix == ".safetensors" or _begins_as_safetensors(path)


def _begins_as_safetensors(path: Path) -> bool:
    """Tell whether a file begins with the length of a header, and the header."""
    with path.open("rb") as file:
        beginning = file.read(9)
    return len(beginning) == 9 and beginning[8:] == b"{" and int.from_bytes(beginning[:8], "little") < 2**27


def opened(path: Path) -> Any:
    """Return what a ``.safetensors`` file or a torch checkpoint holds, on the CPU.

    Raises:
        BenchError: absent, truncated, not weights, or a file that wants to run code.
    """
    if not path.is_file():
        raise BenchError(f"weights not found: {path}")
    try:
        if is_safetensors(path):
            return safetensors.torch.load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch tells of odd files what is told here in words
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BenchError(_needs_more(path)) from error
    except Exception as error:  # damaged bytes raise whatever the unpickler stumbles over, IndexError among others
        raise BenchError(_unreadable(path)) from error


def _needs_more(path: Path) -> str:
    """Return which objects besides tensors a checkpoint holds, and how its tensors are had."""
    found = outline(path)
    if found is None or not found.needed:
        return _unreadable(path)
    if found.running:
        return (
            f"{path} asks to run {_listed(found.running)} when it is opened, which no weights need. It was not opened: "
            "do not open it by other means unless you know why it does so."
        )
    line, whole = _line(path, found), isinstance(found.content, Inert)
    told = f"the whole model {_listed((found.content.name,))}" if whole else _listed(found.needed)
    return f"{path} holds more than tensors: {told}. It was not opened, since that could run code. " + (
        f"Where you trust its author, save its tensors alone: {line}" if line else "Ask its author for a state dict."
    )


def _line(path: Path, found: Outline) -> str:
    """Return the command that saves the tensors alone; empty where it is not known where they are."""
    content = found.content
    if isinstance(content, Inert):
        return saving_line(path, module=True, bare=found.bare)
    place = chosen(list(state_dicts(content, lambda item: isinstance(item, InertTensor))))
    if place is not None:
        return saving_line(path, place, bare=found.bare)
    models = [key for key in USUAL if isinstance(content, dict) and isinstance(content.get(key), Inert)]
    return saving_line(path, (models[0],), module=True, bare=found.bare) if models else ""


def _listed(names: tuple[str, ...]) -> str:
    shown = [one_line(name, 80) for name in names[:_SHOWN_NAMES]]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")


def _unreadable(path: Path) -> str:
    if is_program(path):
        return (
            f"{path} is a program of TorchScript, and was not opened. Where you trust its author, save its tensors "
            f"alone: {program_line(path)}"
        )
    size = path.stat().st_size
    with path.open("rb") as file:
        beginning = file.read(64).lstrip()
    reasons = [reason for magic, reason in _BEGINNINGS.items() if (beginning.startswith(magic) if magic else not size)]
    if _begins_as_safetensors(path):
        reasons = ["its end is missing or its header is damaged"]
    reason = reasons[0] if reasons else "its bytes are neither torch's nor those of safetensors"
    return f"{path} is not a readable checkpoint ({size} bytes): {reason}. Download it again."
