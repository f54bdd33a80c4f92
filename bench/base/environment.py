"""Where a result was made: hardware, versions, settings."""

from __future__ import annotations

import platform
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from bench import __version__

_PACKAGES = ("torch", "torchvision", "timm", "lightning-fabric", "numpy", "scikit-learn", "scikit-image")


@lru_cache(maxsize=1)
def cpu_name() -> str:
    """Return the processor's name as the system gives it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def device_name(device: torch.device) -> str:
    """Return a device as tables name it; timings compare only where it is equal."""
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"cpu: {cpu_name()}, {threads} thread{'s' if threads > 1 else ''}"
    return device.type


def describe(device: torch.device) -> dict[str, Any]:
    """Return the environment record of a result."""
    versions: dict[str, str | None] = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {
        "bench": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": device_name(device),
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "determinism": "seeded",
        "packages": versions,
    }
