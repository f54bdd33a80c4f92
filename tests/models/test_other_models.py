"""SegFormer, the MobileNet students, the compact students and Mask2Former: outputs, gradients, published weights."""

from __future__ import annotations

import builtins
import importlib.util
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from bench.base.errors import BenchError
from bench.base.registry import discover
from bench.models.base import SegmentationModel, build_model, count_parameters, output_spec
from bench.models.weights.reading import load_into, require_fit

discover()
CPU_MODELS = {
    "segformer_b0_nvlabs": (4, 4),
    "segformer_b0_mmseg": (4, 4),
    "segformer_b0_cirkd": (4, 4),
    "deeplabv3_mbv2_cirkd": (8, 8),
    "psp_mobilenetv3_small": (8, 8),
    "deeplabv3_mobilenetv3_small": (8, 8),
    "mobilenetv2plus": (4, 4),
    "compact_mobilenetv3": (8, 8),
    "efficientnet_b1_psp": (8, 8),
}
"""Stride of logits and of embedding by name, of those that are small enough to run here."""
ALL = [
    *CPU_MODELS,
    "psp_mobilenetv3_large",
    "deeplabv3_mobilenetv3_large",
    "segformer_b4",
    "segformer_b4_cirkd",
    "segformer_b5",
]
needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="transformers is not installed"
)


def images(height: int = 64, width: int = 64, count: int = 2) -> Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def built(name: str, num_classes: int = 5, **options: Any) -> SegmentationModel:
    torch.manual_seed(0)
    return build_model(name, num_classes, options)


@pytest.mark.parametrize(("name", "strides"), CPU_MODELS.items())
@pytest.mark.parametrize("size", [(64, 64), (65, 97)])
def test_forward_gives_maps_of_the_stated_strides(name: str, strides: tuple[int, int], size: tuple[int, int]) -> None:
    model = built(name).eval()
    with torch.no_grad():
        outputs = model(images(*size))
    assert outputs.embedding is not None
    for tensor, stride in zip((outputs.logits, outputs.embedding), strides, strict=True):
        assert tensor.shape[-2:] == tuple(-(-side // stride) for side in size)
    assert outputs.logits.shape[:2] == (2, 5)
    assert outputs.logits.isfinite().all()
    assert outputs.auxiliary is None
    assert outputs.model is model
    sides = [stage.shape[-1] for stage in outputs.stages]
    assert sides == sorted(sides, reverse=True)


@pytest.mark.parametrize("name", CPU_MODELS)
def test_the_classifier_reads_the_embedding(name: str) -> None:
    model = built(name).eval()
    with torch.no_grad():
        outputs = model(images())
        classifier = getattr(model, "classifier", None) or model.get_submodule("segmentation_head")
        assert torch.equal(classifier(outputs.embedding), outputs.logits)


@pytest.mark.parametrize("name", CPU_MODELS)
def test_gradients_reach_every_used_parameter(name: str) -> None:
    model = built(name).train()
    outputs = model(images())
    loss = outputs.logits.square().mean()
    if outputs.auxiliary is not None:
        loss = loss + outputs.auxiliary.square().mean()
    loss.backward()
    unused = {name.partition(".")[0] for name, parameter in model.named_parameters() if parameter.grad is None}
    assert unused == set(model.training_only)


@pytest.mark.parametrize("name", CPU_MODELS)
def test_stages_and_embedding_survive_the_rest_of_the_forward(name: str) -> None:
    """Nothing downstream works in place on what a method is handed."""
    model = built(name).eval()
    made: list[Tensor] = []

    def note(module: Any, args: Any, output: Any) -> None:
        if isinstance(output, Tensor) and not getattr(module, "inplace", False):
            made.append(output.clone())

    for module in model.modules():
        module.register_forward_hook(note)
    with torch.no_grad():
        outputs = model(images())
    for kept in (*outputs.stages, outputs.embedding):
        assert any(torch.equal(kept, tensor) for tensor in made)


def test_the_auxiliary_head_runs_in_training_only_and_is_not_counted() -> None:
    model = built("efficientnet_b1_psp", 19)
    assert model.train()(images()).auxiliary.shape == (2, 19, 8, 8)
    assert model.eval()(images()).auxiliary is None
    assert count_parameters(model) == 6_666_563


def test_the_adapters_of_the_compact_student_are_not_counted() -> None:
    model = build_model("compact_mobilenetv3", 21, {}, device="meta")
    assert count_parameters(model) == 8_225_045


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("psp_mobilenetv3_small", 2_589_747),
        ("psp_mobilenetv3_large", 6_110_019),
        ("deeplabv3_mobilenetv3_small", 3_298_739),
        ("deeplabv3_mobilenetv3_large", 6_769_091),
        ("segformer_b4", 64_007_635),
        ("segformer_b5", 84_607_955),
    ],
)
def test_counts_of_models_without_a_card(name: str, count: int) -> None:
    model = build_model(name, 19, {}, device="meta")
    assert count_parameters(model) == count
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}


