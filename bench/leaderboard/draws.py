"""The score of every finished cell on draws of its split's images: what intervals over images are made from."""

from __future__ import annotations

import contextlib
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
from bench.leaderboard.statistics import Resampled, Resamples, resampled
from bench.store.folders import COUNTS
from bench.tasks.metric import Evidence, Scoring

CACHE = ".image_draws.npz"
N_DRAWS = 1000
CACHE_FROM = 64
"""Cells from which on it is worth keeping their draws: thousands of them take half a minute."""
UNREADABLE = (
    OSError, ValueError, KeyError, IndexError, TypeError, EOFError, zipfile.BadZipFile, MemoryError
)  # fmt: skip
"""What reading a broken archive of arrays raises."""
_THREADS = 8


@dataclass(frozen=True)
class Drawn:
    """What came of reading the evidence.

    Attributes:
        by_cell: the score on every draw, by cell id.
        n_unreadable: finished cells with evidence that is broken.
    """

    by_cell: Mapping[str, Resampled]
    n_unreadable: int


def resampled_cells(cells: pd.DataFrame, cache: Path | None = None) -> Drawn:
    """Score every finished cell on :data:`N_DRAWS` draws of its images; cells of one split get the same draws.

    Args:
        cells: rows as from :func:`bench.store.frame.load`; results without evidence are left out, and those whose
            evidence only the code of their task could read.
        cache: file that keeps the scores by the digest of their evidence, for cells by the hundred; a broken one is
            made anew, one that cannot be written is done without.
    """
    kept = cells[(cells["state"] == "done") & cells["evidence_digest"].notna()].to_dict("records")
    done = [cell for cell in kept if cell["scoring"].read is not None]
    files = {cell["evidence_digest"]: (cell["scoring"], Path(cell["folder"]) / COUNTS) for cell in done}
    known = {digest: scores for digest, scores in _read(cache).items() if digest in files}
    missing = {digest: file for digest, file in files.items() if digest not in known}
    found = known | _compute(missing)
    if cache and len(missing) >= CACHE_FROM:
        _write(cache, found)
    by_cell = {cell["cell_id"]: found[digest] for cell in done if (digest := cell["evidence_digest"]) in found}
    return Drawn(by_cell, len(done) - len(by_cell))


def _compute(files: Mapping[str, tuple[Scoring, Path]]) -> dict[str, Resampled]:
    """Score the cells in threads, as unpacking and the products of matrices leave Python's lock alone."""
    shared: dict[int, Resamples] = {}

    def score(file: tuple[Scoring, Path]) -> Resampled | None:
        evidence = read_evidence(*file)
        if evidence is None or not evidence.n_images:
            return None
        draws = shared.setdefault(evidence.n_images, Resamples(evidence.n_images, N_DRAWS))
        with contextlib.suppress(*UNREADABLE):
            return resampled([evidence], draws)
        return None

    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        scored = zip(files, pool.map(score, files.values()), strict=True)
        return {digest: scores for digest, scores in scored if scores is not None}


def read_evidence(scoring: Scoring, path: Path) -> Evidence | None:
    """Return what a cell's split was scored from; None where it is broken, or only its task's code reads it."""
    try:
        return None if scoring.read is None else scoring.read(path)
    except UNREADABLE:
        return None


def _read(cache: Path | None) -> dict[str, Resampled]:
    if cache is None or not cache.is_file():
        return {}
    try:
        with np.load(cache, allow_pickle=False) as kept:
            digests, n_images, own, values = (kept[name] for name in ("digests", "n_images", "scores", "values"))
            shared = {int(n): Resamples(int(n), N_DRAWS) for n in np.unique(n_images)}
            if values.shape[1:] != (N_DRAWS,):
                return {}
            return {
                str(digest): Resampled(None if np.isnan(score) else float(score), drawn, shared[int(n)])
                for digest, n, score, drawn in zip(digests, n_images, own, values, strict=True)
            }
    except UNREADABLE:
        return {}


def _write(cache: Path, found: Mapping[str, Resampled]) -> None:
    kept: Iterable[Resampled] = found.values()
    arrays: dict[str, Any] = {
        "digests": np.array(list(found), dtype=str),
        "n_images": np.array([one.resamples.n_images for one in kept], dtype=np.int64),
        "scores": np.array([np.nan if one.score is None else one.score for one in kept]),
        "values": np.array([one.values for one in kept], dtype=float),
    }

    def write(file: IO[bytes]) -> None:
        np.savez(file, **arrays)

    try:
        write_atomic(cache, write)
    except OSError:  # a report is complete without it
        return
