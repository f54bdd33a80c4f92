"""Galleries: telling images, the very predictions that were scored, and nothing that can fail a run."""

from __future__ import annotations

import errno
import io
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from bench.base.errors import EXIT_CELLS_FAILED, EXIT_DONE, BenchError
from bench.base.temporary import temporary_name
from bench.cli.gallery import add_to
from bench.cli.screen.progress import PlainReporter
from bench.data.facts import DatasetInfo
from bench.deploy.gallery import Gallery, boards, make_gallery, selection
from bench.deploy.gallery.choice import KINDS, ImageScores, choose_images
from bench.deploy.gallery.models import FewSamples, make_setting, predict_few
from bench.deploy.gallery.selection import first_common_seed, select_boards
from bench.deploy.gallery.sheet import WIDTH, Sheet, SheetRow, _font, _Layout, sheet_pdf, sheet_png
from bench.deploy.student import ImageSegmenter, load_student
from bench.matrix.matrix import load_matrix
from bench.matrix.settings import Settings
from bench.plan.groups import Plan, build_plan
from bench.store.folders import COUNTS, STUDENT
from bench.tasks.segmentation.counts import Counts
from bench.tasks.segmentation.overlay import distinct_palette
from bench.tasks.segmentation.painter import IGNORED, LONGEST_SIDE, WRONG, MaskPainter, colour_table, shown_size
from bench.tasks.segmentation.scores import SCORING
from bench.train.splits import prepare_splits
from bench.train.stop import StopRequest
from tests.harness import BASE, run, write_matrix

MIOU = SCORING.primary


class Run:
    """A finished run, and galleries of it."""

    def __init__(self, matrix: Path, results: Path) -> None:
        self.matrix = matrix
        self.settings = Settings(results=results, device="cpu", accept_stale=True)
        self.log = io.StringIO()
        self.reporter = PlainReporter(Console(file=self.log, width=500))
        self.plan: Plan = build_plan(load_matrix(str(matrix)), self.settings)
        self.splits = prepare_splits(self.plan, self.settings, self.reporter)
        self.folder = self.plan.run.path / "gallery"

    def make(self, n: int = 3, **given: Any) -> Gallery:
        return make_gallery(self.plan, given.pop("splits", self.splits), self.settings, self.reporter, n, **given)

    @property
    def index(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "gallery.json").read_text()))

    def cell(self, label: str, seed: int = 0) -> Path:
        (found,) = (
            planned.cell
            for planned in self.plan.cells
            if (planned.cell.method.label, planned.cell.seed) == (label, seed)
        )
        return self.plan.run.cell(found.id).path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    path = write_matrix(folder, seeds=[0, 1], recipe={**BASE["recipe"], "iterations": 30})
    run(path, folder / "results")
    Run(path, folder / "results").make()
    return folder


@pytest.fixture(autouse=True)
def sheets(monkeypatch: pytest.MonkeyPatch) -> list[Sheet]:
    """Figures take longest to draw: the sheets that are asked for, which only the module's own gallery draws."""
    asked: list[Sheet] = []

    def png(sheet: Sheet) -> bytes:
        asked.append(sheet)
        return b"png"

    monkeypatch.setattr(boards, "sheet_png", png)
    monkeypatch.setattr(boards, "sheet_pdf", lambda _: b"pdf")
    return asked


