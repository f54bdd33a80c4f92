"""From the cells of a method to its row."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bench.leaderboard.pairing import DONE, by_seed, oriented
from bench.leaderboard.rows import CONFIDENCE, Cell, Row
from bench.leaderboard.statistics import (
    Resampled,
    detectable_difference,
    image_difference,
    mean_over_seeds,
    paired_difference,
)
from bench.matrix.baseline import BASELINE
from bench.tasks.metric import Metric, Scoring

BySeed = Mapping[int, Cell]
Images = Mapping[str, Resampled]
"""The score on every draw of the split's images, by cell id."""


@dataclass(frozen=True)
class Measured:
    """A row and the cells that it averages.

    Attributes:
        row: the row; its ``gain_p`` is not adjusted yet.
        scored: the finished cell of each seed with a score.
    """

    row: Row
    scored: BySeed

    @property
    def scores(self) -> dict[int, float | None]:
        """The score by seed."""
        return {seed: float(cell["score"]) for seed, cell in self.scored.items()}


def scored_cells(cells: Iterable[Cell]) -> tuple[dict[int, Cell], list[str]]:
    """Return the finished cell of each seed that counts and has a score, and what was left out of the seeds' cells."""
    picks = by_seed(cells)
    notes = [
        f"seed {seed}: left out {', '.join(str(cell['cell_id']) for cell in picked.left_out)}: {picked.reason}"
        for seed, picked in picks.items()
        if picked.left_out
    ]
    counting = {seed: picked.cell for seed, picked in picks.items() if picked.cell and picked.cell["state"] == DONE}
    return {seed: cell for seed, cell in counting.items() if not pd.isna(cell["score"])}, notes


def measure(
    row: Row, cells: list[Cell], baseline: BySeed, seeds: list[int], images: Images, scoring: Scoring
) -> Measured:
    """Fill a row from its cells.

    Args:
        row: label, method and hyperparameters.
        cells: all cells of the row, finished or not.
        baseline: the scored cells of ``none`` by seed.
        seeds: the seeds of the board.
        images: scores on the draws of the images, by cell id; may lack cells.
        scoring: how the cells are scored.
    """
    scored, notes = scored_cells(cells)
    values = list(scored.values())
    notes = [*_missing_seeds(cells, scored, seeds), *notes, *_notes(values)]
    measured = Measured(replace(row, states=_states(cells)), scored)
    found, gain_notes = ({}, []) if row.method == BASELINE else _gain(measured, baseline, images, scoring.primary)
    over_seeds = mean_over_seeds(measured.scores, CONFIDENCE)
    interval = over_seeds.interval
    filled = replace(
        measured.row,
        score_mean=over_seeds.mean,
        score_sd=over_seeds.sd,
        score_low=interval.low if interval else None,
        score_high=interval.high if interval else None,
        n_seeds=len(scored),
        metrics=_other_metrics(values, scoring),
        terms=tuple(dict.fromkeys(term for cell in values for term in cell["terms"])),
        method_params=_middle(values, "method_params"),
        notes=(*notes, *gain_notes),
        **_efficiency(values),
        **_relative(scored, baseline),
        **found,
    )
    return Measured(filled, scored)


def _other_metrics(values: Sequence[Cell], scoring: Scoring) -> dict[str, float]:
    """Return the mean over the seeds of each metric but the primary one, where a seed has it."""
    found = {key: [cell["metrics"].get(key) for cell in values] for key in scoring.keys[1:]}
    known = {key: [value for value in of_seeds if value is not None] for key, of_seeds in found.items()}
    return {key: statistics.fmean(of_seeds) for key, of_seeds in known.items() if of_seeds}


