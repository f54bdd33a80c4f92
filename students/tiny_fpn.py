"""Tiny FPN students for small images and CPUs."""

from __future__ import annotations

from bench.models.base import students
from bench.models.nets.tiny_fpn import TinyFPN


@students.register("tiny_fpn_8")
def tiny_fpn_8(num_classes: int) -> TinyFPN:
    """Tiny FPN of widths 8-16-32 with 16 lateral channels: 21,027 parameters at 11 classes."""
    return TinyFPN(num_classes, (8, 16, 32), 16)


@students.register("tiny_fpn_12")
def tiny_fpn_12(num_classes: int) -> TinyFPN:
    """Tiny FPN of widths 12-24-48 with 24 lateral channels: 46,799 parameters at 11 classes."""
    return TinyFPN(num_classes, (12, 24, 48), 24)
