"""Scorings by task: of the built-in tasks, of plug-ins, or as a stored result describes its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.base.registry import import_each
from bench.tasks.means import MEANS, Means
from bench.tasks.metric import Metric, Scoring

DEFAULT = "segmentation"
"""The task of datasets and results that name none."""
_known: dict[str, Scoring] = {}
_built_in: list[Scoring] = []


def register_scoring(scoring: Scoring) -> Scoring:
    """Let tables know how a task is scored; a task's name belongs to one scoring of a process, the last one."""
    _known[scoring.name] = scoring
    return scoring


def known_scorings() -> Mapping[str, Scoring]:
    """Return the scorings of the built-in tasks and of the plug-ins that this process loaded, by task name."""
    if not _built_in:
        before = dict(_known)  # a plug-in may have come first
        import_each("bench.tasks", "scores")
        _built_in.extend(scoring for name, scoring in _known.items() if name not in before)
    return dict(_known)


def is_built_in(scoring: Scoring) -> bool:
    """Tell whether every process knows a scoring, as those of the folders of :mod:`bench.tasks`."""
    known_scorings()
    return scoring in _built_in


def scoring_of(record: Mapping[str, Any]) -> Scoring:
    """Return how a result was scored.

    Args:
        record: of a result: ``task`` names its task, ``scoring`` describes that of a plug-in.

    Raises:
        ValueError: the task is not known here, and the record does not describe it.
    """
    name = str(record.get("task") or DEFAULT)
    if name in known_scorings():
        return known_scorings()[name]
    stored = record.get("scoring")
    if not isinstance(stored, Mapping):
        raise ValueError(f"the task '{name}' is not known here")
    return described(stored)


def described(record: Mapping[str, Any]) -> Scoring:
    """Return the scoring that :meth:`~bench.tasks.metric.Scoring.record` described; no code of its task is needed.

    Raises:
        ValueError: the record is none.
    """
    try:
        metrics = tuple(_metric(metric) for metric in record["metrics"])
        per_class = record.get("per_class")
        return Scoring(
            name=str(record["name"]),
            metrics=metrics,
            policy=str(record.get("policy") or ""),
            per_class=_metric(per_class) if per_class else None,
            extras={str(key): str(words) for key, words in (record.get("extras") or {}).items()},
            read=Means.load if record.get("evidence") == MEANS else None,
            evidence=str(record.get("evidence") or ""),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not the description of a scoring: {error!r}") from error


def _metric(record: Mapping[str, Any]) -> Metric:
    return Metric(**{**record, "shown_in": tuple(record["shown_in"]), "aliases": tuple(record["aliases"])})
