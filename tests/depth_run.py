"""Run folders of a plug-in's task that no code here knows: depth in metres, with an error that is better when lower."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.base.files import file_digest, write_json
from bench.store.folders import COUNTS, RESULT, CellFolder, Record, seal
from bench.tasks.means import MEANS, Means
from bench.tasks.metric import Metric, Scoring
from tests.run_builder import RunBuilder

RMSE = Metric(
    "rmse", "RMSE", "Root mean squared error of the depth.", False, 100, scale=1, unit="m", digits=3, noticeable=0.1
)
DELTA = Metric("delta1", "delta 1", "Share of the pixels that are off by a quarter at most.", importance=60)
DEPTH = Scoring(
    "depth of a plug-in",
    (RMSE, DELTA),
    policy="over all pixels of the split whose depth is known",
    per_class=Metric("rmse_of", "RMSE", "Root mean squared error of one class.", False, scale=1, unit="m", digits=3),
    evidence=MEANS,
)


def depth_metrics(rmse: float | None) -> Record:
    """Return metrics around one error."""
    if rmse is None:
        return {"rmse": None, "delta1": None, "rmse_of": {}}
    return {"rmse": rmse, "delta1": 1 - rmse / 2, "rmse_of": {"near": rmse / 2, "far": 2 * rmse}}


def depth_run(path: Path, scoring: Scoring = DEPTH, **defaults: Any) -> RunBuilder:
    """Return a run without cells."""
    return RunBuilder(path, scoring, (depth_metrics, 0.2), **defaults)


def fill(builder: RunBuilder, errors: Mapping[str, Sequence[float]], **given: Any) -> None:
    """Write a finished cell for each method and seed."""
    for method, by_seed in errors.items():
        for seed, error in enumerate(by_seed):
            builder.done(method, error, seed, **given)


def with_errors(folder: CellFolder, errors: np.ndarray) -> None:
    """Give a finished cell the squared errors of every image, each of so many pixels, and the error that they come to.

    Args:
        folder: the cell.
        errors: (n_images,) mean squared errors.
    """
    pixels = np.full((len(errors), 2), 50.0)
    totals = np.stack([50 * errors, np.zeros(len(errors))], axis=1)
    record = json.loads((folder.path / RESULT).read_text())
    totals[:, 1] = 50 * record["metrics"]["delta1"]
    means = Means(("rmse", "delta1"), totals, pixels, np.array([0.5, 1.0]))
    means.save(folder.path / COUNTS)
    record["metrics"] |= means.scores()
    record["files"][COUNTS] = file_digest(folder.path / COUNTS)
    write_json(folder.path / RESULT, seal(record))
