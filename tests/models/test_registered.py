"""What must hold for every registered model."""

from __future__ import annotations

import importlib.util
import inspect
from functools import cache
from pathlib import Path

import pytest
import torch
from torchvision.models.segmentation import FCN_ResNet50_Weights

from bench.base.errors import BenchError
from bench.base.options import Options
from bench.base.registry import discover, students, teachers
from bench.method import Outputs
from bench.models.base import SegmentationModel, build_model, output_spec
from tests.models.table import HEADER, RULE, published, row

discover()
NAMES = [entry.name for entry in (*students, *teachers) if not entry.name.startswith("net_")]


@cache
def on_meta(name: str, num_classes: int = 5) -> SegmentationModel:
    options = {"pretrained": False} if "pretrained" in students.get(name).options.schema.model_fields else {}
    try:
        return build_model(name, num_classes, options, device="meta")
    except BenchError as error:
        if "pip install" in str(error):
            pytest.skip(str(error))
        raise


@pytest.mark.parametrize("name", NAMES)
def test_one_forward_gives_logits_embedding_and_stages_without_hooks(name):
    model = on_meta(name)
    calls = []
    forward = type(model).forward
    type(model).forward = lambda self, images: (calls.append(1), forward(self, images))[1]
    try:
        for train in (True, False):
            outputs = model.train(train)(torch.empty(2, 3, 129, 97, device="meta"))
            assert isinstance(outputs, Outputs)
            assert outputs.logits.shape[:2] == (2, 5)
            assert outputs.embedding is not None
            assert len(outputs.stages) >= 1
            sides = [stage.shape[2] for stage in outputs.stages]
            assert sides == sorted(sides, reverse=True), "stages run from fine to coarse"
            assert (outputs.auxiliary is not None) == (train and model.auxiliary is not None)
    finally:
        type(model).forward = forward
    assert len(calls) == 2, "one forward of the model a step"
    hooks = [
        key
        for key, module in model.named_modules()
        if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks
    ]
    assert hooks == []


@pytest.mark.parametrize("name", NAMES)
def test_the_number_of_classes_is_what_was_asked_for(name):
    for num_classes in (2, 7):
        assert output_spec(on_meta(name, num_classes), (128, 128)).logits.channels == num_classes


@pytest.mark.parametrize("name", NAMES)
def test_pretrained_weights_name_a_part_and_a_file_with_its_source(name):
    builder = students.get(name).builder
    if "pretrained" not in Options.of(builder).schema.model_fields:
        pytest.skip("has no published weights to start from")
    try:
        model = build_model(name, 5, {"pretrained": True}, device="meta")
    except BenchError as error:
        pytest.skip(str(error))
    for source in model.pretrained:
        model.get_submodule(source.part)
        assert source.url.startswith(("https://", "http://") if source.can_be_fetched else "package:")
        assert source.file
        assert "/" not in source.file
    assert on_meta(name).pretrained == ()


@pytest.mark.parametrize("name", NAMES)
def test_a_builder_says_what_it_builds(name):
    assert len(inspect.getdoc(students.get(name).builder) or "") > 20


def test_the_document_has_the_table_as_it_is_counted_now():
    text = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    found = text[text.index(HEADER) :].split("\n\n")[0].strip().splitlines()
    assert found[:2] == [HEADER, RULE]
    lines = found[2:]
    assert len(lines) == len(published())
    for line, (_, entry) in zip(lines, published().iterrows(), strict=True):
        if entry["model"] == "mask2former_r50" and importlib.util.find_spec("transformers") is None:
            continue  # an optional extra
        now = row(entry)
        cells, counted = (one.split(" | ") for one in (line, now))
        assert [*cells[:4], *cells[5:]] == [*counted[:4], *counted[5:]]
        assert float(cells[4]) == pytest.approx(float(counted[4]), rel=0.01)


@pytest.mark.parametrize("name", ["fcn_resnet50_tv", "deeplabv3_r50_tv", "torchvision:deeplabv3_resnet101"])
def test_torchvisions_models_are_fed_as_its_published_weights_expect(name):
    expected = FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1.transforms()
    model = on_meta(name)
    assert (model.mean, model.std, model.bgr) == (tuple(expected.mean), tuple(expected.std), False)
