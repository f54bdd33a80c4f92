from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import bench.method.registry  # noqa: F401 - methods are among the registries from here on
from bench.base import registry
from bench.train.conformance.pytest_plugin import check_method  # noqa: F401 - the fixture, where bench is not installed

SHAPES = Path(__file__).parent / "plugins" / "shapes.py"
MATRIX = {
    "dataset": "shapes",
    "recipe": "{iterations: 20, batch_size: 8, augment: {crop: 32}}",
    "pairs": "[{teacher: net_large, student: net_small}]",
    "methods": "[none, kd]",
    "seeds": "[0]",
    "plugins": f"[{SHAPES}]",
}
"""A small matrix: every value is the YAML text of one line, so line 1 is the dataset and line 4 the methods."""

MatrixFile = Callable[..., Path]


@pytest.fixture
def matrix_file(tmp_path: Path) -> MatrixFile:
    """Write the small matrix with some lines changed (text), added (text) or left out (None); return its path."""

    def write(file_name: str = "m.yaml", /, **lines: str | None) -> Path:
        path = tmp_path / file_name
        path.write_text("".join(f"{key}: {text}\n" for key, text in {**MATRIX, **lines}.items() if text is not None))
        return path

    return write


@contextlib.contextmanager
def registries_put_back() -> Iterator[None]:
    """Plug-ins register for the whole process: put back what was registered before."""
    registry.discover()
    entries = {name: known.snapshot() for name, known in registry.REGISTRIES.items()}
    broken = dict(registry._broken)
    yield
    for name, before in entries.items():
        registry.REGISTRIES[name].restore(before)
    registry._broken.clear()
    registry._broken.update(broken)


@pytest.fixture(scope="module", autouse=True)
def _registries_of_the_module() -> Iterator[None]:
    """Fixtures of a module are made before those of its first test."""
    with registries_put_back():
        yield


@pytest.fixture(autouse=True)
def _own_registries() -> Iterator[None]:
    with registries_put_back():
        yield
