"""What the members of a group share in one step: the batch and the frozen teacher's outputs."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.method import Batch, TaskOutputs
from bench.models.base import Model
from bench.train.batches import Views
from bench.train.clock import Stopwatch
from bench.train.trainee import Trainee


class FrozenTeacher:
    """The teacher of a group, frozen and in evaluation mode.

    Args:
        model: the teacher, or None.
        taps: the outputs that some member reads; the others are freed.
        device: the training device.
        precision: of its forward passes.

    Attributes:
        watch: takes their time.
    """

    def __init__(self, model: Model | None, taps: frozenset[str], device: torch.device, precision: str) -> None:
        self._model, self._taps, self._device = model, taps, device
        self._dtype = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision)
        self.watch = Stopwatch(device)

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

    def step(self, trainee: Trainee) -> None:
        """Let one member train its iteration."""
        trainee.step(self.batch, self.views.of(trainee.student), self.teacher)

    def changed(self) -> bool:
        """Tell whether a tensor was written to since this was made; torch counts the writes on the host."""
        return self._versions != [tensor._version for tensor in self._tensors]
