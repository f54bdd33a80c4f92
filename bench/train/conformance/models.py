"""The pairs of small models that methods are checked on."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor

from bench.data.feed.loader import own_stream
from bench.method import Outputs, OutputSpec, Pair
from bench.models.nets.tiny_fpn import TinyFPN

Role = Literal["student", "teacher"]
Size = tuple[int, int]

NUM_CLASSES = 5
IGNORE = 255
SIZE: Size = (64, 64)
STRIDES = (4, 8, 16)
"""Strides of the stages; logits and embedding have the first one."""


class Probe(TinyFPN):
    """A small pyramid, with a coarser stem or with logits alone where wanted.

    Args:
        num_classes: number of classes K.
        widths: channels of the stem and of the three stages.
        lateral: channels of the embedding.
        coarser: factor on every stride.
        features: give embedding and stages.
    """

    def __init__(
        self, num_classes: int, *, widths: Sequence[int], lateral: int, coarser: int = 1, features: bool = True
    ) -> None:
        super().__init__(num_classes, widths, lateral)
        stem: Any = self.stem[0]
        stem.stride = (2 * coarser, 2 * coarser)
        self.features = features

    def forward(self, images: Tensor) -> Outputs:
        """Return logits and, where wanted, embedding and stages of N x 3 x H x W images."""
        outputs = super().forward(images)
        return outputs if self.features else Outputs(outputs.logits, model=self)


NARROW = {"widths": [8, 8, 16, 16], "lateral": 16}
WIDE = {"widths": [8, 16, 32, 32], "lateral": 32}


@dataclass(frozen=True)
class Kind:
    """A kind of pair, by the options of its :class:`Probe` models."""

    name: str
    student: tuple[tuple[str, Any], ...]
    teacher: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, name: str, student: dict[str, Any], teacher: dict[str, Any]) -> Kind:
        """Return a kind from the options of its models."""
        frozen = [
            tuple((key, tuple(v) if isinstance(v, list) else v) for key, v in one.items()) for one in (student, teacher)
        ]
        return cls(name, *frozen)

    def options(self, role: Role) -> dict[str, Any]:
        """Return the options of one model."""
        return dict(self.student if role == "student" else self.teacher)

    def model(self, role: Role) -> Probe:
        """Return a model of its own: the student in training, the teacher frozen and in evaluation."""
        return copy.deepcopy(_model(self, role))

    def pair(self, size: Size = SIZE) -> Pair:
        """Return what a method may know of this pair at an image size."""
        return Pair(NUM_CLASSES, IGNORE, _spec(self, "student", size), _spec(self, "teacher", size), size)

    def shapes(self, role: Role, size: Size, images: int) -> Outputs:
        """Return one model's outputs as tensors on the meta device, which have shapes alone."""
        return _shapes(self, role, size, images)


EQUAL = Kind.of("equal models", NARROW, NARROW)
WIDER = Kind.of("a wider teacher", NARROW, WIDE)
STRIDED = Kind.of("other strides", NARROW, {**WIDE, "coarser": 2})
BARE = Kind.of("logits alone", {**NARROW, "features": False}, {**WIDE, "features": False})
KINDS = (WIDER, EQUAL, STRIDED, BARE)
"""The first one that a method accepts is what the other checks are made on."""


@lru_cache(maxsize=32)
def _model(kind: Kind, role: Role) -> Probe:
    with own_stream(1 if role == "teacher" else 2):
        model = Probe(NUM_CLASSES, **kind.options(role))
    return model.eval().requires_grad_(False) if role == "teacher" else model.train()


@lru_cache(maxsize=256)
def _spec(kind: Kind, role: Role, size: Size) -> OutputSpec:
    return _shapes(kind, role, size, 1).spec(size)


@lru_cache(maxsize=256)
def _shapes(kind: Kind, role: Role, size: Size, images: int) -> Outputs:
    model = kind.model(role).to("meta").eval()
    with torch.no_grad():
        outputs: Outputs = model(torch.empty(images, 3, *size, device="meta"))
    return outputs
