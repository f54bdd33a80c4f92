"""Which cells ``include`` and ``exclude`` leave."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Any

from bench.matrix.matrix import MethodChoice, PairEntry


def _axes(entry: PairEntry, seed: int, choice: MethodChoice) -> dict[str, tuple[str, ...]]:
    return {
        "teacher": (entry.teacher.name,),
        "student": (entry.student.name,),
        "method": (choice.name, choice.label),
        "seed": (str(seed),),
    }


def _matches(rule: Mapping[str, Any], axes: Mapping[str, tuple[str, ...]]) -> bool:
    for axis, wanted in rule.items():
        patterns = [str(item) for item in (wanted if isinstance(wanted, list) else [wanted])]
        if not any(fnmatch.fnmatchcase(value, pattern) for value in axes[axis] for pattern in patterns):
            return False
    return True
