"""What makes a stored result stale."""

from __future__ import annotations

import inspect
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench.base.files import digest, file_digest
from bench.base.registry import Entry, students, teachers
from bench.matrix.cell import ModelSpec
from bench.models.base import build_model
from bench.store.folders import CONFIG, Record


def _changes(recorded: Any, current: Record, data_changed: Any) -> list[str]:
    """What differs between the making of a result and now, in words."""
    if not isinstance(recorded, dict):
        return [f"{CONFIG} does not tell by which code it was made"]
    words = {
        "method": "the method's code changed",
        "student": "the student's code changed",
        "teacher": "the teacher's code changed",
        "teacher_weights": "the teacher's weights changed",
    }
    changes = []
    for name in sorted(set(recorded) & set(current)):
        if current[name] is not None and recorded[name] != current[name]:
            changes.append(words.get(name, f"{name} {recorded[name]} -> {current[name]}"))
    if "dataset" in recorded and data_changed(recorded["dataset"]):
        changes.append("the content of the dataset changed")
    return changes


@lru_cache(maxsize=256)
def _source_digest(source: str) -> str:
    return file_digest(Path(source))[:16] if source and Path(source).is_file() else ""


def model_code(model: ModelSpec) -> str:
    """Return a digest of the source files behind a model: its builder's and its class's."""
    entry: Entry[Any] = (students if model.name in students.names() else teachers).get(model.name)
    module = build_model(model.name, 2, model.options, device="meta")
    return digest([entry.code_digest, _source_digest(inspect.getsourcefile(type(module)) or "")], 16)
