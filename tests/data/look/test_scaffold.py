from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from bench.base.errors import BenchError
from bench.data.look.scaffold import matrix_text, survey
from bench.matrix.matrix import load_matrix
from bench.matrix.settings import Settings
from bench.plan.groups import Plan, build_plan
from tests.data.own import init
from tests.harness import run

PALETTE = np.array([(0, 0, 0), (200, 0, 0), (0, 200, 0), (0, 0, 200)], np.uint8)


def make(
    root: Path, count: int = 6, size: tuple[int, int] = (40, 70), kind: str = "index", values: Any = (0, 1)
) -> Path:
    """Images and masks whose left, middle, ... parts hold the values."""
    random = np.random.RandomState(0)
    for index in range(count):
        raw = np.tile(np.repeat(np.array(values), -(-size[1] // len(values)))[: size[1]], (size[0], 1)).astype(np.uint8)
        mask = Image.fromarray(PALETTE[raw] if kind == "colour" else raw)
        if kind == "palette":
            mask.putpalette(PALETTE.flatten().tolist())
        for name, image in (
            ("images", Image.fromarray(random.randint(0, 256, (*size, 3)).astype(np.uint8))),
            ("masks", mask),
        ):
            (root / name).mkdir(parents=True, exist_ok=True)
            image.save(root / name / f"{index:02d}.png")
    return root


def planned(path: Path) -> Plan:
    return build_plan(load_matrix(str(path)), Settings(results=path.parent / "results"))


def refused(*arguments: object) -> str:
    with pytest.raises(BenchError) as caught:
        init(*arguments)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("index", (0, 1), {"classes": ["class_0", "class_1"], "ignore": [255]}),
        ("index", (0, 1, 255), {"classes": ["class_0", "class_1"], "ignore": [255]}),
        ("index", (0, 255), {"classes": ["class_0", "class_255"], "values": [0, 255]}),
        ("index", (1, 2), {"classes": ["class_1", "class_2"], "values": [1, 2], "ignore": [255]}),
        ("palette", (0, 2, 3), {"classes": ["class_0", "class_2", "class_3"], "values": [0, 2, 3], "ignore": [255]}),
        ("colour", (0, 0, 2), {"colours": {"class_0": [0, 0, 0], "class_1": [0, 200, 0]}}),
    ],
)
def test_every_kind_of_masks_gives_a_matrix_that_can_be_planned_and_whose_data_pass(
    tmp_path: Path, kind: str, values: tuple[int, ...], expected: dict[str, Any]
) -> None:
    make(tmp_path / "data", kind=kind, values=values)
    path = tmp_path / "mine.yaml"
    init(path, "--images", tmp_path / "data" / "images")
    written = yaml.safe_load(path.read_text())["dataset"]
    assert {key: written[key] for key in ("classes", "values", "colours", "ignore") if key in written} == expected
    plan = planned(path)
    assert len(plan.cells) == 9
    splits = plan.cells[0].cell.dataset.splits
    plan.data.require(splits)
    plan.data.check({name: plan.data.split(name) for name in splits})


def test_the_output_tells_what_was_found_and_what_to_do_next(tmp_path: Path) -> None:
    make(tmp_path, values=(0, 0, 0, 1))
    told = init(tmp_path / "my own.yaml", "--images", tmp_path / "images", "--val-share", "0.5")
    assert "3 train, 3 val (by share, 0.5 for val)" in told
    assert re.search(r"class_0 +│ 0 +│ +77.14%", told)  # 54 of 70 columns
    assert "all 6 masks" in told
    assert "python -m bench run -m '" in told
    assert "made-up names" in told


def test_paths_are_relative_where_the_data_lie_below_or_beside(tmp_path: Path) -> None:
    make(tmp_path / "data")
    given = ("--images", tmp_path / "data" / "images", "--masks", tmp_path / "data" / "masks")
    for name, images in {
        "mine.yaml": "data/images",
        "matrices/mine.yaml": "../data/images",
        "a/b/mine.yaml": (tmp_path / "data" / "images").as_posix(),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        init(tmp_path / name, *given)
        assert yaml.safe_load((tmp_path / name).read_text())["dataset"]["images"] == images
        planned(tmp_path / name)


def test_names_come_from_a_file_beside_the_masks_if_their_number_fits(tmp_path: Path) -> None:
    make(tmp_path, values=(0, 2))
    (tmp_path / "classes.txt").write_text("no\nyes: maybe\n")
    init(tmp_path / "two.yaml", "--images", tmp_path / "images")
    found = load_matrix(str(tmp_path / "two.yaml")).matrix.dataset.options
    assert (found["classes"], found["values"]) == (["no", "yes: maybe"], [0, 2])
    assert yaml.safe_load((tmp_path / "two.yaml").read_text())["dataset"]["classes"] == ["no", "yes: maybe"]
    (tmp_path / "classes.txt").write_text("a\nb\nc\nd\n")
    told = init(tmp_path / "four.yaml", "--images", tmp_path / "images")
    assert "in none of the masks read: b, d" in told
    found = load_matrix(str(tmp_path / "four.yaml")).matrix.dataset.options
    assert found["classes"] == ["a", "b", "c", "d"]
    assert "values" not in found
    (tmp_path / "classes.txt").write_text("only\n")
    init(tmp_path / "made.yaml", "--images", tmp_path / "images")
    assert load_matrix(str(tmp_path / "made.yaml")).matrix.dataset.options["classes"] == ["class_0", "class_2"]
    told = refused(tmp_path / "x.yaml", "--images", tmp_path / "images", "--classes", tmp_path / "classes.txt")
    assert "1 names do not fit the masks, which hold 0, 2" in told


@pytest.mark.parametrize("kind", ["colour", "palette"])
def test_a_table_of_colours_names_the_classes(tmp_path: Path, kind: str) -> None:
    make(tmp_path, kind=kind, values=(0, 0, 1))
    table = tmp_path / "table.csv"
    table.write_text("name,r,g,b\nroad,200,0,0\nsky,0,0,0\n")
    told = init(tmp_path / "m.yaml", "--images", tmp_path / "images", "--colours", table)
    assert re.search(r"road +│ \(200, 0, 0\) +│ +31.43%", told)  # 22 of 70 columns
    assert load_matrix(str(tmp_path / "m.yaml")).matrix.dataset.options["colours"] == {
        "road": [200, 0, 0],
        "sky": [0, 0, 0],
    }
    table.write_text("sky,0,0,0\ncar,1,1,1\n")
    told = refused(tmp_path / "n.yaml", "--images", tmp_path / "images", "--colours", table)
    assert "1 colours of the masks are not in the table: (200, 0, 0) (5280 pixels)" in told


def test_an_existing_file_is_kept_unless_forced(tmp_path: Path) -> None:
    make(tmp_path)
    path = tmp_path / "mine.yaml"
    path.write_text("precious")
    assert "overwrite it with --force" in refused(path, "--images", tmp_path / "images")
    assert path.read_text() == "precious"
    init(path, "--images", tmp_path / "images", "--force")
    planned(path)


def test_all_problems_are_told_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "masks" / "01.png").unlink()
    Image.new("RGB", (70, 40)).save(tmp_path / "images" / "02.jpg")
    told = refused(tmp_path / "m.yaml", "--images", tmp_path / "images")
    assert "01.png: no mask for it" in told
    assert "02.png: images that differ in their suffix alone" in told
    make(tmp_path)
    (tmp_path / "images" / "02.jpg").unlink()
    Image.fromarray(np.zeros((40, 60), np.uint8)).save(tmp_path / "masks" / "03.png")
    (tmp_path / "masks" / "04.png").write_bytes(b"no image")
    told = refused(tmp_path / "m.yaml", "--images", tmp_path / "images")
    assert "03.png: labels of 60 x 40 pixels do not fit the image of 70 x 40 pixels" in told
    assert "04.png: not a readable image" in told
    assert not (tmp_path / "m.yaml").exists()


@pytest.mark.parametrize(
    ("values", "kind", "sentence"),
    [
        ((1,), "index", "all 6 masks hold one value alone (1). Two classes at least are needed"),
        ((0,), "colour", "all 6 masks hold 1 colours; 2 to 255 are needed"),
    ],
)
def test_masks_that_show_no_classes_are_refused(tmp_path: Path, values: Any, kind: str, sentence: str) -> None:
    make(tmp_path, values=values, kind=kind)
    assert sentence in refused(tmp_path / "m.yaml", "--images", tmp_path / "images")


def test_masks_of_several_kinds_are_refused(tmp_path: Path) -> None:
    make(tmp_path, count=6)
    make(tmp_path, count=2, kind="colour")
    assert "2 colour, 4 index" in refused(tmp_path / "m.yaml", "--images", tmp_path / "images")


def test_wrong_arguments_are_told_in_a_sentence(tmp_path: Path) -> None:
    images = make(tmp_path) / "images"
    assert "no such folder" in refused(tmp_path / "m.yaml", "--images", tmp_path / "none")
    assert "--masks" in refused(tmp_path / "m.yaml", "--images", images, "--masks", tmp_path / "none")
    assert "--lists" in refused(tmp_path / "m.yaml", "--images", images, "--lists", tmp_path / "none")
    assert "name a .yaml file" in refused(tmp_path / "m", "--images", images)
    assert "other than teachers and cache" in refused(tmp_path / "cache.yaml", "--images", images)
    (tmp_path / "masks").rename(tmp_path / "elsewhere")
    assert "Name it: --masks DIR" in refused(tmp_path / "m.yaml", "--images", images)


def test_suffix_splits_and_unused_masks_are_found(tmp_path: Path) -> None:
    make(tmp_path / "train", count=4)
    make(tmp_path / "valid", count=2)
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        for split in ("train", "valid"):
            (tmp_path / split / kind).rename(tmp_path / kind / split)
    for mask in [*(tmp_path / "masks").rglob("*.png")]:
        mask.rename(mask.with_name(f"{mask.stem}_mask.png"))
    (tmp_path / "images" / "train" / "03.png").unlink()
    told = init(tmp_path / "m.yaml", "--images", tmp_path / "images")
    assert "3 train, 2 val (subfolders)" in told
    assert "1 masks belong to no image of a split" in told
    found = load_matrix(str(tmp_path / "m.yaml")).matrix.dataset
    assert found.options["mask_suffix"] == "_mask"
    assert "val_share" not in found.options
    assert found.eval_split == "val"


@pytest.mark.parametrize(
    ("size", "crop", "batch"), [((20, 20), 32, 5), ((40, 70), 32, 5), ((200, 150), 128, 5), ((900, 700), 512, 5)]
)
def test_the_crop_follows_the_sizes(tmp_path: Path, size: tuple[int, int], crop: int, batch: int) -> None:
    found = survey(make(tmp_path, size=size) / "images")
    recipe = yaml.safe_load(matrix_text(found, tmp_path / "m.yaml"))["recipe"]
    assert recipe["augment"]["crop"] == crop
    assert recipe["batch_size"] == batch
    assert recipe["iterations"] == 1000


def test_every_figure_has_its_reason_and_the_larger_pair_exists(tmp_path: Path) -> None:
    text = matrix_text(survey(make(tmp_path) / "images"), tmp_path / "m.yaml")
    recipe = text[text.index("recipe:") : text.index("pairs:")].strip().splitlines()[1:]
    assert [line for line in recipe if "#" not in line] == ["  augment:"]
    path = tmp_path / "m.yaml"
    path.write_text(text.replace("  # - {", "  - {"))
    assert len(load_matrix(str(path)).matrix.pairs) == 2


def test_a_sample_is_read_where_there_are_many_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.data.look.scaffold.MOST_READ", 4)
    told = init(tmp_path / "m.yaml", "--images", make(tmp_path) / "images")
    assert "4 of 6 masks were read" in told
    assert "looked at 4 of 6 masks" in (tmp_path / "m.yaml").read_text()


@pytest.mark.slow
def test_the_written_matrix_trains(tmp_path: Path) -> None:
    make(tmp_path)
    path = tmp_path / "mine.yaml"
    init(path, "--images", tmp_path / "images")
    short = yaml.safe_load(path.read_text())
    short["recipe"] |= {"iterations": 4, "evaluations": 1}
    short["seeds"] = [0]
    path.write_text(yaml.safe_dump(short))
    plan = run(path, tmp_path / "results")
    assert [cell.state for cell in plan.cells] == ["done"] * 3
