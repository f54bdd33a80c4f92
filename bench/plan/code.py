"""Which code a model is made of, so that results of other code are known."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from bench.base.files import digest, file_digest
from bench.base.registry import Entry, students, teachers
from bench.matrix.cell import ModelSpec
from bench.models.base import build_model


def model_code(model: ModelSpec) -> str:
    """Return a digest of the source files behind a model: its builder's and its class's."""
    entry: Entry[Any] = (students if model.name in students.names() else teachers).get(model.name)
    module = build_model(model.name, 2, model.options, device="meta")
    return digest([entry.code_digest, _source_digest(inspect.getsourcefile(type(module)) or "")], 16)


def _source_digest(source: str) -> str:
    return file_digest(Path(source))[:16] if source and Path(source).is_file() else ""
