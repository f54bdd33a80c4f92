"""Whether the metrics of a result are those of its own records. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.tasks.scorings import scoring_of

_agreeing: set[str] = set()
"""Digests of the results that were found to agree; of this process alone, as nobody else's word for it is taken."""


def contradiction(record: Mapping[str, Any], path: Path) -> str:
    """Return in what a result contradicts its records, in words; empty where it does not, or nobody here can tell.

    Args:
        record: the result, whose digest is verified.
        path: its records, whose digest is verified.
    """
    digest = str(record["digest"])
    if digest in _agreeing:
        return ""
    metrics = record.get("metrics")
    if not isinstance(metrics, Mapping):
        return ""
    try:
        scoring = scoring_of(record)
        evidence = None if scoring.read is None else scoring.read(path)
    except Exception:  # noqa: BLE001 - whatever a broken archive or a plug-in raises: reports tell what they cannot read
        return ""
    if evidence is None:
        return ""
    try:
        found = scoring.contradiction(metrics, evidence, _classes(record, metrics))
    except Exception as error:  # noqa: BLE001 - a plug-in's code may raise anything
        return f"its records cannot be scored ({error})"
    if not found:
        _agreeing.add(digest)
    return found


def _classes(record: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    """Return the names of the classes in order: those of the protocol, else those that the metrics go by."""
    protocol = record.get("protocol") or {}
    told = ((protocol.get("fields") or {}).get("dataset") or {}).get("classes")
    if told:
        return [str(name) for name in told]
    return next((list(values) for values in metrics.values() if isinstance(values, Mapping)), [])
