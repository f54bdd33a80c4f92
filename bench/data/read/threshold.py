"""Label files in which light and dark tell two classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.read.reading import read_levels


@dataclass(frozen=True)
class ThresholdLabels:
    """Two classes, divided by a grey level: for masks with smooth edges or stored with loss.

    Attributes:
        threshold: pixels below it are class 0, those from it on class 1.
    """

    threshold: float

    def identity(self) -> Any:
        """Return the threshold, with a word that no other way of reading has."""
        return ["threshold", self.threshold]

    def read(self, path: Path) -> NDArray[np.uint8]:
        """Return class indices, H x W.

        Raises:
            BenchError: an unreadable file, or one that is drawn in colours.
        """
        return (read_levels(path) >= self.threshold).astype(np.uint8)
