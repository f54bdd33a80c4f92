"""What every distillation method must hold, checked on small models and in-memory samples in a second or two.

``python -m bench check-method NAME|file.py`` and the pytest fixture ``check_method`` run the same checks.
"""

from __future__ import annotations

from bench.conformance.request import check_methods
from bench.conformance.result import FAILED, PASSED, SKIPPED, Result
from bench.conformance.suite import CHECKS

__all__ = ["CHECKS", "FAILED", "PASSED", "SKIPPED", "Result", "check_methods"]
