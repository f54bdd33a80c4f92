"""The table of docs/models.md: our counts beside the published ones. ``python -m tests.models.table`` prints it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.base.registry import discover, students
from bench.models.base import build_model, count_parameters

PUBLISHED = Path(__file__).parents[2] / "results" / "published" / "models.csv"
HEADER = "| model | classes | params | at inference | GMACs | at | published | why they differ |"
RULE = "| --- | ---: | ---: | ---: | ---: | --- | --- | --- |"


def row(entry: pd.Series) -> str:
    """Return one line: parameters and MACs of ours, counted now, beside a published figure."""
    options = students.get(entry["model"]).options.defaults()
    model = build_model(entry["model"], int(entry["classes"]), options, device="meta").train()
    total, inference = sum(one.numel() for one in model.parameters()), count_parameters(model)
    size = entry["input"] or "512x512"
    height, width = map(int, size.split("x"))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.empty(2, 3, height, width, device="meta"))
    macs = counter.get_total_flops() / 4e9
    published = [f"{entry[name]} {unit}" for name, unit in (("params_m", "M"), ("macs_g", "G")) if entry[name]]
    cells = (
        f"`{entry['model']}`",
        entry["classes"],
        f"{total:,}",
        f"{inference:,}",
        f"{macs:.2f}",
        size.replace("x", " x "),
        f"{', '.join(published)} ({entry['source']})",
        entry["why_they_differ"],
    )
    return "| " + " | ".join(cells) + " |"


def published() -> pd.DataFrame:
    """Return the published figures as text; what is not told is empty."""
    return pd.read_csv(PUBLISHED, dtype=str, keep_default_na=False)


def table() -> str:
    """Return the whole table."""
    discover()
    return "\n".join([HEADER, RULE, *(row(entry) for _, entry in published().iterrows())])


if __name__ == "__main__":
    print(table())  # noqa: T201
