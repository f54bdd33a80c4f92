"""From a trained cell to its record in the store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bench import NUMERICS
from bench.base import environment
from bench.base.files import digest, write_json
from bench.data.facts import DatasetInfo
from bench.matrix.cell import Cell
from bench.models.base import count_parameters
from bench.models.weights.reading import save_weights
from bench.store.folders import COUNTS, HISTORY, STUDENT, Record
from bench.tasks.base import Task
from bench.tasks.metric import Evidence, Scoring
from bench.tasks.scorings import DEFAULT, is_built_in
from bench.train.trainee import Trainee


def protocol(cell: Cell, info: DatasetInfo, task: type[Task], fingerprint: str) -> Record:
    """Return all that may move a score besides the cell's own axes, and its hash.

    Rows with different hashes are never ranked together.

    Args:
        cell: any cell of the run.
        info: facts of its dataset.
        task: of the dataset.
        fingerprint: digest of the dataset's content.
    """
    name = task.scoring.name
    fields: Record = {
        "dataset": {
            **cell.dataset.model_dump(mode="json"),
            "classes": list(info.class_names),
            "ignore_index": info.ignore_index,
            "mean": list(info.mean),
            "std": list(info.std),
            "content": fingerprint,
        },
        "recipe": cell.recipe.key_fields(),
        "evaluation": task.protocol(),
        "numerics": NUMERICS,
        **({} if name == DEFAULT else {"task": name}),  # hashes of before there were other tasks hold
    }
    return {"hash": digest(fields, 16), "fields": fields}


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_result(
    trainee: Trainee,
    evidence: Evidence,
    metrics: Record,
    *,
    protocol: Record,
    teacher: Record | None,
    efficiency: Record,
) -> Record:
    """Write evidence, history, weights and, last, the result of a finished cell.

    Args:
        trainee: the finished cell.
        evidence: records of each image.
        metrics: scores over the split.
        protocol: from :func:`protocol`.
        teacher: name, metrics and efficiency of the teacher, or None.
        efficiency: of the student.

    Returns:
        The record.

    Raises:
        ValueError: the metrics are not those of the evidence, so that nobody would trust the result.
    """
    folder, scoring = trainee.folder, trainee.task.scoring
    if found := scoring.contradiction(metrics, evidence, trainee.setting.info.class_names):
        raise ValueError(f"the metrics of the task '{scoring.name}' are not those of its evidence: {found}")
    digests = {
        COUNTS: evidence.save(folder.path / COUNTS),
        HISTORY: write_json(folder.path / HISTORY, trainee.history()),
        STUDENT: save_weights(trainee.student, folder.path / STUDENT),
    }
    record = {
        "cell": trainee.cell.record(),
        "protocol": protocol,
        "provenance": trainee.planned.provenance,
        "status": "done",
        **_scored_as(scoring),
        "metrics": metrics,
        "terms": list(trainee.loss_terms),
        "remarks": list(trainee.method.remarks),
        "efficiency": efficiency,
        "teacher": teacher,
        "cost": {
            **trainee.costs.record(trainee.recipe.iterations),
            "method_params": count_parameters(trainee.method),
        },
        "environment": environment.describe(trainee.setting.device),
        "created": now(),
    }
    folder.finish(record, digests)
    return record


def _scored_as(scoring: Scoring) -> Record:
    """Return the task of a result; that of a plug-in with its metrics, so that tables are made without its code."""
    known = is_built_in(scoring)
    return {"task": scoring.name} if known else {"task": scoring.name, "scoring": scoring.record()}


def write_failure(trainee: Trainee, state: str, reason: str, details: dict[str, Any], protocol: Record) -> None:
    """Write why a cell ended without a result."""
    record = {
        "cell": trainee.cell.record(),
        "protocol": protocol,
        "provenance": trainee.planned.provenance,
        "status": state,
        "reason": reason,
        **details,
        "environment": environment.describe(trainee.setting.device),
        "created": now(),
    }
    trainee.folder.fail(record)
