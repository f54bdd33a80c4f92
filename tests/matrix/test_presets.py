"""The matrices that come with the package: planned without data, and true to what their comments say."""

from __future__ import annotations

import io
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from bench.cli.screen.plan import print_plan
from bench.matrix.find import presets
from bench.matrix.matrix import load_matrix
from bench.matrix.settings import Settings
from bench.plan.groups import build_plan

NEED_DATA = sorted(set(presets()) - {"quick"})
PAPERS = ("voc", "cityscapes", "ade20k", "cocostuff10k", "camvid")


@pytest.mark.parametrize("name", NEED_DATA)
def test_a_preset_is_planned_without_data_and_says_what_is_missing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "camvid-espnet":
        pytest.skip("its teacher's weights are a file that is named in the matrix")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    plan = build_plan(load_matrix(name), Settings(results=tmp_path / "results"))
    text = io.StringIO()
    print_plan(plan, Console(width=1000, file=text))
    shown = text.getvalue()
    assert f"missing: {plan.cells[0].cell.dataset.name} is not there. Looked in" in shown
    assert "python -m bench data prepare" in shown or "Register at" in shown or "cloning" in shown
    for file in plan.published:
        assert file.url in shown
    assert bool(plan.published) == (name != "camvid-small")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("name", PAPERS)
def test_the_papers_presets_have_the_papers_optimiser_and_augmentation(name: str) -> None:
    recipe = load_matrix(name).matrix.recipe
    assert (recipe.optimizer.name, recipe.optimizer.momentum) == ("sgd", 0.9)
    assert (recipe.schedule.name, recipe.schedule.power, recipe.schedule.warmup) == ("poly", 0.9, 0)
    assert recipe.augment.scale == (0.5, 2.0)
    assert recipe.augment.crop == ((360, 360) if name == "camvid" else (512, 512))
    assert recipe.augment.flip == 0.5
    assert recipe.iterations == 40_000
    assert recipe.auxiliary_weight == 0.4


@pytest.mark.parametrize("name", ["voc", "cityscapes", "ade20k", "cocostuff10k"])
def test_the_segformer_variants_in_the_comments_are_valid(name: str) -> None:
    """What a comment tells to type must work."""
    text = presets()[name].read_text()
    lines = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#   --set")]
    typed = " ".join(line for line in lines if "pairs[0].teacher" not in line)

    words = shlex.split(typed)
    overrides = tuple(word for word in words if word != "--set")
    loaded = load_matrix(name, overrides)
    assert loaded.matrix.name == f"{name}-segformer"
    assert loaded.matrix.recipe.optimizer.name == "adamw"
    assert loaded.matrix.recipe.optimizer.lr == 6e-5
    assert loaded.matrix.pairs[0].student.name == "segformer_b0_nvlabs"


def test_the_input_of_camvids_teacher_in_the_comment_is_cirkds() -> None:
    override = (
        "pairs[0].teacher.input={mean: [0.4811, 0.4575, 0.4079], std: [0.0039216, 0.0039216, 0.0039216], bgr: true}"
    )
    assert override.partition("=")[2] in presets()["camvid"].read_text()
    given = load_matrix("camvid", (override,)).matrix.pairs[0].teacher.input
    assert given is not None
    assert given.mean is not None
    blue_first = (104.00698793, 116.66876762, 122.67891434)
    assert [255 * value for value in reversed(given.mean)] == pytest.approx(blue_first, abs=0.02)
    assert given.bgr is True
