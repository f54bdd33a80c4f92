"""ESPNet: names and logits of the published checkpoints, odd sizes, what a checkpoint is taken for."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.base.errors import BenchError
from bench.base.registry import discover
from bench.models.base import build_model
from bench.models.nets.espnet import NORMALIZATIONS, ESPNet, ESPNetC, Normalization
from bench.models.weights.reading import load_into, read_weights

discover()


def authors_form(model: ESPNet | ESPNetC) -> dict[str, Tensor]:
    """Return a model's weights as the authors' files have them."""
    decoder = ("level3_C.", "br.", "conv.", "up_l3.", "combine_l2_l3.", "up_l2.", "classifier.")
    form = {}
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if isinstance(model, ESPNet) and not name.startswith(decoder):
            name = "encoder." + name.replace("classifier_1.", "classifier.")
        form[name] = tensor
    return form


def test_modules_have_the_published_names() -> None:
    names = set(ESPNet(11, 2, 8).state_dict())
    assert len(names) == 210
    for name in (
        "level1.conv.weight",
        "b1.act.weight",
        "level2_0.d16.conv.weight",
        "level2.1.bn.bn.running_var",
        "level3.7.c1.conv.weight",
        "classifier_1.conv.weight",
        "level3_C.conv.weight",
        "br.running_mean",
        "conv.bn.bias",
        "up_l3.0.weight",
        "combine_l2_l3.0.bn.weight",
        "combine_l2_l3.1.d1.conv.weight",
        "up_l2.1.act.weight",
        "classifier.weight",
    ):
        assert name in names
    assert len(ESPNetC(11, 2, 8).state_dict()) == 170
    assert "classifier.conv.weight" in ESPNetC(11, 2, 8).state_dict()


@pytest.mark.parametrize("size", [(32, 48), (33, 50), (45, 63), (7, 9)])
@pytest.mark.parametrize("name", ["espnet", "espnet_c"])
def test_any_size_of_image_works(name: str, size: tuple[int, int]) -> None:
    model = build_model(name, 4, {"q": 1}).train()
    outputs = model(torch.rand(2, 3, *size))
    halves = [tuple(-(-side // stride) for side in size) for stride in (2, 4, 8)]
    assert [tuple(stage.shape[-2:]) for stage in outputs.stages] == halves
    assert [stage.shape[1] for stage in outputs.stages] == [19, 131, 256]
    assert tuple(outputs.logits.shape[-2:]) == (size if name == "espnet" else halves[-1])
    assert outputs.embedding is not None
    assert outputs.embedding.shape[1:] == ((4, *halves[0]) if name == "espnet" else (256, *halves[-1]))
    outputs.logits.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("classes", [1, 2, 4, 5, 7])
def test_any_number_of_classes_works(classes: int) -> None:
    assert ESPNet(classes, 1, 1).eval()(torch.rand(1, 3, 16, 16)).logits.shape == (1, classes, 16, 16)


def test_the_embedding_is_what_the_classifier_reads() -> None:
    for model in (ESPNet(5, 1, 1, "conv").eval(), ESPNetC(5, 1, 1).eval()):
        outputs = model(torch.rand(1, 3, 16, 24))
        torch.testing.assert_close(model.classifier(outputs.embedding), outputs.logits)


def test_float64_stays_float64() -> None:
    assert ESPNet(3, 1, 1).double()(torch.rand(2, 3, 16, 16).double()).logits.dtype == torch.float64


def test_a_normalization_sets_what_the_model_expects() -> None:
    plain = build_model("espnet", 11, {})
    assert (plain.mean, plain.std, plain.bgr) == (None, None, False)
    for name in NORMALIZATIONS:
        model = build_model("espnet_c", 11, {"normalization": name})
        assert (model.mean, model.std, model.bgr) == (*NORMALIZATIONS[name], True)
    mean, std = NORMALIZATIONS["espnet_camvid"]
    assert [255 * value for value in reversed(mean)] == pytest.approx([73.18188461, 82.93553322, 72.41519599])
    assert [255 * value for value in reversed(std)] == pytest.approx([45.3199, 46.1528, 44.9148])


def form(model: ESPNet | ESPNetC, layout: str) -> dict[str, Tensor]:
    return authors_form(model) if layout == "authors" else dict(model.state_dict())


@pytest.mark.parametrize(
    ("model", "layout", "classes", "options", "normalization"),
    [
        (ESPNet(11, 2, 8), "skd", 11, {"p": 2, "q": 8, "skip": "cat"}, "espnet_camvid"),
        (ESPNet(19, 2, 3), "skd", 19, {"p": 2, "q": 3, "skip": "cat"}, "espnet_camvid"),
        (ESPNet(12, 3, 5), "authors", 12, {"p": 3, "q": 5, "skip": "cat"}, "espnet_camvid_official"),
        (ESPNet(20, 2, 3, "conv"), "authors", 20, {"p": 2, "q": 3, "skip": "conv"}, "espnet_cityscapes"),
        (ESPNetC(11, 2, 8), "skd", 11, {"p": 2, "q": 8}, "espnet_camvid"),
        (ESPNetC(20, 2, 3), "authors", 20, {"p": 2, "q": 3}, "espnet_cityscapes"),
    ],
)
def test_a_checkpoint_tells_what_it_is(
    model: ESPNet | ESPNetC, layout: str, classes: int, options: dict[str, Any], normalization: Normalization
) -> None:
    found = type(model).recognise(form(model, layout))
    assert found is not None
    assert (found.num_classes, found.options, found.align_corners) == (classes, options, True)
    assert found.preparation == {"normalization": normalization}
    again = type(model)(classes, **options)
    load_into(again, found.weights, "weights")
    images = torch.rand(1, 3, 16, 24)
    assert torch.equal(again.eval()(images).logits, model.eval()(images).logits)


def test_the_siblings_weights_are_told_and_others_are_not_taken() -> None:
    with pytest.raises(BenchError, match="use the model espnet_c"):
        ESPNet.recognise(ESPNetC(11, 1, 1).state_dict())
    with pytest.raises(BenchError, match=r"use the model espnet$"):
        ESPNetC.recognise(authors_form(ESPNet(11, 1, 1)))
    for kind in (ESPNet, ESPNetC):
        assert kind.recognise({"weight": torch.zeros(3)}) is None
        assert kind.recognise({"level2_0.c1.conv.weight": torch.zeros(1), "classifier.weight": torch.zeros(1)}) is None


def folder(variable: str) -> Path:
    path = os.environ.get(variable)
    if not path or not Path(path).is_dir():
        pytest.skip(f"the environment variable {variable} names no folder")
    return Path(path)


GOLDENS = (
    "espnet_camvid_skd_base_57.8",
    "espnet_camvid_skd_kd_59.8",
    "espnet_camvid_skd_SD_KD_CITY_65.1",
    "espnet_c_camvid_skd_BASE56.7",
    "espnet_p2_q8_camvid_official",
    "espnet_p2_q8_cityscapes_official",
    "espnet_c_p2_q3_cityscapes_official",
)


@pytest.mark.needs_data
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", GOLDENS)
def test_published_weights_give_the_reference_logits(name: str, dtype: torch.dtype) -> None:
    goldens, weights = folder("BENCH_GOLDENS"), folder("BENCH_WEIGHTS")
    facts = json.loads((goldens / "espnet_goldens.json").read_text())[name]
    with np.load(goldens / f"{name}.npz") as stored:
        wanted = stored["logits"]
    kind = ESPNetC if "_c_" in name else ESPNet
    found = kind.recognise(read_weights(weights / facts["weights"]))
    assert found is not None
    assert found.num_classes == facts["num_classes"]
    model = kind(found.num_classes, **found.options).eval()
    assert sum(parameter.numel() for parameter in model.parameters()) == facts["params"]
    load_into(model, found.weights, name)
    scale = np.float32(1 / 255 if "1/255" in facts["input"] else 1)
    images = np.random.default_rng(20240601).standard_normal((1, 3, 48, 96)).astype(np.float32) * scale
    with torch.no_grad():
        logits = model.to(dtype)(torch.from_numpy(images).to(dtype)).logits
    np.testing.assert_allclose(logits.numpy(), wanted, rtol=0, atol=1e-4)
