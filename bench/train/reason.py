"""Why a cell failed, in words."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import torch

from bench.base.errors import BenchError
from bench.base.files import WriteError, write_problem
from bench.train.finite import Diverged
from bench.train.trainee import Trainee


def describe_failure(error: BaseException) -> str:
    """Return the reason that a failed cell shows."""
    if isinstance(error, torch.OutOfMemoryError):
        return f"out of memory: {str(error).splitlines()[0]} Use a smaller recipe.batch_size for all cells."
    if isinstance(error, WriteError):
        return write_problem(Path(error.filename), error)
    if isinstance(error, BenchError):
        return str(error)
    told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    told = told if isinstance(error, Exception) else f"{told} (raised by code of this cell, not by a signal)"
    return ". ".join([told, *getattr(error, "__notes__", ())])


def ending(trainee: Trainee, error: BaseException) -> tuple[str, str, dict[str, Any]]:
    """Return state, reason and details of a member that an error ended; a loss that was not finite comes first."""
    details: dict[str, Any] = {"iteration": trainee.iteration, "terms": dict(trainee.terms)}
    if not isinstance(error, Diverged):
        try:
            trainee.settle()
        except Diverged as cause:
            error = cause
        except Exception:  # noqa: BLE001, S110 - the first error is the one to tell
            pass
    if isinstance(error, Diverged):
        return "diverged", str(error), details | {"iteration": error.iteration, "terms": error.terms}
    details["traceback"] = "".join(traceback.format_exception(error))
    return "failed", describe_failure(error), details
