"""A digest of tensors' bytes that stays on their device: reading it would stall the training."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

COLUMNS = 1021
"""Words that one sum goes over each other; a prime, so that swapped images or rows land in other columns."""


def fingerprint(tensors: Iterable[Tensor]) -> Tensor:
    """Return sums over the storage of tensors, whatever their dtype, strides or views.

    The 8-byte words of a storage lie in rows of 1021, which are added up modulo 2^64. One word that changes always
    shows, and so do values that change places, unless they do so by whole rows.

    Args:
        tensors: of any shape, on one device; a storage that several share is read once.

    Returns:
        One-dimensional int64, on the same device.
    """
    seen: dict[int, Tensor] = {}
    for tensor in tensors:
        if tensor.layout == torch.strided and tensor.device.type != "meta":
            seen.setdefault(tensor.untyped_storage().data_ptr(), tensor)
    parts = [part for tensor in seen.values() for part in _sums(tensor)]
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.int64)


def _sums(tensor: Tensor) -> list[Tensor]:
    storage, device = tensor.untyped_storage(), tensor.device
    n_bytes = storage.nbytes()
    n_words = n_bytes // 8
    words = torch.empty(0, dtype=torch.int64, device=device).set_(storage, 0, (n_words,), (1,))
    rows = n_words // COLUMNS
    parts = [words[rows * COLUMNS :].clone()]
    if rows:
        parts.append(words[: rows * COLUMNS].view(rows, COLUMNS).sum(0))
    if n_bytes % 8:
        last = torch.empty(0, dtype=torch.uint8, device=device)
        parts.append(last.set_(storage, 8 * n_words, (n_bytes % 8,), (1,)).long())
    return parts


class ModelState:
    """What a model's outputs depend on at a moment: weights, buffers, modes and hooks; what it gets later is left out.

    Args:
        model: the model.
    """

    def __init__(self, model: nn.Module) -> None:
        self._names = tuple(_tensors(model))
        self._modules = _modules(model)
        self._bytes = fingerprint(_tensors(model).values())

    def differs(self, model: nn.Module) -> bool:
        """Tell whether something of it is another one now; waits for the device."""
        tensors, modules = _tensors(model), _modules(model)
        if any(name not in tensors for name in self._names):
            return True
        if any(modules.get(name) != known for name, known in self._modules.items()):
            return True
        return not torch.equal(self._bytes, fingerprint(tensors[name] for name in self._names))


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _modules(model: nn.Module) -> dict[str, tuple[object, ...]]:
    return {
        name: (id(module), module.training, len(module._forward_hooks), len(module._forward_pre_hooks))
        for name, module in model.named_modules()
    }
