"""Options of registered entries, read from their signatures.

The keyword-only arguments of a method, a model builder or a dataset are its options: name, type, bounds (``Annotated``)
and default all come from the signature, so that a wrong one is refused before anything trains.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import PydanticCustomError, to_jsonable_python

from bench.base.errors import BenchError, did_you_mean

FORWARDED = frozenset({"locations", "pair", "num_classes"})
"""Arguments that the harness gives; they are no options."""
_CONFIG = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Options:
    """The options of one entry.

    Args:
        schema: pydantic model of the options.
    """

    def __init__(self, schema: type[BaseModel]) -> None:
        self.schema = schema

    @staticmethod
    @cache
    def of(builder: Callable[..., Any]) -> Options:
        """Return the options that a builder's keyword-only arguments make.

        Raises:
            BenchError: the signature cannot be read: an unknown type, a name with a leading underscore.
        """
        name = getattr(builder, "__name__", "Options")
        try:
            return Options.of_fields(name, _fields(builder))
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise BenchError(f"the options of {name} cannot be read from its signature: {reason}") from error

    @staticmethod
    def of_fields(name: str, fields: Mapping[str, tuple[Any, Any]]) -> Options:
        """Return options given one by one.

        Args:
            name: of the model, as JSON schemas show it.
            fields: type and default by name; the default of one that must be given is an ellipsis.

        Raises:
            TypeError: a type names another that is not known here.
            pydantic.errors.PydanticUserError: a type is none of pydantic's, or a name begins with an underscore.
        """
        definitions: Any = {key: (kind, Field(default)) for key, (kind, default) in fields.items()}
        schema = create_model(name, __config__=_CONFIG, **definitions)
        if not schema.__pydantic_complete__:
            raise TypeError(f"{name} has a type that names an unknown one")
        return Options(schema)

    def resolve(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return all options with defaults filled in, as plain JSON values.

        Raises:
            pydantic.ValidationError: an unknown option, a wrong type, a value out of bounds.
        """
        params = self.schema.model_validate(dict(given)).model_dump(mode="json")
        require_numbers(given, params)
        return params

    def defaults(self) -> dict[str, Any]:
        """Return the default of every option that has one, as a plain JSON value."""
        fields = self.schema.model_fields.items()
        return {name: to_jsonable_python(field.default) for name, field in fields if not field.is_required()}

    @property
    def required(self) -> list[str]:
        """The options that have no default."""
        return [name for name, field in self.schema.model_fields.items() if field.is_required()]

    def is_sweep(self, name: str, value: Any) -> bool:
        """Tell whether a list stands for several values to try rather than for one list-valued option."""
        field = self.schema.model_fields.get(name)
        if not isinstance(value, list) or field is None:
            return False
        takes_list = any(word in str(field.annotation) for word in ("list", "tuple", "Sequence"))
        return not takes_list or bool(value and all(isinstance(item, list) for item in value))

    def sweeps(self, given: Mapping[str, Any]) -> dict[tuple[str, ...], list[Any]]:
        """Return the options that are given several values to try, by key path."""
        return {(key,): value for key, value in given.items() if self.is_sweep(key, value)}

    def describe(self) -> list[tuple[str, str, Any]]:
        """Return ``(name, type with bounds, default)`` of every option."""
        rows = []
        for name, field in self.schema.model_fields.items():
            kind = getattr(field.annotation, "__name__", None) or str(field.annotation).replace("typing.", "")
            if "[" in str(field.annotation) or "|" in str(field.annotation):
                kind = re.sub(r"Annotated\[(\w+), [^\[\]]*\]", r"\1", str(field.annotation).replace("typing.", ""))
            default = "required" if field.is_required() else field.default
            rows.append((name, " ".join([kind, *_bounds(field.metadata)]), default))
        return rows


class OptionsOfParts(Options):
    """The options of several entries, each part's under its name.

    Args:
        parts: options by the name of their part.
    """

    def __init__(self, parts: Mapping[str, Options]) -> None:
        self.parts = dict(parts)
        fields: dict[str, Any] = {}
        for name, part in self.parts.items():
            field = Field(...) if part.required else Field(default_factory=part.schema)
            fields[name] = (part.schema, field)
        super().__init__(create_model("Sum", __config__=_CONFIG, **fields))

    def defaults(self) -> dict[str, Any]:
        """Return the defaults of each part by its name."""
        return {name: part.defaults() for name, part in self.parts.items()}

    def sweeps(self, given: Mapping[str, Any]) -> dict[tuple[str, ...], list[Any]]:
        """Return the options of all parts that are given several values to try, by key path."""
        return {
            (name, *path): values
            for name, part in self.parts.items()
            if isinstance(options := given.get(name), dict)
            for path, values in part.sweeps(options).items()
        }

    def describe(self) -> list[tuple[str, str, Any]]:
        """Return ``(part.name, type with bounds, default)`` of every option of every part."""
        return [
            (f"{name}.{option}", kind, default)
            for name, part in self.parts.items()
            for option, kind, default in part.describe()
        ]


