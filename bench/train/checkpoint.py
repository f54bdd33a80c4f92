"""A cell's checkpoint: written whole, the one before kept until then; one that cannot be used is set aside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from bench.base.errors import BenchError
from bench.base.files import WriteError, numbered, storing, write_atomic, write_problem
from bench.base.text import one_line
from bench.store.folders import CHECKPOINT, PREVIOUS
from bench.train.memory import tensor_bytes
from bench.train.trainee import Trainee


def save_checkpoint(trainee: Trainee) -> None:
    """Write the checkpoint; the one before is kept beside it until then.

    Raises:
        BenchError: it cannot be written.
    """
    folder, state = trainee.folder.path, trainee.state_dict()
    with storing(folder):
        if (folder / CHECKPOINT).exists():
            (folder / CHECKPOINT).replace(folder / PREVIOUS)
    try:
        write_atomic(folder / CHECKPOINT, lambda file: torch.save(state, file))
    except WriteError as error:
        error.needed_bytes = tensor_bytes(leaf for leaf in tree_leaves(state) if isinstance(leaf, Tensor))
        kept = f" Then the same command goes on from {PREVIOUS}." if (folder / PREVIOUS).exists() else ""
        raise BenchError(f"{write_problem(folder / CHECKPOINT, error)}{kept}") from error


def resumed(make: Callable[[], Trainee], tell: Callable[[str], object]) -> Trainee:
    """Return a trainee where its newest usable checkpoint stands, or at its start.

    Args:
        make: returns the trainee at its start; called again where a checkpoint was read in part.
        tell: told what was read, and what was set aside.
    """
    trainee = make()
    for name in (CHECKPOINT, PREVIOUS):
        path = trainee.folder.path / name
        if not path.exists():
            continue
        try:
            load_checkpoint(trainee, path)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - torn, damaged or of another structure: the one before may be whole
            why = one_line(f"{type(error).__name__}: {error}", 200)
            tell(f"{name} cannot be used ({why}); kept as {_set_aside(path).name}")
            trainee = make()
        else:
            tell(f"resumed at iteration {trainee.iteration} from {name}")
            return trainee
    return trainee


def load_checkpoint(trainee: Trainee, path: Path) -> None:
    """Go on from a checkpoint.

    Raises:
        Exception: whatever torch and the trainee's parts raise at a file that is none of theirs.
    """
    state = torch.load(path, map_location=trainee.setting.device, weights_only=True)
    trainee.load_state_dict(_on_host(state))


def _set_aside(path: Path) -> Path:
    """Rename a checkpoint, so that the next one written does not push out the good one before it."""
    with storing(path):
        return path.rename(numbered(path.with_name(f"{path.name}.unusable")))


def _on_host(state: Any) -> Any:
    """Bring the states of random generators back from the device that all tensors were read to."""
    if not isinstance(state, dict):
        return state
    stream = state["stream"]
    stream["torch"] = stream["torch"].cpu()
    stream["cuda"] = stream["cuda"].cpu() if stream["cuda"] is not None else None
    stream["numpy"][1] = stream["numpy"][1].cpu()
    return state
