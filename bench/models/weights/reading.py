"""Reading weights safely: no code is run, nothing is half loaded, every mismatch is told in words."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.base.files import write_bytes

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")


def save_weights(model: nn.Module, path: Path) -> str:
    """Write a model's parameters and buffers as safetensors, atomically; return the digest of the file."""
    # clones, since safetensors refuses tensors that share memory, as those of a module with two names do
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    payload = safetensors.torch.save(tensors)
    return write_bytes(path, payload)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a ``.safetensors`` file or a torch checkpoint without running code from it.

    Common wrappings (``state_dict``, ``model``, a ``module.`` prefix) are taken off.

    Returns:
        Tensors of any shape by name, on the CPU.

    Raises:
        BenchError: absent, truncated, not weights, or a file that wants to run code.
    """
    if not path.is_file():
        raise BenchError(f"weights not found: {path}")
    try:
        if path.suffix == ".safetensors":
            content: Any = safetensors.torch.load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BenchError(
            f"{path} holds more than tensors, or is no checkpoint, and was not opened: {_first(error)}"
        ) from error
    except Exception as error:  # damaged bytes raise whatever the unpickler stumbles over, IndexError among others
        raise BenchError(
            f"{path} is not a readable checkpoint ({path.stat().st_size} bytes): {_first(error)}. Download it again."
        ) from error
    return _unwrapped(content, path)


def load_into(model: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Load strictly.

    Args:
        model: receives the weights.
        weights: tensors by name, of any shape.
        source: named in messages.

    Raises:
        BenchError: names or shapes differ; lists them.
    """
    require_fit(model, weights, source)
    model.load_state_dict(dict(weights))


def require_fit(model: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Refuse weights that :func:`load_into` could not load.

    Args:
        model: is to receive the weights; it may stand on the meta device.
        weights: tensors by name, of any shape.
        source: named in messages.

    Raises:
        BenchError: names or shapes differ; lists them.
    """
    own = model.state_dict()
    missing = sorted(set(own) - set(weights))
    unexpected = sorted(set(weights) - set(own))
    shapes = [
        f"{name}: {tuple(weights[name].shape)} in the file, {tuple(own[name].shape)} in the model"
        for name in sorted(set(own) & set(weights))
        if weights[name].shape != own[name].shape
    ]
    problems = [
        f"{len(found)} {what}: {', '.join(found[:5])}{', ...' if len(found) > 5 else ''}"
        for what, found in (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        if found
    ]
    if problems:
        raise BenchError(f"{source} does not fit the model: " + "; ".join(problems) + _class_counts(own, weights))


def _class_counts(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> str:
    """Say so where all that differs is the number of classes."""
    pairs = [(weights[name].shape, own[name].shape) for name in set(own) & set(weights)]
    found = {(given[:1], wanted[:1]) for given, wanted in pairs if given != wanted and given[1:] == wanted[1:]}
    if set(own) == set(weights) and len(found) == 1 and all(g[1:] == w[1:] for g, w in pairs):
        ((given, wanted),) = found
        return f". It was trained for {given[0]} classes, {wanted[0]} are wanted"
    return ""


def _unwrapped(content: Any, path: Path) -> dict[str, Tensor]:
    for key in _WRAPPERS * 2:  # twice, for one wrapping inside another in either order
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content or not all(isinstance(item, Tensor) for item in content.values()):
        raise BenchError(f"{path} holds no state dict of tensors")
    names = [str(name) for name in content]
    prefix = "module." if all(name.startswith("module.") for name in names) else ""
    return {str(name).removeprefix(prefix): tensor for name, tensor in content.items()}


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
