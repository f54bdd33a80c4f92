"""A user's own images from ``init`` to the report: what is wrong with them is told before anything trains."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from bench.base.errors import EXIT_BAD_REQUEST, EXIT_CELLS_FAILED, EXIT_DONE
from bench.deploy.student import load_student
from tests.command import Command, command_line
from tests.harness import PLUGINS

SIZE = (24, 32)
QUICK = {"iterations": 2, "batch_size": 2, "evaluations": 1, "log_every": 1, "eval_batch_size": 2}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.report.write_plots", lambda *_: [])  # they take longer than all else
    return command_line(monkeypatch, capsys, columns=400)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def image(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, 256, (*size, 3)).astype(np.uint8)


def mask(size: tuple[int, int] = SIZE, values: tuple[int, ...] = (0, 1, 2)) -> np.ndarray:
    return np.resize(np.array(values, np.uint8), size)


def tree(splits: dict[str, list[tuple[np.ndarray, np.ndarray]]]) -> None:
    """Save images and masks by split; no name of a split leaves the division to bench."""
    for split, pairs in splits.items():
        for index, (pixels, labels) in enumerate(pairs):
            save(Path("images", split, f"{split}{index}.png"), pixels)
            save(Path("masks", split, f"{split}{index}.png"), labels)


def init(bench: Command, code: int = EXIT_DONE, **dataset: object) -> str:
    """Write a matrix with ``init``, then make it quick; return what was printed."""
    ended = bench("init", "m.yaml", "--images", "images", "--masks", "masks")
    assert ended.code == code, ended
    if code == EXIT_DONE:
        matrix = yaml.safe_load(Path("m.yaml").read_text())
        matrix["dataset"] |= dataset
        plugins = [str(PLUGINS / "shapes.py")]
        nets = [{"teacher": "net_large", "student": "net_small"}]
        matrix |= {"recipe": QUICK, "plugins": plugins, "pairs": nets, "methods": ["none", "kd"], "seeds": [0]}
        Path("m.yaml").write_text(yaml.safe_dump(matrix))
    return ended.out + ended.err


def run(bench: Command, code: int = EXIT_DONE) -> str:
    ended = bench("run", "-m", "m.yaml", "--plain", "--workers", "0")
    assert ended.code == code, ended
    return ended.out + ended.err


def results() -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(Path("results/m/cells").glob("*/result.json"))]


def report() -> str:
    return Path("results/m/leaderboard.md").read_text()


@pytest.mark.parametrize(("empty", "lost"), [("val", "nothing to score"), ("train", "nothing to learn from")])
def test_a_split_without_a_labelled_pixel_ends_the_run_before_training(bench: Command, empty: str, lost: str) -> None:
    ignored = {split: mask(values=(255,)) if split == empty else mask() for split in ("train", "val")}
    tree({split: [(image(index + 10 * len(split)), labels) for index in range(3)] for split, labels in ignored.items()})
    init(bench)
    told = f"the {empty} split has no labelled pixel, so there is {lost}"
    assert f"problem: {told}" in bench("plan", "-m", "m.yaml").out
    ended = bench("data", "check", "-m", "m.yaml")
    assert ended.code == EXIT_CELLS_FAILED
    assert f"problem: {told}" in ended.out
    assert f"error: {told}" in run(bench, EXIT_BAD_REQUEST)
    assert not Path("results/m/cells").exists()


def test_a_class_that_train_lacks_is_told_everywhere_and_trains(bench: Command) -> None:
    tree({"train": [(image(i), mask(values=(0, 1))) for i in range(3)], "val": [(image(9), mask())]})
    init(bench)
    told = "warning: train has no pixel of a class that is in val, so no student can learn it: class_2"
    assert told in bench("plan", "-m", "m.yaml").out
    assert told in bench("data", "check", "-m", "m.yaml").out
    assert told in run(bench)


def test_another_split_of_the_dataset_may_be_without_labels(bench: Command) -> None:
    unlabelled = [(image(20), mask(values=(255,)))]
    tree({"train": [(image(i), mask()) for i in range(2)], "val": [(image(9), mask())], "test": unlabelled})
    ended = bench(
        "data", "check", "folder", "--set", "images=images", "--set", "masks=masks", "--set", "values=[0,1,2]"
    )
    assert ended.code == EXIT_DONE
    assert "test: all labels of 1 image are ignored" in ended.out


def test_images_of_16_bits_that_use_few_values_are_told_and_read_by_what_init_writes(bench: Command) -> None:
    deep = [np.random.RandomState(i).randint(60, 146, SIZE).astype(np.uint16) for i in range(5)]
    tree({"": [(pixels, mask()) for pixels in deep]})
    assert "5 of 5 images have more than 8 bits a channel and use the values 60 to 145" in init(bench)
    matrix = yaml.safe_load(Path("m.yaml").read_text())
    assert matrix["dataset"]["image_range"] == [0, 255]
    without = {key: value for key, value in matrix["dataset"].items() if key != "image_range"}
    Path("m.yaml").write_text(yaml.safe_dump(matrix | {"dataset": without}))
    told = "5 images of more than 8 bits a channel use only the values 60 to 145"
    assert f"problem: {told}" in bench("data", "check", "-m", "m.yaml").out
    out = run(bench, EXIT_BAD_REQUEST)
    assert f"error: {told}" in out
    assert "the same image" not in out
    assert f"problem: {told}" in bench("plan", "-m", "m.yaml").out
    Path("m.yaml").write_text(yaml.safe_dump(matrix))
    assert "problem" not in bench("plan", "-m", "m.yaml").out
    run(bench)
    assert all(one["protocol"]["fields"]["dataset"]["options"]["image_range"] == [0, 255] for one in results())
    cell = next(Path("results/m/cells").iterdir())
    assert load_student(cell, (PLUGINS / "shapes.py",)).span == (0, 255)


def test_the_range_is_recorded_only_where_it_moves_pixels(bench: Command) -> None:
    deep = [np.random.RandomState(i).randint(0, 65_536, SIZE).astype(np.uint16) for i in range(5)]
    tree({"": [(pixels, mask()) for pixels in deep]})
    init(bench)
    first = bench("plan", "-m", "m.yaml").out
    assert bench("plan", "-m", "m.yaml", "--set", "dataset.image_range=[0,65535]").out == first
    assert bench("plan", "-m", "m.yaml", "--set", "dataset.image_range=[0,65534]").out != first


def test_a_range_that_is_none_is_refused(bench: Command) -> None:
    tree({"": [(image(i), mask()) for i in range(3)]})
    init(bench, image_range=[9, 3])
    ended = bench("plan", "-m", "m.yaml")
    assert ended.code == EXIT_BAD_REQUEST
    assert "image_range: [9, 3]: the value of black has to be below that of white" in ended.err


def test_published_splits_that_share_images_train_where_the_matrix_says_so(bench: Command) -> None:
    tree({"train": [(image(i), mask()) for i in range(3)], "val": [(image(9), mask()), (image(1), mask())]})
    init(bench)
    told = run(bench, EXIT_BAD_REQUEST)
    assert "the same image is in two splits: train ('train1') and val ('val1')" in told
    assert "shared_images: allowed" in told
    before = bench("plan", "-m", "m.yaml").out
    assert "problem: the same image is in two splits" in before
    matrix = yaml.safe_load(Path("m.yaml").read_text())
    matrix["dataset"]["shared_images"] = "allowed"
    Path("m.yaml").write_text(yaml.safe_dump(matrix))
    ended = bench("data", "check", "-m", "m.yaml")
    assert ended.code == EXIT_DONE
    assert "warning: shared_images: allowed: 1 image" in ended.out
    assert "warning: shared_images: allowed: 1 image" in run(bench)
    assert {one["protocol"]["fields"]["dataset"]["shared_images"] for one in results()} == {"allowed"}
    assert "Images that are in both splits: allowed" in report()


def test_lists_that_name_an_image_twice_train_where_the_matrix_says_so(bench: Command) -> None:
    tree({"": [(image(i), mask()) for i in range(3)]})
    Path("lists").mkdir()
    Path("lists/train.txt").write_text("0\n1\n")
    Path("lists/val.txt").write_text("1\n2\n")
    init(bench, lists="lists")
    told = run(bench, EXIT_BAD_REQUEST)
    assert "'1' is in two splits, train and val" in told
    assert "shared_images: allowed" in told
    matrix = yaml.safe_load(Path("m.yaml").read_text())
    matrix["dataset"]["shared_images"] = "allowed"
    Path("m.yaml").write_text(yaml.safe_dump(matrix))
    assert "warning: shared_images: allowed: 1 image" in run(bench)


def test_blank_images_in_both_splits_are_told_and_train(bench: Command) -> None:
    white = np.full((*SIZE, 3), 255, np.uint8)
    tree({"train": [(image(0), mask()), (white, mask())], "val": [(image(9), mask()), (white, mask())]})
    init(bench)
    told = "warning: 2 images of a single colour are the same in two splits"
    assert told in bench("data", "check", "-m", "m.yaml").out
    assert told in run(bench)
    assert all("shared_images" not in one["protocol"]["fields"]["dataset"] for one in results())


def test_masks_of_a_single_class_are_refused_with_the_reason(bench: Command) -> None:
    tree({"": [(image(i), mask(values=(1, 255))) for i in range(4)]})
    told = init(bench, EXIT_BAD_REQUEST)
    assert "hold one value alone (1); 255 is taken for unlabelled. Two classes at least are needed" in told


@pytest.mark.parametrize(
    "sizes",
    [
        [SIZE] * 3,
        [(1, 1), *[SIZE] * 3],
        [(1, 64)] * 3,
    ],
    ids=["three images and a last batch of one", "an image of one pixel", "images of one row"],
)
def test_small_datasets_go_from_init_to_the_report(bench: Command, sizes: list[tuple[int, int]]) -> None:
    pairs = [(image(index, size), mask(size)) for index, size in enumerate(sizes)]
    if sizes[0] == (1, 1):
        tree({"train": pairs[1:], "val": pairs[:1]})
    else:
        tree({"": pairs})
    init(bench)
    run(bench)
    assert len(results()) == 2
    assert "kd" in report()


def test_an_image_that_a_model_cannot_work_on_is_told_by_its_size(bench: Command, tmp_path: Path) -> None:
    tree({"train": [(image(i), mask()) for i in range(3)], "val": [(image(9, (1, 1)), mask((1, 1)))]})
    init(bench)
    plugin = tmp_path / "narrow.py"
    plugin.write_text(
        "from torch import nn\n"
        "from bench.method import Outputs\n"
        "from bench.models.base import SegmentationModel, students\n"
        "class Narrow(SegmentationModel):\n"
        "    def __init__(self, n):\n"
        "        super().__init__()\n"
        "        self.one = nn.Conv2d(3, n, 3)\n"
        "    def forward(self, images):\n"
        "        logits = self.one(images)\n"
        "        return Outputs(logits=logits, embedding=logits, stages=(logits,))\n"
        "@students.register('narrow')\n"
        "def narrow(num_classes: int) -> SegmentationModel:\n"
        "    return Narrow(num_classes)\n"
    )
    matrix = yaml.safe_load(Path("m.yaml").read_text())
    matrix["plugins"].append(str(plugin))
    matrix["pairs"][0]["student"] = "narrow"
    matrix["recipe"] |= {"augment": {"crop": 16}}
    matrix["methods"] = ["none"]
    Path("m.yaml").write_text(yaml.safe_dump(matrix))
    told = run(bench, EXIT_CELLS_FAILED)
    assert "This came of scoring images of 1 x 1 pixels" in told
