"""What a command is told besides the matrix; none of it can move a score."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from bench.base.errors import BenchError
from bench.base.files import require_own, require_own_inside
from bench.data.facts import Locations

SMALL_PIXELS = 128 * 128
MOST_WORKERS = 8


@dataclass(frozen=True)
class Settings:
    """Folders, device and behaviour of one command.

    Attributes:
        results: folder that holds the runs, the trained teachers and the cache; nothing is written elsewhere.
        data_roots: folders that hold datasets; never written to.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        workers: processes that load data; 0 loads in the main one, None chooses by the size of the images.
        checkpoint_seconds: seconds of training between two checkpoints.
        cache_gib: the most that the decoded images of one split may take on disk; 0 keeps none.
        accept_stale: keep finished cells made by other code, versions or data; they are marked.
        retrain: glob patterns of cell ids to train again.
    """

    results: Path = Path("results")
    data_roots: tuple[Path, ...] = ()
    device: str = "auto"
    workers: int | None = None
    checkpoint_seconds: float = 20.0
    cache_gib: float = 64.0
    accept_stale: bool = False
    retrain: tuple[str, ...] = field(default=())

    def workers_for(self, size: tuple[int, int]) -> int:
        """Return the number of loading processes for images of a size, if none was given.

        Small images are loaded faster than they are sent from one process to another; large ones keep one core less
        than the machine has busy, at most 8.

        Args:
            size: height and width in pixels.
        """
        if self.workers is not None:
            return self.workers
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return 0 if size[0] * size[1] < SMALL_PIXELS else max(0, min(MOST_WORKERS, cores - 1))

    @property
    def locations(self) -> Locations:
        """Where datasets look for files and keep derived ones.

        Raises:
            BenchError: the cache is a link or holds one that leads elsewhere.
        """
        given = os.environ.get("BENCH_CACHE")
        cache = Path(given or self.results / "cache")
        if not given:
            require_own(cache)
        require_own_inside(cache)
        return Locations(cache=cache, data_roots=self.data_roots)


def data_roots(given: list[Path] | None) -> tuple[Path, ...]:
    """Return the data roots of ``--data-root`` and of ``BENCH_DATA``, whose parts are separated as in PATH.

    Raises:
        BenchError: a given folder does not exist.
    """
    from_environment = [Path(part) for part in os.environ.get("BENCH_DATA", "").split(os.pathsep) if part]
    missing = [str(path) for path in given or [] if not path.is_dir()]
    if missing:
        raise BenchError(*(f"--data-root {path}: no such folder" for path in missing))
    return tuple(given or []) + tuple(from_environment)
