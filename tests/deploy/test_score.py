"""``evaluate``: the students' own scores again, published checkpoints without a word about them, mistakes told."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bench.base.errors import BenchError
from bench.base.files import write_json
from bench.cli import main as cli
from bench.data.facts import Locations
from bench.data.sets.camvid import CamVid
from bench.deploy.score import Request, evaluate_weights
from bench.matrix.settings import Settings
from bench.models.base import build_model
from bench.models.nets.espnet import NORMALIZATIONS
from bench.models.weights.reading import save_weights
from bench.tasks.segmentation.scores import scores
from tests.command import Command, command_line
from tests.data.sets.test_camvid import make_camvid
from tests.harness import PLUGINS, run, write_matrix
from tests.models.test_espnet import authors_form, folder

SHAPES = str(PLUGINS / "shapes.py")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Run ``evaluate`` in this process, in a folder with a small CamVid and weights for it; no traceback is shown."""
    make_camvid(tmp_path / "data" / "camvid")
    monkeypatch.delenv("BENCH_DATA", raising=False)
    monkeypatch.chdir(tmp_path)

    return command_line(monkeypatch, capsys, "evaluate", "--device", "cpu", "--data-root", "data")


def weights(classes: int = 11, name: str = "espnet", **options: Any) -> Any:
    torch.manual_seed(0)
    model = build_model(name, classes, {"q": 1, **options})
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.normal_(module.bias)
    return model


def scored(tmp_path: Path, file: str, **changes: Any) -> dict[str, Any]:
    request = replace(Request("espnet", tmp_path / file, "camvid"), **changes)
    return evaluate_weights(request, Settings(tmp_path / "results", (tmp_path / "data",), device="cpu"))


@pytest.fixture
def skd(tmp_path: Path) -> Path:
    make_camvid(tmp_path / "data" / "camvid")
    torch.save({f"module.{name}": value for name, value in weights().state_dict().items()}, tmp_path / "skd.pth")
    return tmp_path


def test_a_published_checkpoint_needs_no_option(skd: Path) -> None:
    """The scores are those of a plain computation: blue first, the published figures, one matrix over the split."""
    record = scored(skd, "skd.pth")
    mean = torch.tensor([73.18188461, 82.93553322, 72.41519599]).view(3, 1, 1)
    std = torch.tensor([45.3199, 46.1528, 44.9148]).view(3, 1, 1)
    model, total = weights().eval(), np.zeros((11, 11), np.int64)
    for image, mask in CamVid(Locations(skd, (skd / "data",))).split("test"):
        with torch.no_grad():
            logits = model(((image.as_subclass(torch.Tensor).flip(0).float() - mean) / std)[None]).logits
        predicted, true = logits.argmax(1).flatten().numpy(), mask.flatten().numpy()
        np.add.at(total, (true[true < 255], predicted[true < 255]), 1)
    plain = scores(total, CamVid.info.class_names)
    assert {name: record["metrics"][name] for name in plain} == plain
    assert len(set(total.argmax(1))) > 1
    assert record["model"]["options"] == {"p": 2, "q": 1, "skip": "cat", "normalization": "espnet_camvid"}
    assert record["protocol"]["channels"] == "BGR"
    assert record["protocol"]["align_corners"] is True
    assert record["dataset"] == {"name": "camvid", "options": {"folder": None}, "split": "test", "n_images": 2}


def test_what_is_given_wins_over_what_the_file_tells(skd: Path) -> None:
    record = scored(skd, "skd.pth", overrides=("model.normalization=dataset",), align_corners=False)
    assert record["protocol"]["channels"] == "RGB"
    assert record["protocol"]["mean"] == list(CamVid.info.mean)
    assert record["protocol"]["align_corners"] is False
    assert record["metrics"] != scored(skd, "skd.pth")["metrics"]


def test_void_as_the_last_output_is_left_out(skd: Path) -> None:
    """Without its weights for void a model of 12 outputs has to score as one of 11."""
    model = weights(12)
    torch.save(authors_form(model), skd / "void.pth")
    record = scored(skd, "void.pth")
    assert record["model"]["output_channels"] == 12
    assert record["model"]["options"]["normalization"] == "espnet_camvid_official"
    assert list(record["metrics"]["iou"]) == list(CamVid.info.class_names)
    assert record["protocol"]["mean"] == list(NORMALIZATIONS["espnet_camvid_official"][0])


