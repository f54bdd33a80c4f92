"""The sum of several methods."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from bench.method.base import Adversary, Batch, Method, Outputs, Pair, Step, common_tasks


class Sum(Method):
    """Adds the terms of its parts; the weights that they give the task loss are multiplied.

    A term keeps its name where that begins with the part's, and is called ``part.term`` otherwise.

    Args:
        pair: the pair.
        parts: methods by name.
    """

    def __init__(self, pair: Pair, parts: Mapping[str, Method]) -> None:
        super().__init__(pair)
        self.names = tuple(parts)
        self.parts = nn.ModuleList(parts.values())
        members = list(parts.values())
        self.taps = tuple(dict.fromkeys(tap for part in members for tap in part.taps))
        self.needs_teacher = any(part.needs_teacher for part in members)
        self.tasks = common_tasks([part.tasks for part in members])
        self.masks_ignored = all(part.masks_ignored for part in members)
        self.task_weight = math.prod(part.task_weight for part in members)
        self.remarks = [remark for part in members for remark in part.remarks]

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the terms of all parts, scalars by name."""
        terms: dict[str, Tensor] = {}
        for name, part in zip(self.names, self.parts, strict=True):
            for term, value in part(student, teacher, batch, step).items():
                terms[term if term.startswith(name) else f"{name}.{term}"] = value
        return terms

    def adversaries(self) -> Sequence[Adversary]:
        """Return the adversaries of all parts."""
        return [adversary for part in self.parts if isinstance(part, Method) for adversary in part.adversaries()]