@pytest.fixture
def finished(trained: Path, tmp_path: Path) -> Run:
    shutil.copytree(trained, tmp_path / "copy")
    return Run(tmp_path / "copy" / "shapes.yaml", tmp_path / "copy" / "results")


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def panels(index: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for board in index["boards"]:
        for image in board["images"]:
            for panel in image["panels"]:
                yield image["name"], panel


def dense(counts: Counts, image: int) -> np.ndarray:
    matrix = np.zeros((counts.num_classes, counts.num_classes), np.int64)
    mine = counts.image == image
    np.add.at(matrix, (counts.target[mine], counts.prediction[mine]), counts.count[mine])
    return matrix


def scored(**by_label: list[list[float]]) -> list[ImageScores]:
    return [ImageScores(label, dict(enumerate(map(np.array, seeds)))) for label, seeds in by_label.items()]


def test_the_index_names_pictures_that_are_there_and_decode(finished: Run) -> None:
    index = finished.index
    assert index["schema"] == 1
    assert len(index["digest"]) == 64
    (board,) = index["boards"]
    assert board["board"].startswith("shapes: net_large → net_small (protocol ")
    assert [board[key] for key in ("dataset", "student", "teacher")] == ["shapes", "net_small", "net_large"]
    labels = ["image", "truth", "teacher net_large", "none", *sorted(["kd", "cwd"])]
    names = [image["name"] for image in board["images"]]
    assert len(names) == len(set(names)) == 8
    named = set()
    for image in board["images"]:
        assert image["kind"] in KINDS
        assert sorted(image["scores"]) == sorted(labels[2:])
        assert [panel["label"] for panel in image["panels"]][:4] == labels[:4]
        assert sorted(panel["label"] for panel in image["panels"]) == sorted(labels)
    for _, panel in panels(index):
        assert (panel["error"] is None) == (panel["label"] in ("image", "truth"))
        for name, kind in ((panel["file"], "JPEG"), (panel["error"], "PNG")):
            if name is None:
                continue
            named.add(name)
            with Image.open(finished.folder / name) as picture:
                picture.load()
                assert (picture.format, picture.size) == (kind, (320, 320))
    assert {(entry["name"], tuple(entry["colour"])) for entry in board["legend"]} >= {("ground", (40, 40, 40))}
    assert {name for name in content(finished.folder) if "/" in name} == named, "no picture lies about unnamed"
    png, pdf = board["figures"]
    with Image.open(finished.folder / png) as figure:
        assert figure.width == WIDTH
    assert (finished.folder / pdf).read_bytes().startswith(b"%PDF")


def test_scores_beneath_the_pictures_are_those_of_the_stored_counts(finished: Run) -> None:
    (board,) = finished.index["boards"]
    for label in ("none", "kd", "cwd"):
        stored = Counts.load(finished.cell(label) / COUNTS).per_image()
        for image in board["images"]:
            assert image["scores"][label] == stored[int(image["name"].partition("/")[2])]
    assert not [note for note in finished.index["notes"] if "otherwise" in note]


EVALUATIONS: list[dict[str, Any]] = [
    {},
    {"evaluation": {"window": 20, "stride": 12}, "align_corners": True},
    {
        "evaluation": {"short_side": 24, "scales": [0.5, 1.5], "flip": True},
        "eval_batch_size": 3,
        "channels_last": False,
    },
]


@pytest.mark.parametrize("changes", EVALUATIONS, ids=["whole", "windows", "scales"])
def test_predictions_reproduce_the_stored_counts_to_the_pixel(tmp_path: Path, changes: dict[str, Any]) -> None:
    given = {"mean": [0.5, 0.3, 0.1], "std": [0.3, 0.2, 0.1], "bgr": True}
    pairs = [{"teacher": "net_large", "student": {"name": "net_small", "input": given}}]
    path = write_matrix(
        tmp_path, pairs=pairs, methods=["none", "kd"], recipe={**BASE["recipe"], "iterations": 3, **changes}
    )
    run(path, tmp_path / "results")
    made = Run(path, tmp_path / "results")
    assert made.make(n=2).problems == ()
    assert not [note for note in made.index["notes"] if "otherwise" in note]
    ((item,), _) = select_boards(made.plan, 2)
    samples = FewSamples(made.splits["val"], [image.index for image in item.images])
    for label, cell in item.cells.items():
        model = boards.load_trained(made.plan, cell)
        predicted = predict_few(model, samples, cell.recipe, make_setting(made.plan, made.settings))
        stored = Counts.load(made.cell(label) / COUNTS)
        for place, image in enumerate(item.images):
            np.testing.assert_array_equal(dense(predicted.evidence, place), dense(stored, image.index))
            labels, mask = samples.arrays(place)[1], predicted.shown[place]
            total = np.zeros((3, 3), np.int64)
            np.add.at(total, (labels[labels < 255], mask[labels < 255]), 1)
            np.testing.assert_array_equal(total, dense(stored, image.index))


def test_error_maps_mark_exactly_the_wrong_pixels(finished: Run) -> None:
    students = {label: ImageSegmenter(load_student(finished.cell(label))) for label in ("none", "kd", "cwd")}
    marks = dict.fromkeys(students, 0)
    for name, panel in panels(finished.index):
        if panel["label"] not in students:
            continue
        pixels, labels = finished.splits["val"][int(name.partition("/")[2])]
        with torch.inference_mode():
            found = students[panel["label"]](pixels.as_subclass(torch.Tensor)[None].float() / 255).argmax(1)[0].numpy()
        with Image.open(finished.folder / panel["error"]) as picture:
            shown = np.asarray(picture.convert("RGB"))
        shown = shown.reshape(32, 10, 32, 10, 3)
        np.testing.assert_array_equal(shown, np.broadcast_to(shown[:, :1, :, :1], shown.shape))
        corner, truth = shown[:, 0, :, 0], labels.numpy()
        wrong, ignored = (corner == WRONG).all(-1), (corner == IGNORED).all(-1)
        np.testing.assert_array_equal(ignored, truth == 255)
        np.testing.assert_array_equal(wrong, (truth != 255) & (found != truth))
        marks[panel["label"]] += int(wrong.sum())
    assert all(marks.values())


def test_a_second_time_nothing_is_drawn(finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(finished.folder)

    def fail(*_: Any) -> None:
        raise AssertionError("it was read again")

    with monkeypatch.context() as patch:
        patch.setattr("bench.deploy.gallery.make.select_boards", fail)
        assert finished.make() == Gallery(finished.folder, boards=1)
    assert finished.log.getvalue() == ""
    assert content(finished.folder) == before


def test_the_same_inputs_give_the_same_files(finished: Run) -> None:
    shutil.rmtree(finished.folder)
    assert finished.make(n=2).made
    before = content(finished.folder)
    shutil.rmtree(finished.folder)
    assert finished.make(n=2).made
    assert content(finished.folder) == before


def test_what_changed_is_drawn_anew_and_the_old_goes(finished: Run) -> None:
    _, first = next(panels(finished.index))
    (finished.folder / first["file"]).unlink()
    assert finished.make().made, "a picture was missing"
    assert finished.make(n=1).made, "fewer images are wanted"
    assert len(finished.index["boards"][0]["images"]) == 3
    for seed in (0, 1):
        shutil.rmtree(finished.cell("kd", seed))
    (figure, _) = finished.index["boards"][0]["figures"]
    assert finished.make(n=1).made, "a cell is gone"
    assert {panel["label"] for _, panel in panels(finished.index)} == {
        "image", "truth", "teacher net_large", "none", "cwd"
    }  # fmt: skip
    assert not (finished.folder / figure).exists()
    assert len([name for name in content(finished.folder) if "/" not in name]) == 3
    assert len(list(finished.folder.glob("pictures-*"))) == 1


def test_a_method_whose_weights_are_damaged_is_left_out_and_tried_again(finished: Run) -> None:
    weights = finished.cell("kd") / STUDENT
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-9] + b"damaged!!")
    made = finished.make(n=1)
    assert made.made
    assert len(made.problems) == 1
    assert "kd is not drawn" in made.problems[0]
    assert "does not match the digest" in made.problems[0]
    assert made.problems[0] in finished.log.getvalue()
    assert made.problems[0] in finished.index["notes"]
    assert "kd" not in {panel["label"] for _, panel in panels(finished.index)}
    weights.write_bytes(whole)
    assert finished.make(n=1).problems == ()
    assert "kd" in {panel["label"] for _, panel in panels(finished.index)}


