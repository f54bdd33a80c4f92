from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict, ValidationError

from bench.base import options
from bench.base.errors import BenchError


class Pair: ...


class Builder:
    def __init__(
        self,
        pair: Pair,
        *,
        tau: Annotated[float, Gt(0)] = 1.0,
        share: Annotated[float, Ge(0), Le(1)] = 0.5,
        layers: tuple[int, ...] = (1, 2),
        mode: Literal["a", "b"] = "a",
        size: int | str = 3,
        deep: bool = False,
        limit: Annotated[int, Lt(9)] | None = None,
    ) -> None: ...


def told(given: dict[str, Any], builder: Any = Builder) -> list[tuple[tuple[str | int, ...], str]]:
    with pytest.raises(ValidationError) as caught:
        options.Options.of(builder).resolve(given)
    return options.sentences(caught.value, options.Options.of(builder).schema)


def test_defaults_are_filled_in_as_json_values() -> None:
    assert options.Options.of(Builder).resolve({"tau": 2}) == {
        "tau": 2.0,
        "share": 0.5,
        "layers": [1, 2],
        "mode": "a",
        "size": 3,
        "deep": False,
        "limit": None,
    }
    assert options.Options.of(Builder).defaults()["layers"] == [1, 2]


def test_what_the_harness_passes_is_no_option() -> None:
    def builder(num_classes: int, *, locations: str = "", pair: str = "", num: int) -> None: ...

    assert list(options.Options.of(builder).schema.model_fields) == ["num"]
    assert options.Options.of(builder).defaults() == {}
    assert told({}, builder) == [(("num",), "'num' is missing")]


@pytest.mark.parametrize(
    ("given", "path", "sentence"),
    [
        ({"tua": 1}, ("tua",), "unknown key 'tua'. Did you mean 'tau'? Known: deep, layers, limit, mode, share, size"),
        ({"float": 1}, ("float",), "unknown key 'float'."),
        ({"a[0]": 1}, ("a[0]",), "unknown key 'a[0]'."),
        ({3: 1}, (3,), "keys should be strings"),
        ({"tau": 0}, ("tau",), "input should be greater than 0, got 0"),
        ({"tau": "hot"}, ("tau",), "input should be a valid number, unable to parse string as a number, got 'hot'"),
        ({"tau": math.inf}, ("tau",), "input should be a finite number, got inf"),
        ({"tau": "inf"}, ("tau",), "input should be a finite number, got 'inf'"),
        ({"tau": True}, ("tau",), "input should be a number, got True"),
        ({"layers": [1, False]}, ("layers", 1), "input should be a number, got False"),
        ({"share": 1.5}, ("share",), "input should be less than or equal to 1, got 1.5"),
        ({"mode": "c"}, ("mode",), "input should be 'a' or 'b', got 'c'"),
        ({"limit": 9}, ("limit",), "input should be less than 9, got 9"),
        ({"layers": [1, "x"]}, ("layers", 1), "input should be a valid integer, unable to parse string"),
    ],
)
def test_sentences(given: dict[Any, Any], path: tuple[str | int, ...], sentence: str) -> None:
    ((found_path, found),) = told(given)
    assert found_path == path
    assert found.startswith(sentence)


def test_a_union_is_told_under_the_key_of_its_option() -> None:
    assert {path for path, _ in told({"size": [1]})} == {("size",)}


def test_every_mistake_is_told() -> None:
    assert {path for path, _ in told({"tau": 0, "share": 2, "x": 1})} == {("tau",), ("share",), ("x",)}


def test_a_boolean_where_one_is_meant() -> None:
    assert options.Options.of(Builder).resolve({"deep": True})["deep"] is True


@pytest.mark.parametrize(
    ("name", "value", "sweep"),
    [
        ("tau", [1, 2], True),
        ("tau", 1, False),
        ("layers", [1, 2], False),
        ("layers", [[1], [2, 3]], True),
        ("mode", ["a", "b"], True),
        ("absent", [1, 2], False),
    ],
)
def test_a_list_is_a_sweep_unless_the_option_is_a_list(name: str, value: Any, sweep: bool) -> None:
    assert options.Options.of(Builder).is_sweep(name, value) is sweep


def test_description_shows_type_bounds_and_default() -> None:
    rows = {name: (kind, default) for name, kind, default in options.Options.of(Builder).describe()}
    assert rows["tau"] == ("float > 0", 1.0)
    assert rows["share"] == ("float >= 0 <= 1", 0.5)
    assert rows["layers"] == ("tuple[int, ...]", (1, 2))
    assert rows["size"][0] == "int | str"


def bad_type(*, pair: int = 0, x: NoSuchType = 1) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def hidden_name(*, _x: int = 1) -> None: ...


def strange_type(*, x: Pair | None = None) -> None: ...


@pytest.mark.parametrize("builder", [bad_type, hidden_name, strange_type])
def test_a_signature_that_cannot_be_read_is_the_authors_mistake(builder: Any) -> None:
    with pytest.raises(BenchError, match=f"the options of {builder.__name__} cannot be read from its signature: "):
        options.Options.of(builder)


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    depth: int = 1


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inner: Inner | None = None
    inners: list[Inner] = []


def test_the_nearest_name_is_looked_for_where_the_unknown_key_stands() -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"inners": [{}, {"dept": 1}], "iner": {}})
    assert options.sentences(caught.value, Outer) == [
        (("inners", 1, "dept"), "unknown key 'dept'. Did you mean 'depth'? Known: depth"),
        (("iner",), "unknown key 'iner'. Did you mean 'inner'? Known: inner, inners"),
    ]
    assert options.known_keys(Outer, ("inner",)) == ["depth"]
    assert options.known_keys(Outer, ("absent",)) == []
