"""Makes the gallery of a run: which pictures, of which models, in which files."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.base.errors import FOREIGN, BenchError, describe_error
from bench.base.files import digest, write_json, write_problem
from bench.base.temporary import sweep, temporary_name
from bench.data.base import TargetSamples
from bench.deploy.gallery.boards import BoardPictures, Stopped, board_slug, draw_board
from bench.deploy.gallery.models import make_setting
from bench.deploy.gallery.selection import Selected, select_boards
from bench.matrix.settings import Settings
from bench.plan.groups import Plan
from bench.report.page.gallery import FOLDER, GALLERY_SCHEMA, INDEX
from bench.store.folders import RESULT, Record
from bench.train.events import Reporter, Said
from bench.train.stop import StopRequest

_DRAWING = 2
"""Counts up where the same inputs give other pictures, so that galleries are made anew."""
_PICTURES = "pictures"


@dataclass(frozen=True)
class Gallery:
    """What became of a gallery.

    Attributes:
        folder: where it lies.
        boards: number of boards in it.
        made: whether it was made now; otherwise it was up to date, or it is not there.
        problems: what could not be drawn.
    """

    folder: Path
    boards: int = 0
    made: bool = False
    problems: tuple[str, ...] = ()


def make_gallery(
    plan: Plan,
    splits: Mapping[str, TargetSamples[Any]],
    settings: Settings,
    reporter: Reporter,
    n: int = 3,
    stop: StopRequest | None = None,
) -> Gallery:
    """Draw what the finished cells of a plan predict on telling images, unless that was done already.

    Writes ``gallery/`` in the run folder: ``gallery.json``, the pictures that it names, and a figure for each board.
    Nothing that goes wrong is raised: it is told, and the gallery that was there stays as it was. The caller holds the
    run folder for writing.

    Args:
        plan: gives the run folder, the cells and the dataset; their state is read from the folder.
        splits: verified samples by split name; the evaluation split is needed.
        settings: device.
        reporter: told in a line or two.
        n: the most images of each kind on a board.
        stop: asked between two models; where it was requested, no new gallery is made.
    """
    folder = plan.run.path / FOLDER
    try:
        return _Maker(plan, splits, settings, reporter, n, stop).make()
    except Stopped:
        problem = "not made, as a stop was requested"
    except OSError as error:
        problem = f"not made: {write_problem(folder, error)}"
    except BenchError as error:
        problem = f"not made: {'; '.join(error.problems)}"
    except FOREIGN as error:  # pictures are no reason to lose a run, whatever it is
        problem = f"not made: {describe_error(error)}"
    reporter.tell(Said(f"gallery: {problem}"))
    return Gallery(folder, problems=(problem,))


@dataclass
class _Maker:
    plan: Plan
    splits: Mapping[str, TargetSamples[Any]]
    settings: Settings
    reporter: Reporter
    n: int
    stop: StopRequest | None

    def __post_init__(self) -> None:
        self.folder = self.plan.run.path / FOLDER

    def make(self) -> Gallery:
        """Draw what is not drawn yet; nothing where the same cells and images are."""
        inputs = gallery_inputs(self.plan, self.n)
        if not inputs["cells"]:
            return Gallery(self.folder)
        wanted, before = digest(inputs), _read_index(self.folder)
        if before.get("digest") == wanted and _complete(self.folder, before):
            return Gallery(self.folder, len(before["boards"]))
        started = time.monotonic()
        selected, notes = select_boards(self.plan, self.n)
        self.reporter.tell(Said(f"gallery: drawing {_counted(len(selected), 'board')}"))
        with self._new_folder() as new:
            boards, problems = self._draw(selected, new)
            for problem in problems:
                self.reporter.tell(Said(f"gallery: {problem}"))
            index = {
                "schema": GALLERY_SCHEMA,
                "digest": None if problems else wanted,  # what failed is tried again next time
                "notes": [*notes, *(note for board in boards for note in board.notes), *problems],
                "boards": [board.record for board in boards],
            }
            if selected and not boards:
                return Gallery(self.folder, problems=tuple(problems))
            self._publish(new, index, before)
        seconds = time.monotonic() - started
        self.reporter.tell(Said(f"gallery: {_counted(len(boards), 'board')} drawn in {seconds:.0f} s: {self.folder}"))
        return Gallery(self.folder, len(boards), made=True, problems=tuple(problems))

    def _draw(self, selected: list[Selected], new: Path) -> tuple[list[BoardPictures], list[str]]:
        setting = make_setting(self.plan, self.settings)
        boards: list[BoardPictures] = []
        problems: list[str] = []
        for item in selected:
            try:
                drawn = draw_board(self.plan, item, self.splits, setting, new, self.stop)
            except (OSError, Stopped):  # a full disk is full for the others too
                raise
            except FOREIGN as error:  # a plug-in's code may raise anything; other boards are drawn
                problems.append(f"{item.board.title}: not drawn: {describe_error(error)}")
                shutil.rmtree(new / board_slug(item), ignore_errors=True)
                continue
            boards.append(drawn)
            problems += drawn.problems
        return boards, problems

    @contextlib.contextmanager
    def _new_folder(self) -> Iterator[Path]:
        """Yield a folder for new pictures; whatever is still in it afterwards goes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        sweep(self.folder, folders=True)
        new = self.folder / temporary_name(_PICTURES)
        new.mkdir()
        try:
            yield new
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _publish(self, new: Path, index: Record, before: Record) -> None:
        """Put new pictures in place of the old: the index names either the old ones or the new, and all are there."""
        number = 1
        while (pictures := self.folder / f"{_PICTURES}-{number}").exists():
            number += 1
        figures = [name for board in index["boards"] for name in board["figures"]]
        for board in index["boards"]:
            for panel in (panel for image in board["images"] for panel in image["panels"]):
                for key in ("file", "error"):
                    panel[key] = panel[key] and f"{pictures.name}/{panel[key]}"
        staged = {name: new / name for name in figures}
        for name, path in staged.items():
            path.replace(self.folder / name)
        new.rename(pictures)
        write_json(self.folder / INDEX, index)
        for old in self.folder.glob(f"{_PICTURES}-*"):
            if old != pictures:
                shutil.rmtree(old, ignore_errors=True)
        for name in _figures(before) - set(figures):
            with contextlib.suppress(OSError):
                (self.folder / name).unlink()


