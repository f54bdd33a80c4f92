"""Reading weights safely: no code is run, nothing is half loaded, every mismatch is told in words."""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.base.files import write_bytes
from bench.models.weights.opening import opened
from bench.models.weights.wrapping import Unwrapped, parts_of, unwrapped

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def save_weights(model: nn.Module, path: Path) -> str:
    """Write a model's parameters and buffers as safetensors, atomically; return the digest of the file."""
    # clones, since safetensors refuses tensors that share memory, as those of a module with two names do
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    payload = safetensors.torch.save(tensors)
    return write_bytes(path, payload)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a ``.safetensors`` file or a torch checkpoint without running code from it.

    Common wrappings (``state_dict``, ``model``, a ``module.`` or ``_orig_mod.`` in all names) are taken off.

    Returns:
        Tensors of any shape by name, on the CPU.

    Raises:
        BenchError: absent, truncated, not weights, or a file that wants to run code.
    """
    return read_told(path).tensors


def read_told(path: Path) -> Unwrapped:
    """Read weights as :func:`read_weights` does, and tell what was taken off or chosen.

    Raises:
        BenchError: absent, truncated, not weights, or a file that wants to run code.
    """
    return unwrapped(opened(path), path)


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
    missing = sorted(needed_names(model) - set(weights))
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
        hint = _class_counts(own, weights) or _several_models(needed_names(model), weights)
        raise BenchError(f"{source} does not fit the model: " + "; ".join(problems) + hint)


def _class_counts(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> str:
    """Say so where all that differs is the number of classes."""
    pairs = [(weights[name].shape, own[name].shape) for name in set(own) & set(weights)]
    found = {(given[:1], wanted[:1]) for given, wanted in pairs if given != wanted and given[1:] == wanted[1:]}
    if set(own) == set(weights) and len(found) == 1 and all(g[1:] == w[1:] for g, w in pairs):
        ((given, wanted),) = found
        return f". It was trained for {given[0]} classes, {wanted[0]} are wanted"
    return ""


def _several_models(needed: Set[str], weights: Mapping[str, Tensor]) -> str:
    """Say so where several parts of the names are each a model of that kind."""
    fitting = [part for part, inner in parts_of(weights).items() if needed <= set(inner)]
    if len(fitting) < 2:
        return ""
    told = " and ".join(f"'{part}'" for part in fitting)
    return f". Its names that begin with {told} are several such models: save those of one of them alone"


def needed_names(model: nn.Module) -> set[str]:
    """Return the names that weights must have: torch's strict load counts batches from 0 where a file does not tell."""
    norms = [name for name, part in model.named_modules() if isinstance(part, _NORMS)]
    return set(model.state_dict()) - {f"{name}.num_batches_tracked".lstrip(".") for name in norms}


def require_finite(model: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Refuse weights that no forward pass survives: parameters that are not finite, or buffers that are no number.

    Args:
        model: is to receive the weights, which fit.
        weights: tensors by name, of any shape.
        source: named in messages.

    Raises:
        BenchError: with the first names.
    """
    parameters = {name for name, _ in model.named_parameters()}
    bad = [
        name
        for name, tensor in weights.items()
        if bool((~torch.isfinite(tensor) if name in parameters else torch.isnan(tensor)).any())
    ]
    if bad:
        raise BenchError(f"{source} holds numbers that are not finite: {', '.join(bad[:5])}")
