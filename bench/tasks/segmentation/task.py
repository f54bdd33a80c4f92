"""Semantic segmentation: cross-entropy over pixels, mIoU from one confusion matrix over the split."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from bench.data.facts import DatasetInfo
from bench.matrix.recipe import Recipe
from bench.method import Batch, Outputs
from bench.tasks.segmentation.boundary import boundary_counts
from bench.tasks.segmentation.counts import Counts
from bench.tasks.segmentation.inference import Forward, predict, upsample
from bench.tasks.segmentation.scores import SCORING, scores


class Segmentation:
    """The task of one dataset under one recipe.

    Args:
        info: classes and ignore label.
        recipe: how logits are up-sampled and what auxiliary heads weigh.
    """

    scoring = SCORING

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
        return upsample(logits, (size[0], size[1]), self.recipe.align_corners)

    def predict(self, forward: Forward, images: Tensor, size: torch.Size) -> Tensor:
        """Return class scores at label size as the recipe's evaluation takes them.

        Args:
            forward: images to logits.
            images: N x 3 x H x W, normalised.
            size: height and width of the labels.
        """
        return predict(forward, images, (size[0], size[1]), self.recipe.evaluation, self.recipe.align_corners)

    def evaluator(self) -> Evaluator:
        """Return a fresh evaluator."""
        return Evaluator(self)


class Evaluator:
    """Confusion and boundary counts of every image of a split, at label resolution, ignored pixels left out."""

    def __init__(self, task: Segmentation) -> None:
        self.task = task
        self._matrices: list[Tensor] = []
        self._boundaries: list[Tensor] = []

    def update(self, class_scores: Tensor, target: Tensor) -> None:
        """Add a batch.

        Args:
            class_scores: N x K x H x W, from :meth:`Segmentation.predict`.
            target: N x H x W, class index or ignore label.
        """
        info = self.task.info
        prediction = class_scores.argmax(dim=1)
        self._boundaries.append(
            torch.stack(boundary_counts(prediction, target, info.num_classes, info.ignore_index), dim=1)
        )
        for predicted, true in zip(prediction, target, strict=True):
            self._matrices.append(
                multiclass_confusion_matrix(
                    predicted, true, info.num_classes, ignore_index=info.ignore_index, validate_args=False
                )
            )

    def counts(self) -> Counts:
        """Return the per-image counts."""
        dense = torch.stack(self._matrices).cpu().numpy()
        return Counts.from_dense(np.asarray(dense), self._boundary().numpy())

    def _boundary(self) -> Tensor:
        return torch.cat(self._boundaries).cpu()

    def scores(self) -> dict[str, Any]:
        """Return the metrics over the whole split."""
        total = torch.stack(self._matrices).sum(dim=0).cpu().numpy()
        return scores(total, self.task.info.class_names, self._boundary().sum(dim=0).numpy())
