"""Devices and precisions."""

from __future__ import annotations

from typing import Any

import torch
from lightning_fabric import Fabric

from bench.base.errors import BenchError


def find_device(name: str) -> torch.device:
    """Return the device of ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises:
        BenchError: unknown, or not on this machine.
    """
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise BenchError(f"--device {name}: unknown; write auto, cpu, cuda, cuda:N or mps") from None
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= counts.get(device.type, 0):
        raise BenchError(f"--device {name}: this machine has no such device. Use --device auto.")
    return torch.device("cuda", device.index or 0) if device.type == "cuda" else device


def require_precision(precision: str, device: torch.device) -> None:
    """Refuse a precision that a device does not train in.

    Raises:
        BenchError: float16 anywhere but on CUDA.
    """
    if precision == "16-mixed" and device.type != "cuda":
        raise BenchError(
            f"recipe.precision: 16-mixed needs CUDA, the device is {device.type}. Use bf16-mixed or 32-true."
        )


def make_fabric(device: torch.device, precision: str) -> Fabric:
    """Return a Fabric of its own for one cell: its gradient scaler must not be shared."""
    devices: Any = [device.index or 0] if device.type == "cuda" else 1
    return Fabric(accelerator=device.type, devices=devices, precision=precision)