def _fields(builder: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    function: Any = builder.__init__ if inspect.isclass(builder) else builder
    function = function.func if isinstance(function, functools.partial) else function
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, tuple[Any, Any]] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and name not in FORWARDED:
            default = ... if parameter.default is inspect.Parameter.empty else parameter.default
            fields[name] = (hints.get(name, Any), default)
    return fields


def require_numbers(given: Mapping[str, Any], checked: Mapping[str, Any]) -> None:
    """Refuse what pydantic lets pass as a number: true and false, NaN and the infinities.

    Args:
        given: values as written.
        checked: the same values after validation.

    Raises:
        pydantic.ValidationError: with the key path of each.
    """
    if found := list(_no_numbers(given, checked, ())):
        raise ValidationError.from_exception_data("numbers", found)


def _no_numbers(given: Any, checked: Any, path: tuple[str | int, ...]) -> Iterator[Any]:
    if isinstance(checked, float) and not math.isfinite(checked):
        yield {"type": PydanticCustomError("finite", "input should be a finite number"), "loc": path, "input": given}
    elif isinstance(given, bool) and isinstance(checked, int | float) and not isinstance(checked, bool):
        yield {"type": PydanticCustomError("number", "input should be a number"), "loc": path, "input": given}
    elif isinstance(given, Mapping) and isinstance(checked, Mapping):
        for key in given.keys() & checked.keys():
            yield from _no_numbers(given[key], checked[key], (*path, key))
    elif isinstance(given, list) and isinstance(checked, list | tuple):
        for index, (before, after) in enumerate(zip(given, checked, strict=False)):
            yield from _no_numbers(before, after, (*path, index))


def replaced(given: Mapping[str, Any], values: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """Return options with the values at some key paths replaced."""
    result = dict(given)
    for (key, *rest), value in values.items():
        result[key] = replaced(result[key], {tuple(rest): value}) if rest else value
    return result


def changed(params: Mapping[str, Any], base: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the dotted name and value of every option that is not its default."""
    for key, value in params.items():
        default = base.get(key)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            yield from ((f"{key}.{name}", inner) for name, inner in changed(value, default))
        elif value != default:
            yield key, value


def _bounds(metadata: list[Any]) -> list[str]:
    signs = ((Gt, "gt", ">"), (Ge, "ge", ">="), (Lt, "lt", "<"), (Le, "le", "<="))
    return [
        f"{sign} {getattr(item, name):g}" for item in metadata for kind, name, sign in signs if isinstance(item, kind)
    ]


def sentences(error: ValidationError, model: type[BaseModel]) -> list[tuple[tuple[str | int, ...], str]]:
    """Turn a validation error into ``(key path, sentence)`` pairs with the nearest name for unknown keys."""
    found = []
    for problem in error.errors():
        path = _key_path(problem["loc"], ends_in_key=problem["type"] in ("extra_forbidden", "missing"))
        if problem["type"] == "extra_forbidden":
            known = known_keys(model, path[:-1])
            names = ", ".join(sorted(known)) or "none"
            found.append((path, f"unknown key '{path[-1]}'.{did_you_mean(str(path[-1]), known)} Known: {names}"))
        elif problem["type"] == "missing":
            found.append((path, f"'{path[-1]}' is missing"))
        else:
            message = problem["msg"].removeprefix("Value error, ")
            shown = f", got {problem['input']!r}" if not isinstance(problem["input"], dict) else ""
            found.append((path, f"{message[:1].lower()}{message[1:]}{shown}"))
    return list(dict.fromkeys(found))


def _key_path(location: tuple[str | int, ...], ends_in_key: bool) -> tuple[str | int, ...]:
    """Drop pydantic's tags of union members; a user's own key may be called like one."""
    last = len(location) - 1
    return tuple(
        part for position, part in enumerate(location) if (ends_in_key and position == last) or not _is_type_tag(part)
    )


def _is_type_tag(part: str | int) -> bool:
    return isinstance(part, str) and ("[" in part or part in {"int", "float", "str", "bool", "function-before"})


def known_keys(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """Return the keys that a nested model knows at a key path."""
    current: Any = model
    for part in path:
        if isinstance(part, int):
            continue
        field = current.model_fields.get(part) if _is_model(current) else None
        current = _model_in(field.annotation) if field else None
        if current is None:
            return []
    return list(current.model_fields) if _is_model(current) else []


def _is_model(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, BaseModel)


def _model_in(annotation: Any) -> Any:
    if _is_model(annotation):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if (found := _model_in(argument)) is not None:
            return found
    return None