def _gain(measured: Measured, baseline: BySeed, images: Images, metric: Metric) -> tuple[dict[str, Any], list[str]]:
    """Return the fields of the gain over ``none``, paired by seed, and what is to be said about it."""
    scored = measured.scored
    reference = {seed: float(cell["score"]) for seed, cell in baseline.items()}
    gain = paired_difference(oriented(metric, measured.scores), oriented(metric, reference), CONFIDENCE)
    n = gain.n[0]
    notes = []
    if 0 < n < len(scored):
        notes.append(f"gain over n={n} of {len(scored)}: {BASELINE} has no score on the other seeds")
    pairs = [
        (images[cell["cell_id"]], images[baseline[seed]["cell_id"]])
        for seed, cell in scored.items()
        if seed in baseline and cell["cell_id"] in images and baseline[seed]["cell_id"] in images
    ]
    of_images = {}
    if pairs and len({side.resamples for pair in pairs for side in pair}) == 1:
        own, base = (_average(side) for side in zip(*pairs, strict=True))
        better, worse = (own, base) if metric.higher_is_better else (base, own)
        over_images = image_difference(better, worse, CONFIDENCE).interval
        if over_images:
            of_images = {"image_gain_low": over_images.low, "image_gain_high": over_images.high}
        if len(pairs) < n:
            notes.append(f"interval over images from {len(pairs)} of {n} seeds: the others have no readable counts")
    return {
        "gain_mean": gain.mean,
        "gain_sd": gain.sd,
        "gain_low": gain.interval.low if gain.interval else None,
        "gain_high": gain.interval.high if gain.interval else None,
        "gain_p": gain.p,
        "n_paired": n,
        "detectable": None if gain.sd is None else detectable_difference(gain.sd, n),
        **of_images,
    }, notes


def _average(cells: tuple[Resampled, ...]) -> Resampled:
    """Return a method's mean over its seeds on every draw, from those of its cells."""
    known = [cell.score for cell in cells if cell.score is not None]
    mean = statistics.fmean(known) if len(known) == len(cells) else None
    return Resampled(mean, np.mean([cell.values for cell in cells], axis=0), cells[0].resamples)


def _efficiency(values: list[Cell]) -> dict[str, Any]:
    """Return what the model costs at inference; speed and memory only where all seeds share one setting."""
    settings = {cell["setting"] for cell in values if cell["setting"]}
    alike = len(settings) == 1
    peaks = [cell["peak_mem_mib"] for cell in values if not pd.isna(cell["peak_mem_mib"])]
    return {
        **{name: _middle(values, name) for name in ("params", "macs", "flops")},
        "fps": _middle(values, "fps") if alike else None,
        "setting": settings.pop() if alike else None,
        "peak_mem_mib": max(peaks, default=None) if alike else None,
    }


def _relative(scored: BySeed, baseline: BySeed) -> dict[str, Any]:
    """Return training time and peak memory relative to ``none``, over the seeds trained on the same device."""
    common = [(cell, baseline[seed]) for seed, cell in scored.items() if seed in baseline]
    timed = [pair for pair in common if pair[0]["train_device"] == pair[1]["train_device"]]
    return {"cost_rel": _ratio(timed, "train_s"), "peak_mem_rel": _ratio(timed, "train_mem_mib")}


def _ratio(pairs: list[tuple[Cell, Cell]], name: str) -> float | None:
    base = sum(pair[1][name] for pair in pairs)
    ratio = sum(pair[0][name] for pair in pairs) / base if base else float("nan")
    return None if pd.isna(ratio) else ratio


def _notes(values: list[Cell]) -> list[str]:
    settings = {cell["setting"] for cell in values if cell["setting"]}
    notes = []
    if len(settings) > 1:
        notes.append(f"FPS left out, its seeds were timed in different settings: {'; '.join(sorted(settings))}")
    if any(cell["stale"] for cell in values):
        notes.append("holds results of other code, versions or data than the run's own")
    return [*notes, *dict.fromkeys(remark for cell in values for remark in cell["remarks"] or ())]


def _states(cells: Iterable[Cell]) -> dict[str, int]:
    return dict(Counter(str(cell["state"]) for cell in cells if cell["state"] != DONE))


def _middle(cells: Iterable[Cell], name: Hashable) -> float | None:
    known = [cell[name] for cell in cells if not pd.isna(cell[name])]
    return statistics.median(known) if known else None


def _missing_seeds(cells: Iterable[Cell], scored: BySeed, seeds: list[int]) -> list[str]:
    """Say why a mean is over fewer seeds than the board has."""
    missing = [seed for seed in seeds if seed not in scored]
    if not missing or not scored:
        return []
    states: dict[int, str] = {int(cell["seed"]): str(cell["state"]) for cell in cells}
    words = {"done": "done without a score that counts"}
    parts = [f"seed {seed} {words.get(states.get(seed, ''), states.get(seed, 'not run'))}" for seed in missing]
    more = f", and {len(parts) - 6} more" if len(parts) > 6 else ""
    return [f"n={len(scored)} of {len(seeds)}: {', '.join(parts[:6])}{more}"]
