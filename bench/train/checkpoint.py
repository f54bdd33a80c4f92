"""A cell's checkpoint: written whole, the one before kept until then."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from bench.base.errors import BenchError
from bench.base.files import WriteError, write_atomic, write_problem
from bench.store.folders import CHECKPOINT, PREVIOUS
from bench.train.memory import tensor_bytes
from bench.train.trainee import Trainee


def save_checkpoint(trainee: Trainee) -> None:
    """Write the checkpoint; the one before is kept beside it until then.

    Raises:
        BenchError: it cannot be written.
    """
    folder, state = trainee.folder.path, trainee.state_dict()
    if (folder / CHECKPOINT).exists():
        (folder / CHECKPOINT).replace(folder / PREVIOUS)
    try:
        write_atomic(folder / CHECKPOINT, lambda file: torch.save(state, file))
    except WriteError as error:
        error.needed_bytes = tensor_bytes(leaf for leaf in tree_leaves(state) if isinstance(leaf, Tensor))
        kept = f" Then the same command goes on from {PREVIOUS}." if (folder / PREVIOUS).exists() else ""
        raise BenchError(f"{write_problem(folder / CHECKPOINT, error)}{kept}") from error


def load_checkpoint(trainee: Trainee) -> str | None:
    """Go on from the newest readable checkpoint.

    Returns:
        What was read, for the log, or None where there was nothing to read.
    """
    for name in (CHECKPOINT, PREVIOUS):
        path = trainee.folder.path / name
        if not path.exists():
            continue
        try:
            state = torch.load(path, map_location=trainee.setting.device, weights_only=True)
        except Exception:  # noqa: BLE001 - whatever is wrong with a torn file, the one before may be whole
            continue
        trainee.load_state_dict(_on_host(state))
        return f"resumed at iteration {trainee.iteration} from {name}"
    return None


def _on_host(state: dict[str, Any]) -> dict[str, Any]:
    """Bring the states of random generators back from the device that all tensors were read to."""
    stream = state["stream"]
    stream["torch"] = stream["torch"].cpu()
    stream["cuda"] = stream["cuda"].cpu() if stream["cuda"] is not None else None
    stream["numpy"][1] = stream["numpy"][1].cpu()
    return state