def test_without_its_teacher_the_students_are_drawn(finished: Run) -> None:
    shutil.rmtree(finished.plan.teachers_run.path)
    made = finished.make(n=1)
    assert made.made
    assert ["teacher net_large is not drawn" in problem for problem in made.problems] == [True]
    assert {panel["label"] for _, panel in panels(finished.index)} == {"image", "truth", "none", "kd", "cwd"}


class Unreadable(FewSamples):
    def __getitem__(self, index: int) -> Any:
        raise BenchError(f"{self.names[index]}: cannot be read")


def test_missing_data_is_told_and_the_old_gallery_stays(finished: Run) -> None:
    before = content(finished.folder)
    val = finished.splits["val"]
    unreadable = Unreadable(val, range(8))
    for splits, told in (
        ({}, "the split val is not here"),
        ({"val": FewSamples(val, range(5))}, "5 images, 8 were scored"),
        ({"val": unreadable}, "cannot be read"),
    ):
        made = finished.make(n=2, splits=splits)
        assert not made.made
        assert [told in problem for problem in made.problems] == [True]
        assert made.problems[0] in finished.log.getvalue()
        assert content(finished.folder) == before


def test_a_full_disk_is_told_and_the_old_gallery_stays(finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before, save = content(finished.folder), Image.Image.save

    def full(picture: Image.Image, target: Any, **given: Any) -> None:
        if str(target).endswith("-3.jpg"):
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        save(picture, target, **given)

    monkeypatch.setattr(Image.Image, "save", full)
    made = finished.make(n=2)
    assert made.problems[0].startswith(f"not made: no disk space for {finished.folder}: ")
    assert made.problems[0] in finished.log.getvalue()
    assert content(finished.folder) == before


@pytest.mark.parametrize("where", ["sheet_pdf", "predict_few", "load_trained"])
def test_an_interruption_leaves_the_old_gallery(finished: Run, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    before = content(finished.folder)

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(boards, where, interrupt)
    with pytest.raises(KeyboardInterrupt):
        finished.make(n=2)
    assert content(finished.folder) == before


def test_a_kill_between_pictures_and_index_leaves_the_old_gallery_whole(
    finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = finished.index

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("bench.deploy.gallery.make.write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            finished.make(n=2)
    assert finished.index == before
    assert all((finished.folder / panel["file"]).is_file() for _, panel in panels(before))
    leftover = finished.folder / temporary_name("pictures")
    leftover.mkdir()
    (leftover / "half.jpg").touch()
    assert finished.make(n=2).made
    assert not leftover.exists()
    assert len(list(finished.folder.glob("pictures-*"))) == 1


def test_a_requested_stop_is_heeded(finished: Run) -> None:
    before, stop = content(finished.folder), StopRequest()
    stop.signal_number = 15
    assert finished.make(n=2, stop=stop).problems == ("not made, as a stop was requested",)
    assert content(finished.folder) == before


@pytest.mark.parametrize("text", ["", "[]", "{", '{"boards": 3, "digest": "x"}', '{"boards": [{"images": [{}]}]}'])
def test_an_index_that_is_damaged_is_written_anew(finished: Run, text: str) -> None:
    (finished.folder / "gallery.json").write_text(text)
    assert finished.make(n=1).made
    assert finished.index["boards"]


@pytest.mark.parametrize("fault", [ZeroDivisionError("by a plug-in"), SystemExit("by a plug-in")])
def test_a_students_own_fault_and_a_figures_stop_nothing_else(
    finished: Run, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    predict = boards.predict_few

    def faulty(model: Any, *given: Any) -> Any:
        if model.body[3].p:  # the students'
            raise fault
        return predict(model, *given)

    monkeypatch.setattr(boards, "predict_few", faulty)
    monkeypatch.setattr(boards, "sheet_pdf", lambda _: 1 / 0)
    made = finished.make(n=1)
    assert made.made
    assert len(made.problems) == 4
    assert f"{type(fault).__name__}: by a plug-in" in made.problems[0]
    assert "the figure is not drawn" in made.problems[3]
    assert finished.index["boards"][0]["figures"] == []
    assert {panel["label"] for _, panel in panels(finished.index)} == {"image", "truth", "teacher net_large"}


def test_a_run_without_a_finished_cell_gets_no_gallery(finished: Run) -> None:
    shutil.rmtree(finished.plan.run.path / "cells")
    shutil.rmtree(finished.folder)
    assert finished.make() == Gallery(finished.folder)
    assert not finished.folder.exists()


def test_what_is_left_out_is_said(finished: Run, monkeypatch: pytest.MonkeyPatch, sheets: list[Sheet]) -> None:
    monkeypatch.setattr(selection, "FEWEST_METHODS", 2)
    monkeypatch.setattr(selection, "MOST_METHODS", 2)
    monkeypatch.setattr(boards, "MOST_COLUMNS", 4)
    ((item,), notes) = select_boards(finished.plan, 1)
    assert next(iter(item.cells)) == "none"
    assert len(item.cells) == 2
    assert f"left out to keep the gallery small: {item.left_out[0]}" in notes[1]
    assert finished.make(n=1).made
    drawn = list(item.cells)[1]
    assert any(note.endswith(f"the figure leaves out {drawn}") for note in finished.index["notes"])
    assert sheets[-1].headings == ("image", "truth", "teacher net_large", "none")
    assert sheets[-1].notes[-2:] == ("Students of seed 0.", f"Not shown: {drawn}, {item.left_out[0]}.")
    monkeypatch.setattr(selection, "MOST_IMAGES", 7)
    ((item,), notes) = select_boards(finished.plan, 4)
    assert notes[0].startswith("at most 2 images of each kind on a board")
    assert len(item.images) == 6
    monkeypatch.setattr(selection, "MOST_BOARDS", 0)
    assert select_boards(finished.plan, 1)[0] == []
    assert "only the first 0 are" in select_boards(finished.plan, 1)[1][0]


def test_cells_that_the_matrix_does_not_have_are_not_drawn(finished: Run) -> None:
    plan = replace(finished.plan, cells=finished.plan.cells[:1])
    ((item,), _) = select_boards(plan, 1)
    assert list(item.cells) == ["none"]
    assert {image.kind for image in item.images} == {"best", "worst"}


def test_without_the_baseline_the_first_method_chooses(finished: Run) -> None:
    for seed in (0, 1):
        shutil.rmtree(finished.cell("none", seed))
    ((item,), notes) = select_boards(finished.plan, 1)
    assert item.baseline == item.board.rows[0].label
    assert any(f"none is not finished, the images were chosen by {item.baseline}" in note for note in notes)


def test_students_are_of_the_first_seed_that_all_have(finished: Run) -> None:
    shutil.rmtree(finished.cell("kd", 0))
    ((item,), _) = select_boards(finished.plan, 1)
    assert {cell.seed for cell in item.cells.values()} == {1}
    shutil.rmtree(finished.cell("cwd", 1))
    ((item,), notes) = select_boards(finished.plan, 1)
    assert {label: cell.seed for label, cell in item.cells.items()} == {"none": 0, "cwd": 0, "kd": 1}
    assert notes[0].endswith("students of seed 0; kd of seed 1")
    assert first_common_seed([{1, 2}, {2, 3}]) == 2
    assert first_common_seed([{4, 1}, {2, 3}]) == 1


def test_best_worst_and_most_improved_are_chosen() -> None:
    none, kd = scored(
        none=[[0.9, 0.1, 0.5, 0.6, 0.7, 0.2], [0.9, 0.1, 0.5, 0.6, 0.7, 0.4]],
        kd=[[0.9, 0.1, 0.8, 0.6, 0.5, 0.2], [0.9, 0.1, 0.8, 0.7, 0.5, 0.4]],
    )
    chosen = choose_images(none, kd, 1, MIOU)
    assert [(image.index, image.kind) for image in chosen] == [(0, "best"), (1, "worst"), (2, "improved")]
    assert chosen[0].why == "none reaches 90.0 % mIoU (mean over 2 seeds), place 1 of 6"
    assert chosen[2].why == "kd gains 30.0 points over none, 50.0 to 80.0 % mIoU (mean over 2 seeds)"
    assert [image.index for image in choose_images(none, kd, 2, MIOU)] == [0, 4, 1, 5, 2, 3]
    assert {image.kind for image in choose_images(none, None, 3, MIOU)} == {"best", "worst"}


def test_a_method_that_helps_nowhere_shows_no_improvement() -> None:
    none, kd = scored(none=[[0.9, 0.1, 0.5]], kd=[[0.8, 0.1, 0.4]])
    assert {image.kind for image in choose_images(none, kd, 1, MIOU)} == {"best", "worst"}


def test_gains_are_over_the_seeds_that_both_have() -> None:
    (none,) = scored(none=[[0.9, 0.1, 0.5, 0.5], [0.9, 0.1, 0.7, 0.5]])
    kd = ImageScores("kd", {1: np.array([0.9, 0.1, 0.6, 0.6]), 7: np.array([0.9, 0.1, 1.0, 0.0])})
    (improved,) = (image for image in choose_images(none, kd, 1, MIOU) if image.kind == "improved")
    assert (improved.index, improved.why) == (3, "kd gains 10.0 points over none, 50.0 to 60.0 % mIoU")


SCORES = st.lists(st.one_of(st.just(float("nan")), st.sampled_from([0.0, 0.25, 0.5, 1.0])), min_size=1, max_size=12)


@settings(deadline=None)
@given(SCORES, st.integers(1, 5), st.randoms(use_true_random=False))
def test_no_image_is_chosen_twice_and_none_without_a_score(levels: list[float], n: int, random: Any) -> None:
    after = [level if np.isnan(level) else random.choice([0.0, 0.5, 1.0]) for level in levels]
    none, kd = scored(none=[levels], kd=[after])
    chosen = choose_images(none, kd, n, MIOU)
    indices = [image.index for image in chosen]
    known = [index for index, level in enumerate(levels) if not np.isnan(level)]
    assert len(set(indices)) == len(indices)
    assert set(indices) <= set(known)
    assert len(indices) >= min(len(known), 2 * n), "best and worst are shown as far as there are images"
    assert all(sum(image.kind == kind for image in chosen) <= n for kind in KINDS)
    best, worst = ([levels[image.index] for image in chosen if image.kind == kind] for kind in ("best", "worst"))
    assert min(best, default=1.0) >= max(worst, default=0.0)
    assert chosen == choose_images(none, kd, n, MIOU)


def test_the_score_of_an_image_leaves_out_classes_that_it_lacks() -> None:
    matrices = np.zeros((3, 3, 3), int)
    matrices[0] = [[6, 2, 0], [0, 2, 0], [0, 0, 0]]
    matrices[2] = [[0, 0, 4], [0, 0, 0], [0, 0, 0]]
    found = Counts.from_dense(matrices).per_image()
    np.testing.assert_allclose(found, [(6 / 8 + 2 / 4) / 2, np.nan, 0.0])


INFO = DatasetInfo(("a", "b", "c"), ((200, 0, 0), (0, 200, 0), (0, 0, 200)), (0.5,) * 3, (0.5,) * 3, "made here")


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (64, 64), (320, 200), (480, 640), (1024, 2048), (2, 3000)])
def test_pictures_are_of_a_useful_size(size: tuple[int, int]) -> None:
    width, height = shown_size(*size)
    assert max(width, height) <= LONGEST_SIDE
    assert max(width, height) > 160
    if max(size) <= LONGEST_SIDE:
        assert width % size[1] == height % size[0] == 0, "masks are enlarged by whole pixels"


def test_large_masks_are_shrunk_without_new_colours() -> None:
    rng = np.random.RandomState(0)
    labels = rng.choice(np.array([0, 1, 2, 255], np.uint8), (700, 1400))
    subject = MaskPainter(np.full((700, 1400, 3), 90, np.uint8), labels, INFO)
    mask = rng.randint(0, 3, labels.shape).astype(np.uint8)
    assert len(np.unique(np.asarray(subject.prediction(mask)).reshape(-1, 3), axis=0)) == 3
    shown = np.asarray(subject.error(mask).convert("RGB")).reshape(-1, 3)
    assert len(np.unique(shown, axis=0)) == 3
    assert subject.photo().size == subject.truth().size == subject.error(mask).size == (640, 320)


def test_overlays_tint_by_class_and_ignored_labels_are_hatched() -> None:
    labels = np.array([[0, 1], [2, 255]], np.uint8)
    subject = MaskPainter(np.full((2, 2, 3), 100, np.uint8), labels, INFO)
    truth = np.asarray(subject.truth())
    assert [truth[y, x].argmax() for y, x in ((10, 10), (10, 300), (300, 10))] == [0, 1, 2]
    hatched = truth[160:, 160:].reshape(-1, 3)
    assert len(np.unique(hatched, axis=0)) == 2
    assert (hatched[:, :1] == hatched).all(), "greys"
    assert np.asarray(subject.prediction(np.ones((2, 2), np.uint8)))[300, 300].argmax() == 1


def test_classes_without_colours_of_their_own_get_some() -> None:
    table = colour_table(replace(INFO, palette=()))
    assert [tuple(map(int, colour)) for colour in table[:3]] == list(distinct_palette(3))


WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=383), min_size=1, max_size=60)


@settings(deadline=None, max_examples=10)
@given(
    st.lists(WORDS, min_size=3, max_size=8),
    st.lists(st.tuples(st.integers(5, 640), st.integers(5, 640)), min_size=1, max_size=3),
    st.lists(WORDS, min_size=1, max_size=40),
)
def test_nothing_on_a_sheet_overlaps(headings: list[str], sizes: list[tuple[int, int]], names: list[str]) -> None:
    rows = []
    for size in sizes:
        pictures = tuple(Image.new("RGB", size) for _ in headings)
        rows.append(SheetRow(" ".join(names)[:300], pictures, (None, None, *pictures[2:]), ("99.9",) * len(headings)))
    legend = tuple((name, (9, 9, 9)) for name in names)
    placed = _Layout(Sheet(" ".join(names), tuple(headings), tuple(rows), legend, ("a note",)))
    boxes = [(left, top, left + p.width, top + p.height) for left, top, p in placed.pictures]
    boxes += [(left, top, left + side, top + side) for left, top, side, _ in placed.boxes]
    for item in placed.texts:
        wide, tall = _font(item.points).getlength(item.text), sum(_font(item.points).getmetrics())
        left = item.left - wide / 2 if item.align == "center" else item.left
        boxes.append((left, item.top, left + wide, item.top + tall))
    areas = np.array(boxes)
    assert areas[:, :2].min() >= 0
    assert areas[:, 2].max() <= WIDTH
    assert areas[:, 3].max() <= placed.height
    inner = np.minimum(areas[:, None, 2:], areas[None, :, 2:]) - np.maximum(areas[:, None, :2], areas[None, :, :2])
    shared = (inner > 3).all(-1)
    np.fill_diagonal(shared, False)
    assert not shared.any()


def test_sheets_are_the_same_bytes_every_time() -> None:
    picture = Image.new("RGB", (40, 30), (200, 30, 30))
    row = SheetRow("best: $x_1", (picture,) * 3, (None, None, picture), ("", "", "50.0"))
    sheet = Sheet("a → b", ("image", "truth", "none"), (row,), (("класс", (1, 2, 3)),), ())
    assert sheet_png(sheet) == sheet_png(sheet)
    assert sheet_pdf(sheet) == sheet_pdf(sheet)


def command(*arguments: object) -> Any:
    app = typer.Typer()
    add_to(app)

    @app.command()
    def another() -> None: ...

    return CliRunner().invoke(app, ["gallery", *map(str, arguments)])


def test_the_command_draws_a_run_even_one_that_was_renamed(finished: Run) -> None:
    renamed = finished.plan.run.path.rename(finished.plan.run.path.parent / "another-name")
    found = command(renamed, "--matrix", finished.matrix, "-n", 1, "--device", "cpu")
    assert found.exit_code == EXIT_DONE, found.output
    index = json.loads((renamed / "gallery" / "gallery.json").read_text())
    assert f"wrote {renamed / 'gallery' / 'gallery.json'}" in found.output
    assert len(index["boards"][0]["images"]) == 3
    assert "up to date" in command(renamed, "-m", finished.matrix, "-n", 1, "--device", "cpu").output


def test_the_command_fails_where_something_could_not_be_drawn(finished: Run) -> None:
    (finished.cell("kd") / STUDENT).write_bytes(b"")
    found = command(finished.plan.run.path, "-m", finished.matrix, "-n", 1, "--device", "cpu")
    assert found.exit_code == EXIT_CELLS_FAILED
    assert "kd is not drawn" in found.output


def test_the_command_tells_mistakes(finished: Run, tmp_path: Path) -> None:
    for arguments, told in (
        ((tmp_path, "-m", finished.matrix), "is no result folder"),
        ((finished.plan.run.path, "-m", "absent.yaml"), "absent.yaml"),
        ((finished.plan.run.path, "-m", finished.matrix, "--set", "recipe.iterations=7"), "holds no finished cell"),
        ((finished.plan.run.path, "-m", finished.matrix, "--device", "abacus"), "--device abacus: unknown"),
        ((finished.plan.run.path, "-m", finished.matrix, "--data-root", tmp_path / "no"), "no such folder"),
    ):
        error = command(*arguments).exception
        assert isinstance(error, BenchError)
        assert told in str(error)
