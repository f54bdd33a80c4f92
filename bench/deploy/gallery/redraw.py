"""A gallery of a run that was made before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.base.device import find_device
from bench.base.errors import BenchError
from bench.deploy.gallery.make import Gallery, make_gallery
from bench.matrix.matrix import LoadedMatrix
from bench.matrix.settings import Settings
from bench.plan.groups import build_plan
from bench.store.folders import RunFolder
from bench.store.frame import read_plan
from bench.train.events import Reporter
from bench.train.splits import prepare_splits


def redraw(run_folder: Path, loaded: LoadedMatrix, settings: Settings, reporter: Reporter, n: int) -> Gallery:
    """Draw the gallery of a run folder.

    Args:
        run_folder: the folder, which may have been renamed since.
        loaded: its matrix.
        settings: folders and device.
        reporter: told what happens.
        n: the most images of each kind on a board.

    Raises:
        BenchError: no such device, the folder holds none of the matrix's finished cells, or the data is not here.
    """
    find_device(settings.device)
    run = RunFolder(run_folder)
    plan = replace(build_plan(loaded, settings), run=run)
    if not any(run.cell(planned.cell.id).state()[0] == "done" for planned in plan.cells):
        command = read_plan(run).command
        hint = f" It was made by: {command}" if command else ""
        raise BenchError(
            f"{run_folder} holds no finished cell of {loaded.path}. Name the matrix of that run, and give the same "
            f"--set as then.{hint}"
        )
    with run.writing():
        return make_gallery(plan, prepare_splits(plan, settings, reporter), settings, reporter, n)
