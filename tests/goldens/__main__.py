"""Runs golden files, ``python -m tests.goldens FILE...``: a line a case; exit 1 on a mismatch, 2 on a bad file."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch

from bench.method import Unsupported
from tests.goldens.case import NotOffered, mismatches


def main(arguments: list[str] | None = None) -> int:
    """Run the files; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.goldens", description="Run golden files in float64.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--float32", action="store_true", help="compute in float32, at a tolerance of 1e-4")
    options = parser.parse_args(arguments)
    dtype, rtol = (torch.float32, 1e-4) if options.float32 else (torch.float64, 1e-6)
    counts = dict.fromkeys(("passed", "failed", "not offered"), 0)
    for path in options.files:
        try:
            records = json.loads(path.read_text(encoding="utf-8"))
            outcomes = [(str(record["id"]), *_run(record, dtype, rtol)) for record in records]
        except (OSError, ValueError, KeyError, TypeError) as error:
            print(f"{path}: cannot be read as a golden file: {error!r}", file=sys.stderr)  # noqa: T201
            return 2
        for name, verdict, details in outcomes:
            counts[verdict] += 1
            print(f"{name} {verdict}{': ' if details else ''}{'; '.join(details)}")  # noqa: T201
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['not offered']} not offered")  # noqa: T201
    return int(counts["failed"] > 0)


def _run(record: dict[str, Any], dtype: torch.dtype, rtol: float) -> tuple[str, list[str]]:
    try:
        wrong = mismatches(record, dtype, rtol)
    except NotOffered as reason:
        return "not offered", [str(reason)]
    except Unsupported as reason:
        return "failed", [f"refused: {reason}"]
    except Exception as error:  # noqa: BLE001 - one case that cannot be computed is a failed one, others go on
        return "failed", [" ".join(f"{type(error).__name__}: {error}".split())]
    return ("failed" if wrong else "passed"), wrong


if __name__ == "__main__":
    sys.exit(main())