def test_many_more_outputs_need_to_be_asked_for(skd: Path) -> None:
    torch.save(weights(19).state_dict(), skd / "city.pth")
    with pytest.raises(cli.BenchError, match=r"gives 19 classes.*--classes 19"):
        scored(skd, "city.pth")
    assert scored(skd, "city.pth", classes=19)["model"]["output_channels"] == 19


def test_the_projects_own_weights_are_not_taken_for_published_ones(skd: Path) -> None:
    save_weights(weights(), skd / "mine.safetensors")
    record = scored(skd, "mine.safetensors")
    assert record["protocol"]["channels"] == "RGB"
    assert record["model"]["options"]["q"] == 1
    assert "shapes alone" in record["weights"]["origin"]


def test_a_split_without_a_labelled_pixel_has_no_score(skd: Path) -> None:
    for path in (skd / "data" / "camvid" / "testannot").glob("*.png"):
        Image.fromarray(np.full_like(np.asarray(Image.open(path)), 11)).save(path)
    with pytest.raises(BenchError, match="the test split of camvid has no labelled pixel: there is nothing to score"):
        scored(skd, "skd.pth")


def test_images_are_resized_for_the_model_and_scored_at_label_size(skd: Path) -> None:
    record = scored(skd, "skd.pth", size=(24, 16))
    assert (record["protocol"]["input_size"], record["protocol"]["label_size"]) == ([24, 16], [6, 8])
    assert record["metrics"] != scored(skd, "skd.pth")["metrics"]


def test_a_trained_student_scores_what_its_cell_scored(tmp_path: Path) -> None:
    plan = run(write_matrix(tmp_path, methods=["none"]), tmp_path / "results")
    (student,) = plan.run.cells()
    request = Request("net_small", student.path / "student.safetensors", "shapes", plugins=(Path(SHAPES),))
    record = evaluate_weights(request, Settings(tmp_path / "results", device="cpu"))
    _, result = student.state()
    assert record["metrics"] == result["metrics"]
    assert "trained by bench" in record["weights"]["origin"]
    with pytest.raises(cli.BenchError, match="use --model net_small"):
        evaluate_weights(replace(request, model="net_large"), Settings(tmp_path / "results", device="cpu"))


def test_options_of_a_trained_student_come_from_its_record(skd: Path) -> None:
    save_weights(weights(skip="conv"), skd / "student.safetensors")
    options = {"p": 2, "q": 1, "skip": "conv", "normalization": "espnet_cityscapes"}
    cell = {"student": {"name": "espnet", "options": options}, "recipe": {"align_corners": True}}
    write_json(skd / "config.json", {"cell": cell})
    record = scored(skd, "student.safetensors")
    assert record["model"]["options"] == options
    assert record["protocol"]["align_corners"] is True


def test_the_command_prints_and_writes_what_it_found(command: Command, skd: Path) -> None:
    ended = command(
        "--model", "espnet", "--weights", "skd.pth", "--dataset", "camvid", "--split", "val", "--json", "out.json"
    )
    assert ended.code == 0, ended.err
    record = json.loads((skd / "out.json").read_text())
    assert record["metrics"]["miou"] == scored(skd, "skd.pth", split="val")["metrics"]["miou"]
    for text in (
        f"{100 * record['metrics']['miou']:.2f}",
        "bicyclist",
        record["weights"]["sha256"],
        "form of SKD",
        "normalization=espnet_camvid",
        "BGR",
        "whole images, scored at 6x8",
        "wrote out.json",
    ):
        assert text in ended.out


