"""A member of a group, scored on the way or at its end."""

from __future__ import annotations

from typing import Any

from bench.data.base import TargetSamples
from bench.tasks.metric import Evidence
from bench.train.clock import Stopwatch
from bench.train.evaluate import evaluate
from bench.train.stop import StopRequest
from bench.train.trainee import Trainee


def score(
    trainee: Trainee, samples: TargetSamples[Any], workers: int, stop: StopRequest
) -> tuple[Evidence, dict[str, Any]]:
    """Score a student within its random stream; its history and costs take note.

    Args:
        trainee: the member; its student is in training mode again afterwards.
        samples: the evaluation split.
        workers: processes that load.
        stop: asked before each batch.

    Returns:
        The records of each image, and the metrics over the whole split.

    Raises:
        Interrupted: a stop was requested.
    """
    watch = Stopwatch(trainee.setting.device)
    with watch, trainee.stream.active():
        evidence, metrics = evaluate(
            trainee.student, samples, trainee.task, trainee.setting, trainee.recipe.eval_batch_size, workers, stop
        )
    trainee.student.train()
    trainee.costs.eval_s += watch.take()
    key = trainee.task.scoring.primary.key
    trainee.evals.append({"iteration": trainee.iteration, key: metrics[key]})
    return evidence, metrics
