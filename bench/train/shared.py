"""What the members of a group share in one step: the batch, the frozen teacher's outputs, the teacher itself."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator

import torch
from torch import Tensor

from bench.method import Batch, TaskOutputs
from bench.models.base import Model
from bench.train.batches import Views
from bench.train.clock import Stopwatch
from bench.train.fingerprint import ModelState, fingerprint
from bench.train.trainee import Trainee


class FrozenTeacher:
    """The teacher of a group, frozen and in evaluation mode.

    Args:
        model: the teacher, or None.
        taps: the outputs that some member reads; the others are freed.
        device: the training device.
        precision: of its forward passes.

    Attributes:
        watch: takes the time of its forwards.
    """

    def __init__(self, model: Model | None, taps: frozenset[str], device: torch.device, precision: str) -> None:
        self._model, self._taps, self._device = model, taps, device
        self._dtype = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision)
        self._pristine: Model | None = None
        self._state: ModelState | None = None
        self.watch = Stopwatch(device)

    def keep_pristine(self) -> None:
        """Keep a copy, from which :meth:`restore` brings the teacher back."""
        self._pristine = copy.deepcopy(self._model)

    def is_changed(self) -> bool:
        """Tell whether its weights, buffers, modes or hooks are other ones than at first; waits for the device."""
        return self._model is not None and self._state is not None and self._state.differs(self._model)

    def restore(self) -> None:
        """Put a copy of what was kept in the place of a changed teacher."""
        self._model, self._state = copy.deepcopy(self._pristine), None

    def outputs(self, views: Views) -> TaskOutputs | None:
        """Return the teacher's outputs for a batch, in float32; None without a teacher."""
        if self._model is None:
            return None
        images = views.of(self._model)
        autocast = torch.autocast(self._device.type, dtype=self._dtype, enabled=self._dtype is not None)
        # no_grad rather than inference_mode: autograd refuses to save inference tensors, which losses do.
        with self.watch, torch.no_grad(), autocast:
            outputs: TaskOutputs = self._model(images)
        kept = outputs.keep(self._taps).changed(Tensor.float)
        kept.model = self._model
        if self._state is None:  # after its first forward, as models make tables for a size then
            self._state = ModelState(self._model)
        return kept


class Shared:
    """What the members of a group see in one step, and whether one of them changed it.

    Args:
        batch: the batch.
        views: its images as each model wants them.
        teacher: the teacher's outputs, or None.
    """

    def __init__(self, batch: Batch, views: Views, teacher: TaskOutputs | None) -> None:
        self.batch, self.views, self.teacher = batch, views, teacher
        self._tensors = [*batch.tensors(), *views.made(), *(teacher.tensors() if teacher is not None else ())]
        self._versions = [tensor._version for tensor in self._tensors]
        self._bytes = fingerprint(self._tensors)

    def step(self, trainee: Trainee) -> None:
        """Let one member train its iteration."""
        with _own_modes():
            trainee.step(self.batch, self.views.of(trainee.student), self.teacher)

    def is_written(self) -> bool:
        """Tell whether torch counted a write to a tensor since this was made; it does so on the host."""
        return self._versions != [tensor._version for tensor in self._tensors]

    def differs(self) -> Tensor:
        """Return whether any byte is another one: a bool scalar on the device.

        Writes through ``.numpy()`` and ``.data`` are not counted by torch.
        """
        return (fingerprint(self._tensors) != self._bytes).any()


@contextlib.contextmanager
def _own_modes() -> Iterator[None]:
    """Keep what a member changes of torch's modes from its companions."""
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        with torch.enable_grad():
            yield
    finally:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
