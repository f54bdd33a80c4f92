"""``python -m tests.benchmarks``: time and peak memory of every method relative to ``kd``, as a Markdown table."""

from __future__ import annotations

import argparse

import torch

from bench.base.environment import device_name
from tests.benchmarks.kernels import NAMES, kernel, median_ms, peak_mib


def main() -> None:
    """Measure every method right after ``kd``, so that both meet the machine in one state, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    device = options.device
    reference = kernel("kd", device)
    memory = peak_mib(reference, device)
    times, rows = [], {}
    for name in NAMES:
        step = kernel(name, device)
        times.append(median_ms(reference, 10 * options.rounds, device))
        rows[name] = (median_ms(step, options.rounds, device) / times[-1], peak_mib(step, device) / memory)
    print("| method | time | peak memory |\n| --- | ---: | ---: |")  # noqa: T201
    for name, (slower, larger) in sorted(rows.items(), key=lambda row: row[1]):
        print(f"| `{name}` | {slower:.1f}x | {larger:.1f}x |")  # noqa: T201
    print(  # noqa: T201
        f"\n`kd`: {min(times):.2f} to {max(times):.2f} ms before the others, {memory:.1f} MiB. Medians of "
        f"{options.rounds} ({10 * options.rounds} for `kd`) after one; {device_name(torch.device(device))}, "
        f"torch {torch.__version__.partition('+')[0]}."
    )


if __name__ == "__main__":
    main()