BASE = {"--model": "espnet", "--weights": "skd.pth", "--dataset": "camvid"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"--model": "espnte"}, "--model espnte: unknown student 'espnte'. Did you mean 'espnet'?"),
        ({"--dataset": "camvd"}, "--dataset camvd: unknown dataset 'camvd'. Did you mean 'camvid'?"),
        ({"--split": "tset"}, "--split tset: unknown split of camvid 'tset'. Did you mean 'test'?"),
        ({"--weights": "absent.pth"}, "weights not found: absent.pth"),
        ({"--weights": "data"}, "weights not found: data"),
        ({"--weights": "text.pth"}, "text.pth"),
        ({"--weights": "empty.pth"}, "empty.pth is not a readable checkpoint (0 bytes)"),
        ({"--weights": "other.pth"}, "other.pth (model 'espnet', 11 classes) does not fit the model:"),
        ({"--weights": "nan.pth"}, "nan.pth holds numbers that are not finite: b1.bn.bias"),
        ({"--weights": "c.pth"}, "c.pth: these are weights of ESPNet-C, which has no decoder: use the model espnet_c"),
        ({"--weights": "few.pth"}, "few.pth gives 5 classes, dataset 'camvid' has 11: sky, building"),
        ({"--classes": "20"}, "skd.pth (model 'espnet', 20 classes) does not fit the model:"),
        ({"--set": "model.q=3"}, "does not fit the model:"),
        ({"--set": "model.qq=3"}, "model.qq: unknown key 'qq'"),
        ({"--set": "model.q=0"}, "model.q: input should be greater than or equal to 1, got 0"),
        ({"--set": "model.normalization=none"}, "model.normalization: input should be 'dataset'"),
        ({"--set": "recipe.lr=3"}, "--set recipe.lr=3: write model.option=value or dataset.option=value"),
        ({"--set": "model=espnet"}, "--set model=espnet: write model.option=value or dataset.option=value"),
        ({"--set": "dataset.folder=half"}, "camvid is not there. Looked in: data/half"),
        ({"--size": "360"}, "--size 360: write height and width in pixels, as in --size 360x480"),
        ({"--size": "0x480"}, "--size 0x480: write height and width in pixels"),
        ({"--device": "cuda:77"}, "--device cuda:77: this machine has no such device"),
        ({"--data-root": "nowhere"}, "--data-root nowhere: no such folder"),
        ({"--plugin": "absent.py"}, "plugin file not found"),
    ],
)
def test_a_mistake_is_told_without_a_traceback(
    command: Command, skd: Path, changes: dict[str, str], message: str
) -> None:
    (skd / "text.pth").write_text("no checkpoint")
    (skd / "empty.pth").touch()
    torch.save({"weight": torch.zeros(3)}, skd / "other.pth")
    torch.save(weights(name="espnet_c").state_dict(), skd / "c.pth")
    torch.save(weights(5).state_dict(), skd / "few.pth")
    state = weights().state_dict()
    state["b1.bn.bias"][3] = float("nan")
    torch.save(state, skd / "nan.pth")
    ended = command(*(text for pair in {**BASE, **changes}.items() for text in pair))
    assert ended.code == 2
    assert message in ended.err
    assert not ended.out


PUBLISHED = (
    ("espnet", "espnet_camvid_skd_SD_KD_CITY_65.1.pth", 65.1),
    ("espnet", "espnet_camvid_skd_kd_59.8.pth", 59.8),
    ("espnet", "espnet_camvid_skd_base_57.8.pth", 57.8),
    ("espnet_c", "espnet_c_camvid_skd_BASE56.7.pth", 56.7),
)


@pytest.mark.needs_data
@pytest.mark.slow
@pytest.mark.parametrize(("model", "file", "published"), PUBLISHED)
def test_published_checkpoints_have_their_published_score(
    tmp_path: Path, model: str, file: str, published: float
) -> None:
    path = folder("BENCH_WEIGHTS") / file
    roots = tuple(Path(part) for part in os.environ.get("BENCH_DATA", "").split(os.pathsep) if part)
    if not any((root / "camvid" / "test.txt").is_file() for root in roots):
        pytest.skip("CamVid is not under BENCH_DATA")
    record = evaluate_weights(Request(model, path, "camvid", "test"), Settings(tmp_path, roots, device="cpu"))
    assert record["dataset"]["n_images"] == 233
    assert 100 * record["metrics"]["miou"] == pytest.approx(published, abs=0.5)