def test_cirkds_segformer_b4_with_its_bias() -> None:
    assert count_parameters(build_model("segformer_b4_cirkd", 19, {"fuse_bias": True}, device="meta")) == 64_008_403


def test_mobilenetv3_students_work_at_output_stride_8() -> None:
    for size in ("small", "large"):
        spec = output_spec(build_model(f"psp_mobilenetv3_{size}", 19, {}, device="meta"), (256, 256))
        assert [stage.stride for stage in spec.stages] == [4, 8, 8, 8]


@pytest.mark.parametrize("name", ALL)
def test_building_loads_nothing_and_names_where_weights_are(name: str) -> None:
    assert build_model(name, 5, {"pretrained": False}, device="meta").pretrained == ()
    published = build_model(name, 5, {"pretrained": True}, device="meta").pretrained
    if name == "mobilenetv2plus":
        assert published == ()
        return
    (source,) = published
    assert source.url.startswith("https://")
    assert source.part in ("encoder", "features")


PUBLISHED = {
    "deeplabv3_mbv2_cirkd": lambda: models.mobilenet_v2(weights=None),
    "psp_mobilenetv3_small": lambda: models.mobilenet_v3_small(weights=None),
    "deeplabv3_mobilenetv3_small": lambda: models.mobilenet_v3_small(weights=None),
    "psp_mobilenetv3_large": lambda: models.mobilenet_v3_large(weights=None),
    "deeplabv3_mobilenetv3_large": lambda: models.mobilenet_v3_large(weights=None),
    "compact_mobilenetv3": lambda: models.mobilenet_v3_small(weights=None),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_torchvision_classifiers_fit_the_encoder(name: str) -> None:
    """Every tensor of the published file is taken as it is; only blocks behind the encoder are left."""
    file = PUBLISHED[name]().state_dict()
    model = built(name)
    (source,) = model.pretrained
    encoder = model.get_submodule(source.part)
    load_into(encoder, source.convert(file), "made up")
    for key, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, file[f"features.{key}"])


def test_timms_efficientnet_fits_the_encoder() -> None:
    import timm

    model = built("efficientnet_b1_psp")
    (source,) = model.pretrained
    file = timm.create_model("efficientnet_b1", pretrained=False).state_dict()
    load_into(model.get_submodule(source.part), source.convert(file), "made up")
    assert torch.equal(model.get_submodule("encoder.conv_stem").weight, file["conv_stem.weight"])


