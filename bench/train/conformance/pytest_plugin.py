"""The pytest fixture with which authors check their methods. Nothing heavy is imported until a test asks for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CheckMethod = Callable[..., None]


@pytest.fixture
def check_method() -> CheckMethod:
    """Check that a distillation method holds what bench relies on; the same as ``bench check-method``.

    The fixture is there wherever bench is installed::

        def test_mine(check_method):
            check_method("mine")  # a registered name, or a sum such as "mine+kd"
            check_method("path/to/file.py")  # every method that the file registers
            check_method("mine", tau=4, layers=[1, 2])  # hyperparameters; of a sum: check_method("a+b", a={"tau": 4})

    It raises AssertionError with every check that failed: what was wrong and what to do. A request that makes no sense,
    such as an unknown name or hyperparameter, raises ``bench.base.errors.BenchError``.
    """

    def check(method: str | Path, **options: Any) -> None:
        from bench.train.conformance.request import check_methods
        from bench.train.conformance.result import FAILED

        failed = [result for result in check_methods([str(method)], options) if result.state == FAILED]
        if failed:
            lines = "\n".join(f"{result.method}: {result.check}: {result.details}" for result in failed)
            raise AssertionError(f"{len(failed)} checks failed:\n{lines}")

    return check
