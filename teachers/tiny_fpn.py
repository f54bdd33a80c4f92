"""The tiny FPN teacher, trained by the harness where no weights are at hand."""

from __future__ import annotations

from bench.models.base import teachers
from bench.models.nets.tiny_fpn import TinyFPN


@teachers.register("tiny_fpn_32")
def tiny_fpn_32(num_classes: int) -> TinyFPN:
    """Tiny FPN of widths 32-64-128-256 with 64 lateral channels: 1,230,507 parameters at 11 classes."""
    return TinyFPN(num_classes, (32, 64, 128, 256), 64)
