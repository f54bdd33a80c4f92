"""The splits of a plan: found, kept decoded, verified."""

from __future__ import annotations

from typing import Any

from bench.data.base import TargetSamples
from bench.data.feed.cache import GIB, DecodedSamples, keep_decoded
from bench.data.feed.loader import cached_in_memory
from bench.matrix.settings import Settings
from bench.plan.groups import Plan
from bench.train.events import Reporter, Said


def prepare_splits(plan: Plan, settings: Settings, reporter: Reporter) -> dict[str, TargetSamples[Any]]:
    """Find, keep decoded and verify the splits that a plan uses.

    Returns:
        The samples by split name.

    Raises:
        BenchError: files are missing or faulty; all faults are told.
    """
    data, names = plan.data, plan.cells[0].cell.dataset.splits
    data.require(names)
    splits: dict[str, TargetSamples[Any]] = {}
    for name in names:
        samples = data.split(name)
        if settings.cache_gib > 0:
            cache, limit = settings.locations.cache, int(settings.cache_gib * GIB)
            samples, message = keep_decoded(samples, data.fingerprint((name,)), cache, limit)
            if message:
                reporter.tell(Said(f"{name} split: {message}"))
        splits[name] = samples
    for remark in data.check(splits) or ():
        reporter.tell(Said(f"warning: {remark}"))
    for remark in data.remarks(names):
        reporter.tell(Said(f"note: {remark}"))
    return {
        name: samples if isinstance(samples, DecodedSamples) else cached_in_memory(samples)
        for name, samples in splits.items()
    }
