"""Why something cannot be told."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a number or a verdict is missing, or what decided in place of a test."""

    NO_SCORE = "no score"
    NO_COMMON_SEED = "no common seed"
    ONE_SEED = "one seed"
    BECAME_NAN = "became NaN"
    FLOOR = "beyond the floor"
