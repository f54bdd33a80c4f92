"""What a cell costs to train, and what the models of a run cost at inference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.base import environment
from bench.base.files import digest
from bench.matrix.cell import ModelSpec
from bench.models.efficiency import measure
from bench.plan.build import build_spec
from bench.store.folders import Record, remembered
from bench.train.setting import Setting


@dataclass
class Costs:
    """What a cell took, as if it had trained alone.

    Attributes:
        step_s: seconds of its own forward, loss, backward and optimiser steps.
        teacher_s: seconds of teacher forwards that it listened to.
        eval_s: seconds of evaluations.
        train_mem_mib: peak memory of training on CUDA: its own weights and optimiser, the teacher's weights where it
            listens, and the most that a step took beyond; None elsewhere.
    """

    step_s: float = 0.0
    teacher_s: float = 0.0
    eval_s: float = 0.0
    train_mem_mib: float | None = None

    def record(self, iterations: int) -> dict[str, float | None]:
        """Return the costs as they stand in results; ``train_s`` is teacher plus own steps."""
        train_s = self.step_s + self.teacher_s
        step_ms = 1e3 * train_s / iterations
        return {**vars(self), "train_s": train_s, "iterations": iterations, "step_ms_mean": step_ms}


@dataclass(frozen=True)
class ModelCosts:
    """Measures models, each once in a run: every cell of the same model then shows the same figures.

    Attributes:
        run: folder of the run, which keeps them.
        setting: dataset and device.
        precision: of the inference.
        size: height and width of its images.
    """

    run: Path
    setting: Setting
    precision: str
    size: tuple[int, int]

    def of(self, spec: ModelSpec) -> Record:
        """Return what :func:`~bench.models.efficiency.measure` tells of a model."""
        device = self.setting.device
        settings = [spec.name, spec.options, list(self.size), self.precision, environment.device_name(device)]

        def take() -> Record:
            model = build_spec(spec, self.setting.channels)
            return measure(model, self.size, device, precision=self.precision)

        return remembered(self.run / "efficiency" / f"{digest(settings, 16)}.json", take)