@pytest.mark.parametrize("name", ["segformer_b0_nvlabs", "segformer_b0_mmseg", "segformer_b0_cirkd"])
def test_a_published_mix_transformer_fits_the_encoder(name: str) -> None:
    model = built(name)
    (source,) = model.pretrained
    file = {key: torch.randn_like(tensor) for key, tensor in model.get_submodule("encoder").state_dict().items()}
    before = torch.random.get_rng_state()
    load_into(
        model.get_submodule("encoder"),
        source.convert({**file, "head.weight": torch.zeros(1000, 256), "head.bias": torch.zeros(1000)}),
        "made up",
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(tensor, file[key]) for key, tensor in model.get_submodule("encoder").state_dict().items())


def test_segformer_equals_the_librarys_and_takes_its_checkpoints() -> None:
    import segmentation_models_pytorch as smp

    library = smp.Segformer("mit_b0", encoder_weights=None, classes=5).eval()
    model = built("segformer_b0_nvlabs").eval()
    require_fit(model, library.state_dict(), "smp")
    model.load_state_dict(library.state_dict())
    with torch.no_grad():
        outputs = model(images())
        whole = library.segmentation_head[1](outputs.logits)
        assert torch.allclose(whole, library(images()), atol=1e-6)


def test_dropout_is_behind_the_embedding() -> None:
    model = built("segformer_b0_nvlabs").train()
    assert model.get_submodule("dropout").p == 0.1
    assert built("segformer_b0_cirkd").get_submodule("dropout").p == 0.0


@pytest.mark.parametrize("name", ["deeplabv3_mbv2_cirkd", "mobilenetv2plus", "segformer_b0_mmseg"])
def test_double_precision_stays_double(name: str) -> None:
    with torch.no_grad():
        outputs = built(name).double().eval()(images().double())
    assert outputs.logits.dtype == torch.float64


@needs_transformers
class TestMask2Former:
    def test_logits_are_logarithms_of_the_librarys_semantic_scores(self) -> None:
        import transformers

        model = built("mask2former_r50").eval()
        backbone = transformers.ResNetConfig(out_features=["stage1", "stage2", "stage3", "stage4"])
        config = transformers.Mask2FormerConfig(backbone_config=backbone, num_labels=5)
        library = transformers.Mask2FormerForUniversalSegmentation(config).eval()
        library.load_state_dict(model.state_dict())
        with torch.no_grad():
            theirs = library(pixel_values=images())
            outputs = model(images())
        classes = theirs.class_queries_logits.softmax(-1)[..., :-1]
        scores = torch.einsum("nqk,nqhw->nkhw", classes, theirs.masks_queries_logits.sigmoid())
        assert torch.allclose(outputs.logits.exp(), scores, rtol=1e-4)
        assert torch.allclose(outputs.logits.softmax(1), scores / scores.sum(1, keepdim=True), atol=1e-5)
        assert [stage.shape[-1] for stage in outputs.stages] == [16, 8, 4, 2]

    def test_training_mode_needs_no_values(self) -> None:
        model = build_model("mask2former_r50", 5, {}, device="meta").train()
        with FlopCounterMode(display=False), torch.no_grad():
            model(torch.empty(2, 3, 64, 64, device="meta"))


def test_mask2former_tells_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "transformers":
            raise ImportError("No module named 'transformers'")
        return whole(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(BenchError, match=r'pip install "dense-kd-bench\[mask2former\]"'):
        build_model("mask2former_r50", 5, {})


def dilations(model: SegmentationModel) -> list[int]:
    """Return the dilation of every depthwise convolution."""
    convs = (module for module in model.get_submodule("features").modules() if isinstance(module, torch.nn.Conv2d))
    return [conv.dilation[0] for conv in convs if conv.groups > 1]


def test_dilations_are_cirkds() -> None:
    assert dilations(built("deeplabv3_mbv2_cirkd")) == [1] * 6 + [1] + [2] * 6 + [2] + [4] * 3
    assert dilations(built("psp_mobilenetv3_small")) == [1] * 3 + [2] * 5 + [4] * 3
    assert dilations(built("psp_mobilenetv3_large")) == [1] * 6 + [2] * 6 + [4] * 3
