"""Models by the names of segmentation-models-pytorch and torchvision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from torch import Tensor
from torchvision import models

from bench.base.errors import BenchError
from bench.base.registry import discover, students
from bench.matrix.matrix import load_matrix
from bench.matrix.settings import Settings
from bench.models.base import SegmentationModel, build_model, count_parameters, output_spec
from bench.models.weights.reading import load_into
from bench.plan.groups import build_plan
from tests.harness import write_matrix

discover()
SMP = [
    "Unet/resnet18",
    "UnetPlusPlus/resnet18",
    "MAnet/resnet18",
    "Linknet/resnet18",
    "FPN/tu-mobilenetv3_small_100",
    "PSPNet/resnet18",
    "DeepLabV3/resnet18",
    "DeepLabV3Plus/mobilenet_v2",
    "PAN/resnet18",
    "UPerNet/resnet18",
    "Segformer/mit_b0",
    "DPT/tu-vit_tiny_patch16_224",
]
TORCHVISION = ["lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large", "fcn_resnet50"]
COUNTS = {
    "smp:PSPNet/resnet18": 11_422_005,
    "smp:PSPNet/resnet101": 43_385_301,
    "smp:PSPNet/efficientnet-b1": 6_653_627,
    "smp:DeepLabV3/resnet18": 15_904_085,
    "smp:DeepLabV3/resnet50": 39_638_869,
    "smp:DeepLabV3/resnet101": 58_630_997,
    "smp:DeepLabV3Plus/resnet18": 12_334_437,
    "smp:DeepLabV3Plus/resnet50": 26_682_725,
    "smp:DeepLabV3Plus/resnet101": 45_674_853,
    "smp:DeepLabV3Plus/mobilenet_v2": 4_383_653,
    "smp:FPN/resnet18": 13_049_813,
    "smp:Unet/resnet18": 14_331_109,
    "smp:UPerNet/resnet18": 19_496_661,
    "torchvision:fcn_resnet101": 54_314_346,
    "torchvision:deeplabv3_resnet101": 60_996_202,
    "torchvision:deeplabv3_mobilenet_v3_large": 11_029_328,
}


def images(height: int = 64, width: int = 64) -> Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))


def built(name: str, num_classes: int = 5, **options: Any) -> SegmentationModel:
    torch.manual_seed(0)
    return build_model(name, num_classes, options)


def smp_library(spec: str) -> Any:
    architecture, encoder = spec.split("/")
    extra = {"dynamic_img_size": True} if architecture == "DPT" else {}
    return getattr(smp, architecture)(encoder_name=encoder, encoder_weights=None, classes=5, **extra)


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_counts_of_the_library_models(name: str, count: int) -> None:
    model = build_model(name, 21, {}, device="meta")
    assert sum(parameter.numel() for parameter in model.parameters()) == count


@pytest.mark.parametrize("spec", SMP)
def test_smp_outputs_become_the_librarys(spec: str) -> None:
    library, model = smp_library(spec).eval(), built(f"smp:{spec}").eval()
    assert list(model.state_dict()) == list(library.state_dict())
    model.load_state_dict(library.state_dict())
    batch = images(128, 128) if spec.startswith("PAN") else images()  # it pools its coarsest map three times
    with torch.no_grad():
        outputs, theirs = model(batch), library(batch)
        if spec.startswith("DPT"):
            whole = torch.nn.functional.interpolate(outputs.logits, scale_factor=2, mode="bilinear", align_corners=True)
        else:
            whole = library.segmentation_head[1](outputs.logits)
    assert torch.allclose(whole, theirs, atol=1e-5)
    assert outputs.embedding is not None
    assert outputs.embedding.shape[-2:] == outputs.logits.shape[-2:]


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision_outputs_become_the_librarys(name: str) -> None:
    extra = {} if name.startswith("lraspp") else {"aux_loss": True}
    library = models.get_model(name, weights=None, weights_backbone=None, num_classes=5, **extra).eval()
    model = built(f"torchvision:{name}").eval()
    assert list(model.state_dict()) == list(library.state_dict())
    model.load_state_dict(library.state_dict())
    with torch.no_grad():
        outputs, theirs = model(images()), library(images())["out"]
    whole = torch.nn.functional.interpolate(outputs.logits, (64, 64), mode="bilinear", align_corners=False)
    assert torch.allclose(whole, theirs, atol=1e-6)


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvisions_auxiliary_head_runs_in_training_only(name: str) -> None:
    model = built(f"torchvision:{name}")
    outputs = model.train()(images())
    assert (outputs.auxiliary is None) == name.startswith("lraspp")
    loss = outputs.logits.square().mean()
    if outputs.auxiliary is not None:
        assert outputs.auxiliary.shape[:2] == (2, 5)
        loss = loss + outputs.auxiliary.square().mean()
        head = model.get_submodule("aux_classifier")
        whole = sum(parameter.numel() for parameter in model.parameters())
        assert count_parameters(model) == whole - sum(parameter.numel() for parameter in head.parameters())
    loss.backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
    assert model.eval()(images()).auxiliary is None


@pytest.mark.parametrize(
    ("name", "channels", "strides"),
    [
        ("smp:Unet/resnet18", [64, 128, 256, 512], [4, 8, 16, 32]),
        ("smp:PSPNet/resnet18", [64, 128], [4, 8]),
        ("smp:DeepLabV3/resnet18", [64, 128, 256, 512], [4, 8, 8, 8]),
        ("smp:Segformer/mit_b0", [32, 64, 160, 256], [4, 8, 16, 32]),
        ("smp:UPerNet/tu-swin_tiny_patch4_window7_224", [96, 192, 384, 768], [4, 8, 16, 32]),
        ("smp:DPT/tu-vit_tiny_patch16_224", [192] * 4, [16] * 4),
        ("torchvision:lraspp_mobilenet_v3_large", [24, 40, 112, 960], [4, 8, 16, 16]),
        ("torchvision:deeplabv3_resnet50", [256, 512, 1024, 2048], [4, 8, 8, 8]),
    ],
)
def test_stages_are_those_of_stride_4_and_coarser(name: str, channels: list[int], strides: list[int]) -> None:
    spec = output_spec(build_model(name, 5, {}, device="meta"), (256, 256))
    assert [stage.channels for stage in spec.stages] == channels
    assert [stage.stride for stage in spec.stages] == strides


@pytest.mark.parametrize("name", [*(f"smp:{spec}" for spec in SMP), *(f"torchvision:{name}" for name in TORCHVISION)])
def test_sizes_that_are_no_multiple_of_the_stride(name: str) -> None:
    model = build_model(name, 5, {}, device="meta")
    even, odd = output_spec(model, (160, 192)), output_spec(model, (150, 187))
    for wanted, found in zip((even.logits, *even.stages), (odd.logits, *odd.stages), strict=True):
        assert round(150 / found.stride) == -(-150 // wanted.stride)


def test_a_padded_image_gives_the_padded_librarys_output() -> None:
    model = built("smp:FPN/resnet18").eval()
    with torch.no_grad():
        padded = torch.nn.functional.pad(images(50, 61), (0, 3, 0, 14))
        assert torch.equal(model(images(50, 61)).logits, model(padded).logits[..., :13, :16])


@pytest.mark.parametrize("name", ["smp:Unet/resnet18", "smp:FPN/tu-mobilenetv3_small_100", "smp:Segformer/mit_b0"])
def test_gradients_reach_every_parameter(name: str) -> None:
    model = built(name).train()
    outputs = model(images())
    outputs.logits.square().mean().backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smp:Unt/resnet18", "unknown smp architecture 'Unt'. Did you mean 'Unet'?"),
        ("smp:Unet", "names no encoder"),
        ("smp:Unet/resnet19", "unknown smp encoder 'resnet19'. Did you mean 'resnet18'?"),
        ("smp:Unet/tu-mobilenetv3_smal_100", "Did you mean 'mobilenetv3_small_100'?"),
        ("smp:Linknet/mit_b0", "'smp:Linknet/mit_b0' cannot be built"),
        ("smp:DPT/resnet18", "'smp:DPT/resnet18' cannot be built"),
        ("torchvision:fcn_resnet51", "Did you mean 'fcn_resnet50'?"),
    ],
)
def test_names_that_the_libraries_do_not_have(name: str, message: str) -> None:
    with pytest.raises(BenchError) as caught:
        build_model(name, 5, {}, device="meta")
    assert message in str(caught.value)


def test_unknown_names_are_told_before_anything_is_built() -> None:
    assert "smp:Unet/resnet18" in students
    assert "smp:Unet/tu-mobilenetv3_small_100.lamb_in1k" in students
    assert "smp:Unet/resnet19" not in students
    assert "torchvision:fcn_resnet51" not in students


def test_building_loads_nothing_and_names_where_weights_are() -> None:
    sources = {
        "smp:Unet/resnet18": ("encoder", "https://huggingface.co/smp-hub/resnet18.imagenet/resolve/"),
        "smp:FPN/tu-mobilenetv3_small_100": ("encoder", "https://huggingface.co/timm/mobilenetv3_small_100."),
        "torchvision:fcn_resnet50": ("backbone", models.ResNet50_Weights.IMAGENET1K_V1.url),
        "torchvision:lraspp_mobilenet_v3_large": ("backbone", models.MobileNet_V3_Large_Weights.IMAGENET1K_V1.url),
    }
    for name, (part, url) in sources.items():
        assert build_model(name, 5, {"pretrained": False}, device="meta").pretrained == ()
        (source,) = build_model(name, 5, {"pretrained": True}, device="meta").pretrained
        assert source.part == part
        assert source.url.startswith(url)


def test_timm_weights_bring_their_normalisation() -> None:
    name = "smp:FPN/tu-efficientnet_b1"
    assert build_model(name, 5, {"pretrained": False}, device="meta").mean is None
    model = build_model(name, 5, {}, device="meta")
    assert model.mean == tuple(timm.get_pretrained_cfg("efficientnet_b1").mean)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("smp:Unet/resnet18", lambda: models.resnet18(weights=None)),
        ("smp:DeepLabV3/resnet18", lambda: models.resnet18(weights=None)),
        ("smp:PSPNet/vgg11_bn", lambda: models.vgg11_bn(weights=None)),
        ("smp:DeepLabV3Plus/mobilenet_v2", lambda: models.mobilenet_v2(weights=None)),
        ("smp:FPN/tu-mobilenetv3_small_100", lambda: timm.create_model("mobilenetv3_small_100")),
        ("smp:Unet/tu-convnext_atto", lambda: timm.create_model("convnext_atto")),
        ("smp:DeepLabV3/tu-resnet18", lambda: timm.create_model("resnet18")),
        ("smp:DPT/tu-vit_tiny_patch16_224", lambda: timm.create_model("vit_tiny_patch16_224")),
        ("torchvision:fcn_resnet50", lambda: models.resnet50(weights=None)),
        ("torchvision:lraspp_mobilenet_v3_large", lambda: models.mobilenet_v3_large(weights=None)),
    ],
)
def test_published_classifiers_fit(name: str, file: Any) -> None:
    model = built(name)
    (source,) = model.pretrained
    part = model.get_submodule(source.part)
    published = file().state_dict()
    before = torch.random.get_rng_state()
    load_into(part, source.convert(published), "made up")
    assert torch.equal(torch.random.get_rng_state(), before)
    first = next(part.parameters())
    assert any(first.shape == tensor.shape and torch.equal(first, tensor) for tensor in published.values())


@pytest.mark.parametrize("name", ["smp:Unet/resnet18", "smp:FPN/tu-mobilenetv3_small_100"])
def test_weights_of_another_encoder_are_refused(name: str) -> None:
    model = built(name)
    (source,) = model.pretrained
    with pytest.raises(BenchError, match="fit"):
        load_into(model.get_submodule("encoder"), source.convert({"conv1.weight": torch.zeros(1)}), "made up")


def test_a_matrix_may_name_a_library_model(tmp_path: Path) -> None:
    student = {"name": "smp:Unet/resnet18", "pretrained": False}
    path = write_matrix(tmp_path, pairs=[{"teacher": "net_large", "student": student}], methods=["none"])
    plan = build_plan(load_matrix(str(path)), Settings(results=tmp_path / "results"))
    assert [item.cell.student.name for item in plan.cells] == ["smp:Unet/resnet18"]
    assert [item.state for item in plan.cells] == ["planned"]


def test_a_matrix_is_told_of_a_library_model_that_is_not(tmp_path: Path) -> None:
    path = write_matrix(tmp_path, pairs=[{"teacher": "net_large", "student": "smp:Unet/resnet19"}], methods=["none"])
    with pytest.raises(BenchError, match="Did you mean 'resnet18'"):
        build_plan(load_matrix(str(path)), Settings(results=tmp_path / "results"))
