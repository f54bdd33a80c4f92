"""Evidence for metrics that are a mean over a split: sums and counts of every image."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.base.files import write_bytes
from bench.tasks.metric import Evidence

MEANS = "means"


@dataclass(frozen=True, eq=False)
class Means(Evidence):
    """Metrics of the form ``(sum over images of totals / sum over images of counts) ** power``.

    A root mean squared error has power 0.5, a plain mean power 1.

    Attributes:
        keys: M names of metrics; the first is the primary one.
        totals: (n_images, M) sums.
        counts: (n_images, M) numbers of what was summed.
        powers: (M,) exponents.
    """

    keys: tuple[str, ...]
    totals: np.ndarray
    counts: np.ndarray
    powers: np.ndarray

    @property
    def n_images(self) -> int:  # type: ignore[override]
        """Images of the split."""
        return len(self.totals)

    def resampled(self, weights: np.ndarray) -> np.ndarray:
        """Return the primary metric of each resample; see :meth:`Evidence.resampled`."""
        return self._of(weights @ self.totals, weights @ self.counts)[:, 0]

    def per_image(self) -> np.ndarray:
        """Return the (n_images,) primary metric of every image."""
        return self._of(self.totals, self.counts)[:, 0]

    def labels(self) -> np.ndarray:
        """Return the (n_images, M) numbers of what was summed."""
        return self.counts

    def metrics(self, classes: Sequence[str]) -> Mapping[str, float | None]:
        """Return every metric over the whole split; see :meth:`Evidence.metrics`."""
        return self.scores()

    def scores(self) -> Mapping[str, float | None]:
        """Return every metric over the whole split, None where nothing was counted."""
        values = self._of(self.totals.sum(0, keepdims=True), self.counts.sum(0, keepdims=True))[0]
        return {key: None if np.isnan(value) else float(value) for key, value in zip(self.keys, values, strict=True)}

    def _of(self, totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
        mean = np.full(totals.shape, np.nan)
        np.divide(totals, counts, out=mean, where=counts > 0)
        return np.asarray(mean**self.powers)

    def save(self, path: Path) -> str:
        """Write compressed, atomically; return the digest of the file."""
        file = io.BytesIO()
        arrays: dict[str, Any] = {"totals": self.totals, "counts": self.counts, "powers": self.powers}
        np.savez_compressed(file, keys=np.array(self.keys, dtype=str), **arrays)
        return write_bytes(path, file.getvalue())

    @classmethod
    def load(cls, path: Path) -> Means:
        """Read what :meth:`save` wrote.

        Raises:
            ValueError: the arrays do not fit each other.
        """
        with np.load(path, allow_pickle=False) as arrays:
            keys, totals, counts, powers = (arrays[name] for name in ("keys", "totals", "counts", "powers"))
        if totals.ndim != 2 or totals.shape != counts.shape or not len(keys) == len(powers) == totals.shape[1]:
            raise ValueError(f"totals {totals.shape}, counts {counts.shape}, {len(keys)} metrics")
        return cls(tuple(str(key) for key in keys), totals, counts, powers)
