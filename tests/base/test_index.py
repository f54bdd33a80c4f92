from __future__ import annotations

import inspect
from typing import Any

import pytest

from bench.base import registry
from bench.base.entry import Defined, Entry, Written
from bench.base.index import Registration, registrations
from bench.base.options import Options
from bench.base.registry import REGISTRIES, discover
from bench.method.registry import methods

discover()
ENTRIES = [
    pytest.param(entry, id=f"{kind}-{entry.name}")
    for kind, known in REGISTRIES.items()
    for entry in (*known, *known.families())
]


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_text_of_a_built_in_entry_says_what_its_import_does(entry: Entry[Any]) -> None:
    assert isinstance(entry.definition, Written)
    written = entry.definition.registration.options
    assert written is not None, "its options are told by importing it alone"
    imported = Options.of(entry.builder)
    assert written.schema.model_json_schema() == imported.schema.model_json_schema()
    assert written.defaults() == imported.defaults()
    assert written.describe() == imported.describe()
    assert written.required == imported.required
    assert entry.definition.registration.doc == inspect.getdoc(entry.builder)
    assert entry.definition.module_doc == Defined(entry.builder).module_doc
    assert entry.origin == f"{inspect.getsourcefile(entry.builder)}:{inspect.getsourcelines(entry.builder)[1]}"


def test_every_built_in_file_is_read_without_importing_it() -> None:
    found = [item for package in registry._BUILT_IN.values() for item in registrations(package)]
    assert {item.registry for item in found if isinstance(item, Registration)} == set(REGISTRIES)
    assert [item for item in found if isinstance(item, str)] == ["bench.data.sets.classes"], "a package: no entry in it"


def test_the_entry_of_a_sum_has_the_options_of_its_parts() -> None:
    entry = methods.get("kd+cwd")
    assert set(entry.options.defaults()) == {"kd", "cwd"}
    assert [part.name for part in entry.members] == ["kd", "cwd"]
