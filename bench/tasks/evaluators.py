"""Evaluators that tasks share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.method import Batch
from bench.tasks.base import Evaluator
from bench.tasks.means import Means


class MeansEvaluator(Evaluator):
    """Metrics that are a mean over a split, or a power of one: sums and counts of every image.

    Attributes:
        keys: M names of metrics, the primary one first.
        powers: exponent of each: 1 for a mean, 0.5 for a root mean square.
    """

    keys: Sequence[str]
    powers: Sequence[float]

    def __init__(self) -> None:
        self._sums: list[Tensor] = []

    @abstractmethod
    def sums(self, predictions: Any, batch: Batch) -> tuple[list[Tensor], list[Tensor]]:
        """Return, for each metric, what is summed and how much of it there is.

        Args:
            predictions: what the task predicts for the batch.
            batch: N images and their target.

        Returns:
            M tensors of sums and M of counts, each with one scalar for each of the N images.
        """

    def update(self, predictions: Any, batch: Batch) -> None:
        """Add the predictions for a batch."""
        both = self.sums(predictions, batch)
        self._sums.append(torch.stack([torch.stack([one.double() for one in side], dim=1) for side in both]))

    def evidence(self) -> Means:
        """Return the sums and counts of every image."""
        totals, counts = torch.cat(self._sums, dim=1).cpu().numpy()
        return Means(tuple(self.keys), totals, counts, np.array(self.powers, dtype=float))

    def scores(self) -> dict[str, Any]:
        """Return every metric over the whole split."""
        return dict(self.evidence().scores())
