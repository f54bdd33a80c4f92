"""Semantic segmentation: cross-entropy over pixels, mIoU from one confusion matrix over the split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.base.errors import BenchError
from bench.data.facts import DatasetInfo
from bench.method import Batch, Outputs, OutputSpec, Specs
from bench.models.base import Model
from bench.tasks.base import Colour, Evaluator, Forward, Task, register_task
from bench.tasks.segmentation.boundary import boundary_counts
from bench.tasks.segmentation.counts import Counts
from bench.tasks.segmentation.inference import predict, upsample
from bench.tasks.segmentation.painter import MaskPainter, mask_legend
from bench.tasks.segmentation.scores import SCORING, scores
from bench.tasks.segmentation.settings import SegmentationSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray


@register_task
class Segmentation(Task):
    """Semantic segmentation on one dataset under one recipe.

    Args:
        info: classes and ignore label.
        recipe: how logits are up-sampled, what auxiliary heads weigh, how a split is scored.
    """

    scoring = SCORING
    painter = MaskPainter
    taps = frozenset({"logits", "embedding", "stages"})
    recipe: SegmentationSettings

    @classmethod
    def require_fit(cls, model: Model, told: str, spec: Specs, dataset: str, info: DatasetInfo) -> None:
        """Refuse a model whose class count differs from the dataset's.

        Raises:
            Unsupported: the model is of another task.
            BenchError: with both counts and the names of the classes.
        """
        super().require_fit(model, told, spec, dataset, info)
        channels = cast("OutputSpec", spec).logits.channels
        if channels != info.num_classes:
            raise BenchError(
                f"{told} gives {channels} classes, dataset '{dataset}' has {info.num_classes}: "
                f"{', '.join(info.class_names[:20])}"
            )

    @classmethod
    def protocol(cls) -> dict[str, Any]:
        """Return the resolution that is scored at, and what becomes of classes that are not there."""
        return {"resolution": "label", "absent_classes": "skip"}

    @staticmethod
    def fills(info: DatasetInfo) -> dict[type, Any]:
        """Return the ignore label, which masks are padded with."""
        from torchvision import tv_tensors  # a plan needs none of it

        return {tv_tensors.Mask: info.ignore_index}

    def batch(self, images: Tensor, target: Tensor) -> Batch:
        """Return the batch of N x 3 x H x W images and N x H x W uint8 labels."""
        return Batch(images, target.to(torch.long), self.info.ignore_index)

    def loss(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the task's loss terms: ``ce``, and ``auxiliary`` where the model and the recipe have one; scalars."""
        terms = {"ce": self.cross_entropy(outputs.logits, batch)}
        if outputs.auxiliary is not None and self.recipe.auxiliary_weight > 0:
            terms["auxiliary"] = self.recipe.auxiliary_weight * self.cross_entropy(outputs.auxiliary, batch)
        return terms

    def cross_entropy(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return the mean cross-entropy over the pixels that are not ignored, a scalar; 0 where all are.

        Args:
            logits: N x K x h x w, up-sampled bilinearly to the target's size.
            batch: target N x H x W.
        """
        upsampled = self.upsample(logits, batch.target.shape[-2:]).float()
        total = F.cross_entropy(upsampled, batch.target, ignore_index=batch.ignore_index, reduction="sum")
        scored: Tensor = (batch.target != batch.ignore_index).sum()
        return total / scored.clamp(min=1)

    def upsample(self, logits: Tensor, size: torch.Size) -> Tensor:
        """Return N x K x h x w logits at label resolution, N x K x H x W, bilinear."""
        return upsample(logits, (size[0], size[1]), self.recipe.align_corners)

    def predict(self, forward: Forward, images: Tensor, batch: Batch) -> Tensor:
        """Return class scores at label size, N x K x H x W, as the recipe's evaluation takes them.

        Args:
            forward: images to outputs.
            images: N x 3 x H x W, normalised.
            batch: its target, N x H x W, tells the size.
        """
        height, width = batch.target.shape[-2:]
        settings = self.recipe
        return predict(
            lambda views: forward(views).logits, images, (height, width), settings.evaluation, settings.align_corners
        )

    def evaluator(self) -> Counter:
        """Return a fresh evaluator."""
        return Counter(self.info)

    def shown(self, predictions: Tensor) -> list[NDArray[np.uint8]]:
        """Return N x K x H x W class scores as N masks of predicted classes, H x W."""
        return list(predictions.argmax(dim=1).to(torch.uint8).cpu().numpy())

    @classmethod
    def legend(cls, painters: Sequence[Any], shown: Sequence[Any], info: DatasetInfo) -> list[tuple[str, Colour]]:
        """Return names and colours of the classes that labels or predictions show."""
        return mask_legend(painters, shown, info)


class Counter(Evaluator):
    """Confusion and boundary counts of every image of a split, at label resolution, ignored pixels left out.

    Args:
        info: classes and ignore label.
    """

    def __init__(self, info: DatasetInfo) -> None:
        self.info = info
        self._matrices: list[Tensor] = []
        self._boundaries: list[Tensor] = []

    def update(self, predictions: Tensor, batch: Batch) -> None:
        """Add a batch.

        Args:
            predictions: class scores N x K x H x W, from :meth:`Segmentation.predict`.
            batch: target N x H x W, class index or ignore label.
        """
        from torchmetrics.functional.classification import multiclass_confusion_matrix  # a plan needs none of it

        info, target = self.info, batch.target
        prediction = predictions.argmax(dim=1)
        self._boundaries.append(
            torch.stack(boundary_counts(prediction, target, info.num_classes, info.ignore_index), dim=1)
        )
        for predicted, true in zip(prediction, target, strict=True):
            self._matrices.append(
                multiclass_confusion_matrix(
                    predicted, true, info.num_classes, ignore_index=info.ignore_index, validate_args=False
                )
            )

    def evidence(self) -> Counts:
        """Return the per-image counts."""
        dense = torch.stack(self._matrices).cpu().numpy()
        return Counts.from_dense(np.asarray(dense), self._boundary().numpy())

    def _boundary(self) -> Tensor:
        return torch.cat(self._boundaries).cpu()

    def scores(self) -> dict[str, Any]:
        """Return the metrics over the whole split."""
        total = torch.stack(self._matrices).sum(dim=0).cpu().numpy()
        return scores(total, self.info.class_names, self._boundary().sum(dim=0).numpy())
