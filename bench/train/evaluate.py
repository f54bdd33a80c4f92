"""A model over a split."""

from __future__ import annotations

from typing import Any

import torch

from bench.base.errors import Interrupted
from bench.data.base import Samples
from bench.data.feed.loader import eval_loader
from bench.models.base import SegmentationModel
from bench.tasks.segmentation.counts import Counts
from bench.tasks.segmentation.task import Segmentation
from bench.train.batches import Views, to_batch
from bench.train.stop import StopRequest
from bench.train.trainee import Setting


def evaluate(
    model: SegmentationModel,
    samples: Samples,
    task: Segmentation,
    setting: Setting,
    batch_size: int,
    workers: int,
    stop: StopRequest | None = None,
) -> tuple[Counts, dict[str, Any]]:
    """Score a model on a split at label resolution; it is left in evaluation mode.

    Returns:
        Per-image confusion counts, and the metrics over the whole split.

    Raises:
        Interrupted: a stop was requested.
    """
    model.eval()
    workers = 0 if samples.is_decoded else workers  # to start processes would take longer than to read
    evaluator = task.evaluator()
    with torch.inference_mode():
        for images, target in eval_loader(samples, batch_size, workers):
            if stop is not None and stop.requested:  # a large split takes longer than a scheduler waits
                raise Interrupted(stop.signal_number)
            batch = to_batch(images, target, setting)
            view = Views(batch.images, setting, task.recipe.channels_last).of(model)
            scores = task.predict(lambda images: model(images).logits, view, batch.target.shape[-2:])
            evaluator.update(scores, batch.target)
    return evaluator.counts(), evaluator.scores()
