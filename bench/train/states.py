"""Whether a checkpoint holds what a training goes on from, as far as torch does not tell by itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def require_state(state: Any, iterations: int) -> None:
    """Refuse a checkpoint whose history or iteration is not that of a training.

    Args:
        state: what the file holds.
        iterations: of the whole training.

    Raises:
        ValueError: with what is wrong.
    """
    if not isinstance(state, dict):
        raise ValueError(f"it holds a {type(state).__name__}, not the state of a training")
    done = state.get("iteration")
    if type(done) is not int or not 0 <= done <= iterations:
        raise ValueError(f"its iteration is {done!r}, not one of 0 to {iterations}")
    for name in ("steps", "evals"):
        entries = state.get(name)
        if not isinstance(entries, list) or not all(isinstance(one, dict) and "iteration" in one for one in entries):
            raise ValueError(f"'{name}' is no list of iterations")
    costs = state.get("costs")
    if not isinstance(costs, dict) or not all(isinstance(one, int | float | None) for one in costs.values()):
        raise ValueError("'costs' are no numbers")


def require_moments(optimizer: torch.optim.Optimizer) -> None:
    """Refuse an optimiser whose running averages are not those of its parameters; torch would notice at a step.

    Raises:
        ValueError: with both shapes.
    """
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.dim() and value.shape != parameter.shape:
                raise ValueError(f"'{name}' of the optimizer is {list(value.shape)}, not {list(parameter.shape)}")
