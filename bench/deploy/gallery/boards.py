"""The pictures of one board: each model over the chosen images, panels, error maps and the figure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from bench.base.errors import FOREIGN, BenchError, describe_error
from bench.base.files import digest
from bench.data.base import TargetSamples
from bench.data.facts import DatasetInfo
from bench.deploy.gallery.choice import coarse
from bench.deploy.gallery.models import FewSamples, Predicted, load_teacher, load_trained, predict_few
from bench.deploy.gallery.selection import Selected
from bench.deploy.gallery.sheet import MOST_COLUMNS, Sheet, SheetRow, sheet_pdf, sheet_png
from bench.matrix.cell import Cell
from bench.plan.groups import Plan
from bench.store.folders import Record
from bench.tasks.base import Colour, Painter, Task
from bench.tasks.metric import Evidence
from bench.train.setting import Setting
from bench.train.stop import StopRequest

_JPEG_QUALITY = 88


class Stopped(Exception):  # noqa: N818 - a wish, not a fault
    """A stop was requested."""


@dataclass(frozen=True)
class BoardPictures:
    """What was drawn of a board.

    Attributes:
        record: its entry in the index; files are named from the folder of the pictures.
        notes: what a reader should know.
        problems: models that could not be drawn.
    """

    record: Record
    notes: tuple[str, ...]
    problems: tuple[str, ...]


@dataclass
class _Drawn:
    """What a board's images show so far.

    Attributes:
        panels: of each image, as they stand in the index.
        pictures: of each image, a panel and its error map for each column of the figure.
        headings: name of each column of the figure.
        scores: of each image by label.
        shown: every prediction that is drawn.
    """

    panels: list[list[Record]]
    pictures: list[list[tuple[Image.Image, Image.Image | None]]]
    scores: list[dict[str, float | None]]
    headings: list[str] = field(default_factory=list)
    shown: list[Any] = field(default_factory=list)


def draw_board(
    plan: Plan,
    item: Selected,
    splits: Mapping[str, TargetSamples[Any]],
    setting: Setting,
    folder: Path,
    stop: StopRequest | None,
) -> BoardPictures:
    """Draw a board.

    Args:
        plan: where its models lie.
        item: what to draw.
        splits: samples by split name.
        setting: dataset and device.
        folder: where the files go.
        stop: asked before each model and before the figure.

    Raises:
        BenchError: the images cannot be read, or are not those that were scored.
        OSError: a file cannot be written.
        Stopped: a stop was requested.
    """
    return _BoardPainter(plan, item, setting, folder, _chosen_samples(item, splits)).draw(stop)


def _chosen_samples(item: Selected, splits: Mapping[str, TargetSamples[Any]]) -> FewSamples:
    split = item.cells[item.baseline].dataset.eval_split
    if split not in splits:
        raise BenchError(f"the split {split} is not here")
    samples, scored = splits[split], item.stored[item.baseline].n_images
    if len(samples) != scored:
        raise BenchError(f"{split} has {len(samples)} images, {scored} were scored: other data than the results'")
    return FewSamples(samples, [image.index for image in item.images])


class _BoardPainter:
    """Draws one board, model after model, so that one model and one picture of it are in memory at a time."""

    def __init__(self, plan: Plan, item: Selected, setting: Setting, folder: Path, samples: FewSamples) -> None:
        self.plan, self.item, self.setting, self.folder, self.samples = plan, item, setting, folder, samples
        self.info: DatasetInfo = setting.info
        self.slug = board_slug(item)
        self.task, self.metric = setting.task, setting.task.scoring.primary
        count = len(samples)
        self.painters = [_painter(self.task)(*samples.arrays(index), self.info) for index in range(count)]
        self.drawn = _Drawn([[] for _ in range(count)], [[] for _ in range(count)], [{} for _ in range(count)])
        self.notes: list[str] = []
        self.problems: list[str] = []
        self.off_sheet: list[str] = []

    def draw(self, stop: StopRequest | None) -> BoardPictures:
        """Draw images, truth, then what each model makes of them."""
        (self.folder / self.slug).mkdir()
        self._column("image", [painter.photo() for painter in self.painters])
        self._column("truth", [painter.truth() for painter in self.painters])
        for label, name, cell in self._models():
            _heed(stop)
            try:
                predicted = self._predict(cell, name)
            except FOREIGN as error:  # a model's own code may raise anything; the others are drawn
                self.problems.append(f"{self.item.board.title}: {label} is not drawn: {_told(error)}")
                if isinstance(error, torch.OutOfMemoryError):
                    torch.cuda.empty_cache()
                continue
            self._model_column(label, predicted)
        _heed(stop)
        figures: list[str] = []
        try:
            figures = self._figures()
        except OSError:
            raise
        except FOREIGN as error:  # the pictures are there, whatever the figure stumbles over
            self.problems.append(f"{self.item.board.title}: the figure is not drawn: {describe_error(error)}")
        return BoardPictures(self._record(figures), tuple(self.notes), tuple(self.problems))

    def _models(self) -> Iterator[tuple[str, str | None, Cell]]:
        """Yield the teacher, then the students: label, name of the row or None for the teacher, and a cell."""
        taught = [cell for cell in self.item.cells.values() if cell.teacher]
        if taught and taught[0].teacher:
            yield f"teacher {taught[0].teacher.name}", None, taught[0]
        for label, cell in self.item.cells.items():
            yield label, label, cell

    def _predict(self, cell: Cell, row: str | None) -> Predicted:
        if row is None:
            assert cell.teacher is not None
            model = load_teacher(self.plan, cell.teacher)
        else:
            model = load_trained(self.plan, cell)
        predicted = predict_few(model, self.samples, cell.recipe, self.setting)
        if row is not None:
            self._compare(row, predicted.evidence)
        return predicted

    def _compare(self, row: str, evidence: Evidence) -> None:
        """Note where a student does not predict what was scored, as another device or version may do."""
        different = self.item.stored[row].unlike([image.index for image in self.item.images], evidence)
        if different:
            self.notes.append(f"{self.item.board.title}: {row} predicts {different} otherwise than when it was scored")

    def _model_column(self, label: str, predicted: Predicted) -> None:
        for scores, score in zip(self.drawn.scores, predicted.evidence.per_image(), strict=True):
            scores[label] = None if np.isnan(score) else float(score)
        pairs = list(zip(self.painters, predicted.shown, strict=True))
        self.drawn.shown += predicted.shown
        errors = [painter.error(prediction) for painter, prediction in pairs]
        self._column(label, [painter.prediction(prediction) for painter, prediction in pairs], errors)

    def _column(
        self, label: str, pictures: list[Image.Image], errors: Sequence[Image.Image | None] | None = None
    ) -> None:
        """Write one picture of every image."""
        on_sheet = len(self.drawn.headings) < MOST_COLUMNS
        column = len(self.drawn.panels[0])
        for place, image in enumerate(self.item.images):
            stem = f"{self.slug}/{image.index}-{column}"
            pictures[place].save(self.folder / f"{stem}.jpg", quality=_JPEG_QUALITY, subsampling=0)
            error = None if errors is None else errors[place]
            if error is not None:
                error.save(self.folder / f"{stem}-error.png")
            named = {"file": f"{stem}.jpg", "error": None if error is None else f"{stem}-error.png"}
            self.drawn.panels[place].append({"label": label, **named})
            if on_sheet:
                self.drawn.pictures[place].append((pictures[place], error))
        (self.drawn.headings if on_sheet else self.off_sheet).append(label)

    def _legend(self) -> list[tuple[str, Colour]]:
        return self.task.legend(self.painters, self.drawn.shown, self.info)

    def _figures(self) -> list[str]:
        """Write the board as a figure for a paper and return the names of its files."""
        rows = tuple(
            SheetRow(
                f"{image.kind}: {self.samples.names[place]}. {image.why}",
                tuple(picture for picture, _ in self.drawn.pictures[place]),
                tuple(error for _, error in self.drawn.pictures[place]),
                tuple(self._score(place, heading) for heading in self.drawn.headings),
            )
            for place, image in enumerate(self.item.images)
        )
        left_out = [*self.off_sheet, *self.item.left_out]
        notes = [self._reading()]
        seeds = sorted({cell.seed for cell in self.item.cells.values()})
        notes += [f"Students of seed {', '.join(map(str, seeds))}."]
        notes += [f"Not shown: {', '.join(left_out)}."] if left_out else []
        sheet = Sheet(self.item.board.title, tuple(self.drawn.headings), rows, tuple(self._legend()), tuple(notes))
        if self.off_sheet:
            self.notes.append(f"{self.item.board.title}: the figure leaves out {', '.join(self.off_sheet)}")
        contents = {f"{self.slug}.png": sheet_png(sheet), f"{self.slug}.pdf": sheet_pdf(sheet)}
        for name, content in contents.items():
            (self.folder / name).write_bytes(content)
        return list(contents)

    def _reading(self) -> str:
        """Say what stands beneath the predictions."""
        metric = self.metric
        score = f"the {metric.header} of that image" + (f" in {metric.unit}" if metric.unit else "")
        maps = any(error is not None for column in self.drawn.pictures for _, error in column)
        return f"Beneath each prediction: {'its error map, right pixels faded; then ' if maps else ''}{score}."

    def _score(self, place: int, label: str) -> str:
        return coarse(self.metric).text(self.drawn.scores[place].get(label))

    def _record(self, figures: list[str]) -> Record:
        board = self.item.board
        return {
            "board": board.title,
            "dataset": board.dataset,
            "student": board.student,
            "teacher": board.teacher,
            "metric": asdict(self.metric),
            "images": [
                {
                    "name": self.samples.names[place],
                    "kind": image.kind,
                    "why": image.why,
                    "scores": self.drawn.scores[place],
                    "panels": self.drawn.panels[place],
                }
                for place, image in enumerate(self.item.images)
            ],
            "legend": [{"name": name, "colour": list(colour)} for name, colour in self._legend()],
            "figures": figures,
        }


def _heed(stop: StopRequest | None) -> None:
    if stop is not None and stop.requested:
        raise Stopped


def _painter(task: type[Task]) -> type[Painter]:
    if task.painter is None:
        raise BenchError(f"the task {task.scoring.name} has no pictures")
    return task.painter


def board_slug(item: Selected) -> str:
    """Return a file name for a board, unlike that of any other."""
    board = item.board
    text = ".".join(re.sub(r"[^A-Za-z0-9_+-]+", "-", part).strip("-") for part in _parts(item))
    return f"{text[:80]}.{digest([board.title, *(cell.id for cell in item.cells.values())], 8)}"


def _parts(item: Selected) -> list[str]:
    board = item.board
    return [board.dataset, *([board.teacher] if board.teacher else []), board.student]


def _told(error: BaseException) -> str:
    return "; ".join(error.problems) if isinstance(error, BenchError) else describe_error(error)
