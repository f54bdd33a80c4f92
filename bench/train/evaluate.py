"""A model over a split."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from bench.base.errors import Interrupted
from bench.data.base import TargetSamples
from bench.data.feed.loader import eval_loader
from bench.models.base import Model
from bench.tasks.base import Task
from bench.tasks.metric import Evidence
from bench.train.batches import Views, to_batch
from bench.train.setting import Setting
from bench.train.stop import StopRequest


def evaluate(
    model: Model,
    samples: TargetSamples[Any],
    task: Task,
    setting: Setting,
    batch_size: int,
    workers: int,
    stop: StopRequest | None = None,
    seen: Callable[[Any], object] | None = None,
) -> tuple[Evidence, dict[str, Any]]:
    """Score a model on a split; it is left in evaluation mode.

    Args:
        model: on the setting's device.
        samples: the split.
        task: under the recipe of the evaluation.
        setting: dataset and device.
        batch_size: images at once.
        workers: processes that load.
        stop: asked before each batch.
        seen: told the predictions for each batch.

    Returns:
        The records of each image, and the metrics over the whole split.

    Raises:
        Interrupted: a stop was requested.
    """
    model.eval()
    workers = 0 if samples.is_decoded else workers  # to start processes would take longer than to read
    evaluator = task.evaluator()
    with torch.inference_mode():
        for images, target in eval_loader(samples, task.collate, batch_size, workers):
            if stop is not None and stop.requested:  # a large split takes longer than a scheduler waits
                raise Interrupted(stop.signal_number)
            batch = to_batch(images, target, task, setting.device)
            view = Views(batch.images, setting, task.recipe.channels_last).of(model)
            try:
                predictions = task.predict(model, view, batch)
            except Exception as error:
                height, width = images.shape[-2:]  # a model may work on crops and not on an image of the split
                error.add_note(f"This came of scoring images of {width} x {height} pixels")
                raise
            evaluator.update(predictions, batch)
            if seen is not None:
                seen(predictions)
    return evaluator.evidence(), evaluator.scores()
