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


def state_of(model: nn.Module) -> tuple[Tensor, tuple[object, ...]]:
    """Return what a model's outputs depend on.

    Returns:
        The digest of its weights and buffers, of whatever shapes, and the modes and hooks of its modules.
    """
    modules = tuple(
        (name, id(module), module.training, len(module._forward_hooks), len(module._forward_pre_hooks))
        for name, module in model.named_modules()
    )
    with torch.no_grad():
        return fingerprint([*model.parameters(), *model.buffers()]), modules
