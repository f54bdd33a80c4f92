"""``predict``: masks score what the cell scored, files never collide, one bad image stops no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

from bench.base.errors import EXIT_CELLS_FAILED, EXIT_DONE, BenchError
from bench.cli.deploy import add_to
from bench.data.base import datasets
from bench.data.facts import DatasetInfo, Locations
from bench.data.sets.camvid import CamVid
from bench.deploy.predict import palette_of, percent, predict_images
from bench.deploy.student import load_student
from bench.method import Outputs
from bench.models.base import SegmentationModel, students
from bench.store.folders import read_result
from bench.tasks.segmentation.overlay import distinct_palette, draw_overlay, palette_image
from bench.tasks.segmentation.scores import scores
from tests.deploy.test_export import make_cell
from tests.harness import BASE, PLUGINS, run, write_matrix

PLUGIN = (PLUGINS / "shapes.py",)
NAMES = ("ground", "disc", "square")
PALETTE = ((40, 40, 40), (220, 60, 60), (60, 200, 80))


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    recipe = {**BASE["recipe"], "iterations": 60}
    (found,) = run(write_matrix(folder, methods=["none"], recipe=recipe), folder / "results").run.cells()
    return found.path


def picture(path: Path, height: int = 20, width: int = 30, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.RandomState(seed).randint(0, 256, (height, width, 3), np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def seen_otherwise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cell that was scored by windows and mirrored images, with images prepared as the matrix says."""
    folder = tmp_path_factory.mktemp("windows")
    recipe = {**BASE["recipe"], "iterations": 30, "evaluation": {"window": 24, "short_side": 40, "flip": True}}
    given = {"mean": [0.5, 0.4, 0.3], "std": [0.5, 0.6, 0.7], "bgr": True}
    pairs = [{"teacher": "net_large", "student": {"name": "net_small", "input": given}}]
    path = write_matrix(folder, methods=["none"], recipe=recipe, pairs=pairs)
    (found,) = run(path, folder / "results").run.cells()
    return found.path


@pytest.mark.parametrize("which", ["cell", "seen_otherwise"])
def test_the_masks_score_what_the_cell_scored(which: str, cell: Path, seen_otherwise: Path, tmp_path: Path) -> None:
    cell = cell if which == "cell" else seen_otherwise
    samples = datasets.get("shapes").builder(Locations(tmp_path)).split("val")
    paths = []
    for index in range(len(samples)):
        paths.append(tmp_path / f"{index}.png")
        Image.fromarray(samples[index][0].permute(1, 2, 0).numpy()).save(paths[-1])
    predictions = predict_images(cell, paths, tmp_path / "out", overlay=False, device="cpu")
    total = np.zeros((3, 3), np.int64)
    for index, prediction in enumerate(predictions.done):
        with Image.open(prediction.mask) as image:
            assert image.mode == "P"
            assert tuple(image.getpalette()[:9]) == sum(PALETTE, ())
            mask = np.asarray(image)
        assert prediction.shares == {
            NAMES[k]: float((mask == k).mean()) for k in sorted(set(mask.flat), key=lambda k: -(mask == k).sum())
        }
        true = samples[index][1].numpy()
        np.add.at(total, (true[true < 255], mask[true < 255]), 1)
    found, metrics = scores(total, NAMES), read_result(cell)["metrics"]
    assert (total.sum(0) > 0).sum() > 1
    assert found == {name: metrics[name] for name in found}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in paths)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK", "I;16"])
def test_masks_have_the_size_of_their_image_whatever_its_form(cell: Path, tmp_path: Path, mode: str) -> None:
    suffix = "tif" if mode == "CMYK" else "png"
    path = tmp_path / f"image.{suffix}"
    grey = np.arange(33 * 21, dtype=np.uint16).reshape(33, 21) * 90
    (Image.fromarray(grey) if mode == "I;16" else Image.new("RGB", (21, 33), (90, 10, 200)).convert(mode)).save(path)
    ((prediction,), problems) = (lambda p: (p.done, p.problems))(predict_images(cell, [path], tmp_path / "out"))
    assert problems == ()
    with Image.open(prediction.mask) as image:
        assert image.size == (21, 33)


