"""The baseline: the same student without a teacher."""

from __future__ import annotations

from torch import Tensor

from bench.method import EVERY_TASK, Batch, Method, Outputs, Step, methods


@methods.register("none")
class NoDistillation(Method):
    """Task loss alone; every gain is measured against it."""

    tasks = EVERY_TASK
    taps = ()
    needs_teacher = False

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Add nothing."""
        return {}
