"""The mIoU of every finished cell on draws of its split's images: what intervals over images are made from."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from bench.base.files import write_atomic
from bench.leaderboard.statistics import ImageCounts, Resampled, Resamples, resampled_miou
from bench.store.folders import COUNTS
from bench.tasks.segmentation.counts import Counts

CACHE = ".image_draws.npz"
N_DRAWS = 1000
CACHE_FROM = 64
"""Cells from which on it is worth keeping their draws: thousands of them take half a minute."""
_THREADS = 8


@dataclass(frozen=True)
class Drawn:
    """What came of reading the counts.

    Attributes:
        by_cell: mIoU on every draw, by cell id.
        n_unreadable: finished cells with counts that cannot be read.
    """

    by_cell: Mapping[str, Resampled]
    n_unreadable: int


def resampled_cells(cells: pd.DataFrame, cache: Path | None = None) -> Drawn:
    """Score every finished cell on :data:`N_DRAWS` draws of its images; cells of one split get the same draws.

    Args:
        cells: rows as from :func:`bench.store.frame.load`; results without counts are left out.
        cache: file that keeps the scores by the digest of their counts, for cells by the hundred; a broken one is
            made anew, one that cannot be written is done without.
    """
    done = cells[(cells["state"] == "done") & cells["counts_digest"].notna()]
    folders = dict(zip(done["counts_digest"], done["folder"], strict=True))
    known = {digest: kept for digest, kept in _read(cache).items() if digest in folders}
    missing = {digest: Path(folder) / COUNTS for digest, folder in folders.items() if digest not in known}
    found = known | _compute(missing)
    if cache and len(missing) >= CACHE_FROM:
        _write(cache, found)
    by_cell = {
        cell_id: found[digest]
        for cell_id, digest in zip(done["cell_id"], done["counts_digest"], strict=True)
        if digest in found
    }
    return Drawn(by_cell, len(done) - len(by_cell))


def _compute(files: Mapping[str, Path]) -> dict[str, Resampled]:
    """Score the cells in threads, as unpacking and the products of matrices leave Python's lock alone."""
    shared: dict[int, Resamples] = {}

    def score(path: Path) -> Resampled | None:
        counts = _image_counts(path)
        if counts is None:
            return None
        draws = shared.setdefault(counts.n_images, Resamples(counts.n_images, N_DRAWS))
        return resampled_miou([counts], draws)

    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        scored = zip(files, pool.map(score, files.values()), strict=True)
        return {digest: resampled for digest, resampled in scored if resampled is not None}


def _image_counts(path: Path) -> ImageCounts | None:
    try:
        counts = ImageCounts.of(Counts.load(path))
    except (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, zipfile.BadZipFile, MemoryError):
        return None
    return counts if counts.n_images > 0 else None


def _read(cache: Path | None) -> dict[str, Resampled]:
    if cache is None or not cache.is_file():
        return {}
    try:
        with np.load(cache, allow_pickle=False) as kept:
            digests, n_images, own, values = (kept[name] for name in ("digests", "n_images", "miou", "values"))
            shared = {int(n): Resamples(int(n), N_DRAWS) for n in np.unique(n_images)}
            if values.shape[1:] != (N_DRAWS,):
                return {}
            return {
                str(digest): Resampled(None if np.isnan(miou) else float(miou), drawn, shared[int(n)])
                for digest, n, miou, drawn in zip(digests, n_images, own, values, strict=True)
            }
    except (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, zipfile.BadZipFile):
        return {}


def _write(cache: Path, found: Mapping[str, Resampled]) -> None:
    kept: Iterable[Resampled] = found.values()
    arrays: dict[str, Any] = {
        "digests": np.array(list(found), dtype=str),
        "n_images": np.array([one.resamples.n_images for one in kept], dtype=np.int64),
        "miou": np.array([np.nan if one.miou is None else one.miou for one in kept]),
        "values": np.array([one.values for one in kept], dtype=float),
    }

    def write(file: IO[bytes]) -> None:
        np.savez(file, **arrays)

    try:
        write_atomic(cache, write)
    except OSError:  # a report is complete without it
        return