def gallery_inputs(plan: Plan, n: int) -> Record:
    """Return all that the pictures follow from; the choice of images follows from the results alone."""
    info = plan.data.info
    return {
        "drawing": _DRAWING,
        "n": n,
        "classes": list(info.class_names),
        "palette": [list(colour) for colour in info.palette],
        "cells": {
            planned.cell.id: [found, planned.cell.teacher.key if planned.cell.teacher else None]
            for planned in plan.cells
            if (found := _result_digest(plan.run.cell(planned.cell.id).path)) is not None
        },
    }


def _result_digest(cell: Path) -> str | None:
    try:
        return str(json.loads((cell / RESULT).read_text(encoding="utf-8"))["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read_index(folder: Path) -> Record:
    try:
        record = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _complete(folder: Path, index: Record) -> bool:
    """Tell whether every file that an index names is there."""
    try:
        panels = [panel for board in index["boards"] for image in board["images"] for panel in image["panels"]]
        named = {panel[key] for panel in panels for key in ("file", "error")} - {None} | _figures(index)
        return all((folder / name).is_file() for name in named)
    except (KeyError, TypeError):
        return False


def _figures(index: Record) -> set[str]:
    """Return the names of an index' figures, none that lies elsewhere."""
    with contextlib.suppress(KeyError, TypeError):
        names: set[Any] = {name for board in index["boards"] for name in board["figures"]}
        return {name for name in names if isinstance(name, str) and Path(name).name == name}
    return set()


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
