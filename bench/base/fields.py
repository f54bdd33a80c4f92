"""Fields that several pydantic models share."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, BeforeValidator, ConfigDict

PositiveInt = Annotated[int, Gt(0)]


Share = Annotated[float, Ge(0), Le(1)]


class Frozen(BaseModel):
    """A model that takes its own keys alone and does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _square(value: Any) -> Any:
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


Size = Annotated[tuple[PositiveInt, PositiveInt], BeforeValidator(_square)]
"""Height and width in pixels; one number stands for a square."""