def test_images_can_be_resized_for_the_model(cell: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    stripes = np.array(PALETTE, np.uint8)[np.arange(96) // 4 % 2]  # each too narrow to be seen at a quarter of the size
    Image.fromarray(np.broadcast_to(stripes, (64, 96, 3)).copy()).save(path)
    whole = predict_images(cell, [path], tmp_path / "whole").done[0]
    resized = predict_images(cell, [path], tmp_path / "resized", size=(16, 24)).done[0]
    masks = [np.asarray(Image.open(prediction.mask)) for prediction in (whole, resized)]
    assert masks[0].shape == masks[1].shape == (64, 96)
    assert (masks[0] != masks[1]).any()


def test_an_unreadable_image_stops_no_other(cell: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.png").touch()
    truncated = picture(tmp_path / "truncated.png", 200, 200)
    truncated.write_bytes(truncated.read_bytes()[:5000])
    good = [picture(tmp_path / "a.png"), picture(tmp_path / "b.jpg")]
    bad = [tmp_path / name for name in ("text.png", "absent.png", "empty.png", "truncated.png", ".")]
    told: list[Path] = []
    predictions = predict_images(
        cell, [bad[0], good[0], *bad[1:], good[1]], tmp_path / "out", tell=lambda found: told.append(found.image)
    )
    assert told == [prediction.image for prediction in predictions.done] == good
    assert len(predictions.problems) == len(bad)
    for path, problem in zip(bad, predictions.problems, strict=True):
        assert problem.startswith(f"{path}: ")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "a.png", "a.overlay.png", "b.png", "b.overlay.png"
    }  # fmt: skip


def test_images_of_the_same_name_keep_files_of_their_own(cell: Path, tmp_path: Path) -> None:
    names = ("x/a.png", "y/a.jpg", "y/A.png", "z/a.overlay.png", "z/a-2.png", "z/b.png")
    images = [picture(tmp_path / name, 8 + 2 * index, 9) for index, name in enumerate(names)]
    predictions = predict_images(cell, [*images, tmp_path / "x" / ".." / "x" / "a.png"], tmp_path / "out")
    assert [prediction.image for prediction in predictions.done] == images
    files = [file for prediction in predictions.done for file in (prediction.mask, prediction.overlay) if file]
    assert len({str(file).casefold() for file in files}) == 2 * len(images)
    for prediction, height in zip(predictions.done, range(8, 20, 2), strict=True):
        with Image.open(prediction.mask) as mask:
            assert mask.height == height
    assert predictions.done[0].mask.name == "a.png"
    assert predictions.done[-1].overlay == tmp_path / "out" / "b.overlay.png"


def test_images_are_never_written_over(cell: Path, tmp_path: Path) -> None:
    image = picture(tmp_path / "a.png")
    before = image.read_bytes()
    (prediction,) = predict_images(cell, [image], tmp_path).done
    assert image.read_bytes() == before
    assert prediction.mask.name == "a-2.png"


def test_an_image_that_the_student_cannot_take_is_told(tmp_path: Path) -> None:
    class NeedsEven(SegmentationModel):
        def __init__(self, classes: int) -> None:
            super().__init__()
            self.head = torch.nn.Conv2d(3, classes, 1)

        def forward(self, images: Tensor) -> Outputs:
            if images.shape[-1] % 2:
                raise ValueError("odd width")
            return Outputs(self.head(images))

    students.register("needs_even")(NeedsEven)
    folder = make_cell(tmp_path / "cell", "needs_even")
    odd, even = picture(tmp_path / "odd.png", 20, 31), picture(tmp_path / "even.png")
    predictions = predict_images(folder, [odd, even], tmp_path / "out", device="cpu")
    assert [prediction.image for prediction in predictions.done] == [even]
    (problem,) = predictions.problems
    assert problem.startswith(f"{odd}: the student failed on 20x31: ValueError: odd width")
    assert problem.endswith("Give another --size.")
    assert set(predictions.done[0].shares) <= {"c0", "c1", "c2"}, "names are the recorded ones"


def test_colours_are_the_datasets_own_where_they_are_known() -> None:
    assert palette_of("camvid", 11) == CamVid.info.palette
    assert palette_of("camvid", 12) == distinct_palette(12)
    assert palette_of("a dataset of a plug-in that is not loaded", 3) == distinct_palette(3)
    datasets.register("told-by-options")(type("Late", (), {"info": None}))
    datasets.register("told-late")(type("Late", (), {"__annotations__": {"info": DatasetInfo}}))
    for name in ("told-by-options", "told-late"):
        assert palette_of(name, 3) == distinct_palette(3)


def test_generated_colours_differ_and_are_those_of_voc() -> None:
    assert len(set(distinct_palette(256))) == 256
    assert distinct_palette(4) == ((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0))
    assert distinct_palette(22)[21] == (128, 64, 128)


@settings(deadline=None)
@given(st.integers(1, 256), st.integers(0, 2**32 - 1))
def test_a_mask_read_back_is_the_mask(classes: int, seed: int) -> None:
    mask = np.random.RandomState(seed).randint(0, classes, (7, 5)).astype(np.uint8)
    image = palette_image(mask, distinct_palette(classes))
    np.testing.assert_array_equal(np.asarray(image), mask)
    np.testing.assert_array_equal(np.asarray(image.convert("RGB")), np.array(distinct_palette(classes), np.uint8)[mask])


def test_an_overlay_mixes_image_and_colour_by_alpha() -> None:
    pixels = np.full((8, 10, 3), 100, np.uint8)
    mask = np.zeros((8, 10), np.uint8)
    mask[:, 5:] = 1
    for alpha, expected in ((0.0, (100, 100, 100)), (0.25, (130, 90, 90)), (1.0, (220, 60, 60))):
        drawn = np.asarray(draw_overlay(pixels, mask, PALETTE, [(1, "disc", "50.0 %")], alpha))
        assert drawn.shape[:2] > (512, 640), "small images are enlarged and the legend stands beneath"
        assert tuple(drawn[200, 500]) == expected
        assert tuple(drawn[200, 320]) == tuple(
            np.array((100, 100, 100)) + min(1, 2 * alpha) * np.array((120, -40, -40))
        )
    assert (drawn[512:] == PALETTE[1]).all(-1).any(), "the legend shows the class's colour"
    assert not (drawn[512:] == PALETTE[2]).all(-1).any(), "and none of a class that does not occur"


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.text(max_size=120), min_size=1, max_size=40),
    st.sampled_from([(4, 4), (300, 40), (40, 900), (900, 700)]),
)
def test_no_line_of_a_legend_leaves_its_place(names: list[str], size: tuple[int, int]) -> None:
    mask = np.zeros(size, np.uint8)
    lines = [(index, name, "100.0 %") for index, name in enumerate(names)]
    sheet = draw_overlay(np.zeros((*size, 3), np.uint8), mask, [(255, 0, 0)] * len(names), lines, 0.5)
    factor = max(1, 640 // max(size))
    legend = np.asarray(sheet)[size[0] * factor :]
    for margin in (legend[:, :6], legend[:, -6:], legend[-4:]):
        assert (margin == 255).all()
    swatches = (legend == (255, 0, 0)).all(-1)
    starts = (swatches[1:, 1:] & ~swatches[:-1, 1:] & ~swatches[1:, :-1]).sum()
    assert starts == len(names), "no line lies on another's swatch"


def test_what_is_there_is_never_shown_as_none() -> None:
    assert [percent(share) for share in (1.0, 0.4312, 0.0005, 0.0004, 1e-9)] == [
        "100.0 %", "43.1 %", "0.1 %", "<0.1 %", "<0.1 %"
    ]  # fmt: skip


def command(*arguments: str) -> tuple[int, str, str, BaseException | None]:
    app = typer.Typer()
    add_to(app)
    result = CliRunner().invoke(app, ["predict", *arguments, "--plugin", str(PLUGIN[0]), "--device", "cpu"])
    return result.exit_code, result.stdout, result.stderr, result.exception


def test_the_command_tells_the_classes_of_every_image_and_what_went_wrong(
    cell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    picture(tmp_path / "a.png")
    code, out, err, _ = command(str(cell), "a.png")
    assert (code, err) == (EXIT_DONE, "")
    assert out.startswith("a.png: ")
    assert any(f"{name} " in out for name in NAMES)
    assert " %" in out
    assert "wrote predictions/a.png and predictions/a.overlay.png" in out
    code, out, err, _ = command(str(cell), "absent.png", "a.png", "--output", "other", "--no-overlay")
    assert code == EXIT_CELLS_FAILED
    assert "wrote other/a.png\n" in out
    assert err == "error: absent.png: no such file\n"
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["a.png"]


def test_a_folder_stands_for_the_images_in_it(cell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("in/b.png", "in/a.JPG", "in/sub/c.png", "in/.hidden.png", "more/a.png", "d.png"):
        picture(tmp_path / name)
    for name in ("in/notes.txt", "in/a.xml"):
        (tmp_path / name).touch()
    code, out, err, _ = command(str(cell), "in", "d.png", "more", "in/b.png", "--no-overlay")
    assert (code, err) == (EXIT_DONE, "")
    told = [line.split(": ")[0] for line in out.splitlines() if line[0] != " " and not line.startswith("note")]
    assert told == ["in/a.JPG", "in/b.png", "d.png", "more/a.png"]
    assert sorted(path.name for path in Path("predictions").iterdir()) == ["a-2.png", "a.png", "b.png", "d.png"]
    assert [line for line in out.splitlines() if line.startswith("note: in")] == [
        "note: in: 2 files that are no images left out: a.xml, notes.txt",
        "note: in: 1 subfolders left out: sub",
    ]


def test_an_image_in_a_folder_that_cannot_be_read_stops_no_other(
    cell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    picture(tmp_path / "in" / "b.png")
    (tmp_path / "in" / "a.png").write_text("no image")
    code, out, err, _ = command(str(cell), "in", "--output", "in")
    assert code == EXIT_CELLS_FAILED
    assert err.startswith("error: in/a.png: not a readable image")
    assert "wrote in/b-2.png and in/b-2.overlay.png" in out


def test_a_folder_without_an_image_is_told(cell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    picture(tmp_path / "in" / "sub" / "a.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").touch()
    error = command(str(cell), "empty", "in")[3]
    assert isinstance(error, BenchError)
    suffixes = ".bmp, .jpeg, .jpg, .png, .ppm, .tif, .tiff, .webp"
    assert error.problems == (
        f"empty: no image ({suffixes}) in this folder.",
        f"in: no image ({suffixes}) in this folder. Its subfolders are not looked into: name sub.",
    )
    assert not Path("predictions").exists()
    code, out, err, _ = command(str(cell), "empty", "in/sub")
    assert code == EXIT_CELLS_FAILED
    assert err.startswith("error: empty: no image (")
    assert "wrote predictions/a.png" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("absent", "a.png"), "absent: no such folder. Give the folder of a finished cell"),
        (("CELL", "a.png", "--output", "a.png"), "cannot write to a.png: File exists. Choose another --output."),
        (("CELL", "a.png", "--size", "3"), "--size 3: write height and width in pixels"),
        (("CELL", "a.png", "--device", "cuda:77"), "--device cuda:77: this machine has no such device"),
    ],
)
def test_a_mistake_is_told(
    cell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = picture(tmp_path / "a.png").read_bytes()
    app = typer.Typer()
    add_to(app)
    given_ = ["predict", "--plugin", str(PLUGIN[0]), *(str(cell) if text == "CELL" else text for text in arguments)]
    error = CliRunner().invoke(app, given_).exception
    assert isinstance(error, BenchError)
    assert message in str(error)
    assert (tmp_path / "a.png").read_bytes() == before


def test_a_model_of_a_plugin_needs_its_file(cell: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = students.snapshot()
    for registry in (students, *students.siblings):
        kept = {name: entry for name, entry in registry.snapshot().items() if not name.startswith("net_")}
        registry.restore(kept)
    with pytest.raises(BenchError, match=r"unknown student 'net_small'.*--plugin FILE"):
        load_student(cell)
    assert load_student(cell, PLUGIN).name == "net_small"
    students.restore(entries)
