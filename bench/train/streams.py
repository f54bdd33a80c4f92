"""Random streams: each cell draws from its own, so that its result does not depend on its companions."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch


def _states(device: torch.device) -> dict[str, Any]:
    states = {
        "python": random.getstate(),
        "numpy": np.random.get_state(legacy=True),
        "torch": torch.get_rng_state(),
    }
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def _restore(states: dict[str, Any], device: torch.device) -> None:
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)


class RandomStream:
    """The global generators of python, numpy, torch and one CUDA device, as one cell sees them.

    Args:
        seed: where the stream begins.
        device: the training device.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device = device
        outer = _states(device)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        self._inner = _states(device)
        _restore(outer, device)

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Let the global generators be this stream's for a while; what they were before is put back."""
        outer = _states(self.device)
        _restore(self._inner, self.device)
        try:
            yield
        finally:
            self._inner = _states(self.device)
            _restore(outer, self.device)

    def state_dict(self) -> dict[str, Any]:
        """Return the state as tensors, numbers and text, readable without running code."""
        version, internal, gauss = self._inner["python"]
        name, keys, position, has_gauss, cached = self._inner["numpy"]
        return {
            "python": [version, list(internal), gauss],
            "numpy": [name, torch.from_numpy(np.asarray(keys, dtype=np.int64)), position, has_gauss, cached],
            "torch": self._inner["torch"],
            "cuda": self._inner.get("cuda"),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state_dict` stood."""
        version, internal, gauss = state["python"]
        name, keys, position, has_gauss, cached = state["numpy"]
        self._inner = {
            "python": (version, tuple(internal), gauss),
            "numpy": (name, keys.numpy().astype(np.uint32), position, has_gauss, cached),
            "torch": state["torch"],
        }
        if self.device.type == "cuda":
            self._inner["cuda"] = state["cuda"]
