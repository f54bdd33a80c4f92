"""Semantic segmentation: cross-entropy over pixels, mIoU from one confusion matrix over the split."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from bench.data.base import DatasetInfo
from bench.method import Batch, Outputs
from bench.recipe import Recipe
from bench.scores import scores
from bench.store import Counts


class Segmentation:
    """The task of one dataset under one recipe.

    Args:
        info: classes and ignore label.
        recipe: how logits are up-sampled and what auxiliary heads weigh.
    """

    primary_metric = "miou"

    def __init__(self, info: DatasetInfo, recipe: Recipe) -> None:
        self.info = info
        self.recipe = recipe

    def loss(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the task's loss terms: ``ce``, and ``auxiliary`` where the model and the recipe have one."""
        terms = {"ce": self.cross_entropy(outputs.logits, batch)}
        if outputs.auxiliary is not None and self.recipe.auxiliary_weight > 0:
            terms["auxiliary"] = self.recipe.auxiliary_weight * self.cross_entropy(outputs.auxiliary, batch)
        return terms

    def cross_entropy(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return the mean cross-entropy over the pixels that are not ignored; 0 where all are.

        Args:
            logits: N x K x h x w, up-sampled bilinearly to the target's size.
            batch: target N x H x W.
        """
        upsampled = self.upsample(logits, batch.target.shape[-2:]).float()
        total = F.cross_entropy(upsampled, batch.target, ignore_index=batch.ignore_index, reduction="sum")
        return total / (batch.target != batch.ignore_index).sum().clamp(min=1)

    def upsample(self, logits: Tensor, size: torch.Size) -> Tensor:
        """Return the logits at label resolution, bilinear."""
        if logits.shape[-2:] == size:
            return logits
        return F.interpolate(logits, size=tuple(size), mode="bilinear", align_corners=self.recipe.align_corners)

    def evaluator(self) -> Evaluator:
        """Return a fresh evaluator."""
        return Evaluator(self)


class Evaluator:
    """Confusion counts of every image of a split, at label resolution, ignored pixels left out."""

    def __init__(self, task: Segmentation) -> None:
        self.task = task
        self._matrices: list[Tensor] = []

    def update(self, outputs: Outputs, target: Tensor) -> None:
        """Add a batch.

        Args:
            outputs: of the model in evaluation mode.
            target: N x H x W, class index or ignore label.
        """
        info = self.task.info
        prediction = self.task.upsample(outputs.logits.float(), target.shape[-2:]).argmax(dim=1)
        for predicted, true in zip(prediction, target, strict=True):
            self._matrices.append(
                multiclass_confusion_matrix(
                    predicted, true, info.num_classes, ignore_index=info.ignore_index, validate_args=False
                )
            )

    def counts(self) -> Counts:
        """Return the per-image counts."""
        dense = torch.stack(self._matrices).cpu().numpy()
        return Counts.from_dense(np.asarray(dense))

    def scores(self) -> dict[str, Any]:
        """Return the metrics over the whole split."""
        total = torch.stack(self._matrices).sum(dim=0).cpu().numpy()
        return scores(total, self.task.info.class_names)
