"""What the models of a run cost at inference, measured once each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.base import environment
from bench.base.files import digest
from bench.matrix.cell import ModelSpec
from bench.models.efficiency import measure
from bench.plan.build import build_spec
from bench.store.folders import Record, remembered
from bench.train.trainee import Setting


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
