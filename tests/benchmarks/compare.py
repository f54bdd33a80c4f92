"""``python -m tests.benchmarks.compare RUN STORED``: which kernels are slower than they were, as multiples of ``kd``.

Absolute times of two machines, or of one machine at two moments, say little; the ratio to a reference kernel of the
same run says more. RUN is what ``pytest --benchmark-json`` wrote, STORED is kept under ``results/baselines/``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

REFERENCE = "test_forward_and_backward[kd-cpu]"
GROUP = "methods"


def ratios(run: Mapping) -> dict[str, float]:
    """Return the median time of every kernel as a multiple of the reference's."""
    medians = {entry["name"]: entry["stats"]["median"] for entry in run["benchmarks"] if entry["group"] == GROUP}
    return {name: median / medians[REFERENCE] for name, median in sorted(medians.items()) if name != REFERENCE}


def slower(now: Mapping[str, float], stored: Mapping[str, float], factor: float) -> list[str]:
    """Return one line for every kernel whose ratio grew by more than a factor, or that is no longer measured."""
    found = [f"{name}: not measured" for name in stored if name not in now]
    return found + [
        f"{name}: {now[name]:.1f} times kd, {stored[name]:.1f} times before"
        for name in stored
        if name in now and now[name] > factor * stored[name]
    ]


def main() -> None:
    """Compare, or store with ``--update``; exit 1 where something is slower."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.compare")
    parser.add_argument("run", type=Path)
    parser.add_argument("stored", type=Path)
    parser.add_argument("--factor", type=float, default=2.0)
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    run = json.loads(options.run.read_text())
    now = ratios(run)
    if options.update:
        machine = {"cpu": run["machine_info"]["cpu"]["brand_raw"], "python": run["machine_info"]["python_version"]}
        options.stored.write_text(
            json.dumps({"reference": REFERENCE, "machine": machine, "ratios": now}, indent=1) + "\n"
        )
        return
    problems = slower(now, json.loads(options.stored.read_text())["ratios"], options.factor)
    print("\n".join(problems) or f"{len(now)} kernels, none more than {options.factor:g} times slower against kd")  # noqa: T201
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
