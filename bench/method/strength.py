"""``strength``: the one axis that all methods share, what all of a method's added terms are multiplied by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from annotated_types import Ge
from pydantic import Field, create_model

from bench.base.options import Options

STRENGTH = "strength"
AS_PUBLISHED = 1.0
"""The strength of a method that is given none; it stands in no key and no label."""


class OptionsWithStrength(Options):
    """The options of a method or of a sum, and its strength.

    Args:
        own: the options of its own.
    """

    def __init__(self, own: Options) -> None:
        self.own = own
        field: Any = (Annotated[float, Ge(0)], Field(AS_PUBLISHED))
        super().__init__(create_model(own.schema.__name__, __base__=own.schema, **{STRENGTH: field}))

    def resolve(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return all options with defaults filled in; the strength only where it is not 1.

        Raises:
            pydantic.ValidationError: an unknown option, a wrong type, a value out of bounds.
        """
        params = super().resolve(given)
        if params[STRENGTH] == AS_PUBLISHED:
            del params[STRENGTH]
        return params

    def defaults(self) -> dict[str, Any]:
        """Return the default of every option that has one, as a plain JSON value."""
        return {**self.own.defaults(), STRENGTH: AS_PUBLISHED}

    def sweeps(self, given: Mapping[str, Any]) -> dict[tuple[str, ...], list[Any]]:
        """Return the options that are given several values to try, by key path."""
        strengths = super().sweeps({key: value for key, value in given.items() if key == STRENGTH})
        return {**self.own.sweeps({key: value for key, value in given.items() if key != STRENGTH}), **strengths}


def with_strength(own: Options) -> Options:
    """Return the options of a method with its strength; one that has an option of that name keeps its own meaning."""
    return own if STRENGTH in own.schema.model_fields else OptionsWithStrength(own)


def split_strength(own: Options, params: Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
    """Return the strength of a method, and the hyperparameters that it is built with.

    Args:
        own: the options of its own.
        params: its hyperparameters, as a cell has them.
    """
    if STRENGTH in own.schema.model_fields or STRENGTH not in params:
        return AS_PUBLISHED, dict(params)
    return float(params[STRENGTH]), {key: value for key, value in params.items() if key != STRENGTH}
