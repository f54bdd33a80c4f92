"""The ResNet segmentation models: taps, gradients, odd sizes, torchvision's equals, published weights' names."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from pathlib import Path

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from bench.base.registry import discover
from bench.models.base import SegmentationModel, build_model, count_parameters
from bench.models.encoders.resnet import Dilation, ResNetEncoder, Stem, imagenet
from bench.models.heads.psp import PyramidPooling
from bench.models.nets.knet import KernelUpdateHead
from bench.models.weights.reading import require_fit

discover()
K = 5
WITHOUT_AUXILIARY = ["pspnet_r18half_skd"]
SMALL = [
    "pspnet_r18half_skd",
    "pspnet_r18half_ifvd",
    "pspnet_r18_mmseg",
    "deeplabv3_r18_cirkd",
    "deeplabv3plus_r18_mmseg",
    "fcn_resnet50_tv",
    "knet_uper_r50",
]
STARTS: dict[str, tuple[int, Stem]] = {
    "pspnet_r101_skd": (101, "deep64"),
    "pspnet_r101_mmseg": (101, "deep32"),
    "deeplabv3plus_r101_mmseg": (101, "deep32"),
    "deeplabv3_r101_cirkd": (101, "deep64"),
    "deeplabv3_r101_cirkdv2": (101, "deep64"),
    "fcn_resnet50_tv": (50, "7x7"),
    "knet_fcn_r50": (50, "deep32"),
    "knet_psp_r50": (50, "deep32"),
    "knet_dlv3_r50": (50, "deep32"),
    "knet_uper_r50": (50, "deep32"),
    "uper_r50": (50, "deep32"),
    "pspnet_r18_skd": (18, "7x7"),
    "pspnet_r18_ifvd": (18, "deep64"),
    "pspnet_r18_cirkd": (18, "deep64"),
    "pspnet_r18_mmseg": (18, "deep32"),
    "deeplabv3_r18_cirkd": (18, "deep64"),
    "deeplabv3_r18_cirkdv2": (18, "deep64"),
    "deeplabv3plus_r18_mmseg": (18, "deep32"),
    "deeplabv3_r50_tv": (50, "7x7"),
    "deeplabv3_r50_mmseg": (50, "deep32"),
}
RANDOM_STARTS = ["pspnet_r18half_skd", "pspnet_r18half_ifvd", "pspnet_r38"]


@functools.lru_cache(maxsize=2)
def built(name: str) -> SegmentationModel:
    torch.manual_seed(0)
    return build_model(name, K, {"pretrained": False})


def images(size: tuple[int, int] = (64, 64)) -> Tensor:
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", SMALL, scope="class")
class TestEveryModel:
    def test_the_auxiliary_head_speaks_in_training_only(self, name: str) -> None:
        model = built(name)
        with torch.no_grad():
            trained, evaluated = model.train()(images()), model.eval()(images())
        assert evaluated.auxiliary is None
        assert evaluated.model is model
        if name in WITHOUT_AUXILIARY:
            assert trained.auxiliary is None
            assert model.auxiliary is None
        else:
            assert trained.auxiliary is not None
            assert trained.auxiliary.shape[:2] == (2, K)
            assert trained.auxiliary.shape[-2:] == trained.stages[2].shape[-2:]
            assert model.auxiliary is not None
            total = sum(parameter.numel() for parameter in model.parameters())
            assert count_parameters(model) == total - sum(p.numel() for p in model.auxiliary.parameters())

    def test_gradients_reach_every_parameter(self, name: str) -> None:
        model = built(name).train()
        outputs = model(images())
        target = torch.randint(0, K, (2, *outputs.logits.shape[-2:]), generator=torch.Generator().manual_seed(2))
        loss = F.cross_entropy(outputs.logits, target)
        if outputs.auxiliary is not None:
            loss = loss + outputs.auxiliary.square().mean()
        gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
        for (parameter, _), gradient in zip(model.named_parameters(), gradients, strict=True):
            assert gradient is not None, parameter
            assert gradient.isfinite().all(), parameter
            # a bias in front of a batch normalisation has none
            assert gradient.any() or parameter.endswith("bias"), parameter

    @pytest.mark.parametrize("size", [(65, 97), (72, 40)])
    def test_odd_sizes(self, name: str, size: tuple[int, int]) -> None:
        model = built(name).eval()
        with torch.no_grad():
            outputs = model(images(size))
        assert outputs.embedding is not None
        assert outputs.embedding.shape[-2:] == outputs.logits.shape[-2:]
        assert outputs.logits.shape[:2] == (2, K)
        assert outputs.logits.isfinite().all()
        heights = [stage.shape[-2] for stage in outputs.stages]
        assert heights == sorted(heights, reverse=True)
        assert len(heights) == 4

    def test_the_embedding_is_what_the_classifier_reads(self, name: str) -> None:
        model = built(name).eval()
        with torch.no_grad():
            outputs = model(images())
            assert outputs.embedding is not None
            classifier = model.get_submodule("classifier")
            last = classifier[-1] if name.endswith("_tv") else classifier  # type: ignore[index]
            assert torch.equal(last(outputs.embedding), outputs.logits)

    def test_channels_last_gives_the_same(self, name: str) -> None:
        model = built(name).eval()
        with torch.no_grad():
            plain = model(images()).logits
            other = model.to(memory_format=torch.channels_last)(images().to(memory_format=torch.channels_last)).logits
        model.to(memory_format=torch.contiguous_format)
        torch.testing.assert_close(other, plain, rtol=1e-3, atol=1e-3 * float(plain.abs().max()))


@pytest.mark.parametrize("name", ["pspnet_r18half_ifvd", "deeplabv3plus_r18_mmseg", "uper_r50", "knet_fcn_r50"])
def test_precisions(name: str) -> None:
    torch.manual_seed(0)
    model = build_model(name, K, {"pretrained": False}).eval()
    with torch.no_grad():
        single = model(images()).logits
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = model(images()).logits
        double = model.double()(images().double()).logits
    assert half.dtype == torch.bfloat16
    assert half.isfinite().all()
    assert double.dtype == torch.float64
    torch.testing.assert_close(single.double(), double, rtol=1e-3, atol=1e-3 * float(double.abs().max()))


def test_ceil_mode_gives_one_more_position() -> None:
    with torch.no_grad():
        up = ResNetEncoder(18, ceil_mode=True)(images())
        down = ResNetEncoder(18)(images())
    assert [stage.shape[-1] for stage in up] == [17, 9, 9, 9]
    assert [stage.shape[-1] for stage in down] == [16, 8, 8, 8]


@pytest.mark.parametrize(
    ("depth", "policy", "expected"),
    [
        (18, "contracted", {"layer3": [1, 2, 2, 2], "layer4": [2, 4, 4, 4]}),
        (18, "first", {"layer3": [1, 1, 2, 1], "layer4": [2, 1, 4, 1]}),
        (18, "full", {"layer3": [2, 2, 2, 2], "layer4": [4, 4, 4, 4]}),
        (50, "contracted", {"layer3": [1, 2, 2, 2, 2, 2], "layer4": [2, 4, 4]}),
        (50, "first", {"layer3": [1, 2, 2, 2, 2, 2], "layer4": [2, 4, 4]}),
        (50, "full", {"layer3": [2, 2, 2, 2, 2, 2], "layer4": [4, 4, 4]}),
    ],
)
def test_dilations(depth: int, policy: Dilation, expected: dict[str, list[int]]) -> None:
    with torch.device("meta"):
        encoder = ResNetEncoder(depth, dilation=policy)
    found = {
        stage: [
            module.dilation[0]
            for module in encoder.get_submodule(f"body.{stage}").modules()
            if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3)
        ]
        for stage in ("layer1", "layer2", "layer3", "layer4")
    }
    assert set(found.pop("layer1") + found.pop("layer2")) == {1}
    assert found == expected


def test_pyramid_levels_stand_before_or_behind_the_feature() -> None:
    feature = torch.randn(2, 8, 9, 9)
    for levels_first in (True, False):
        pool = PyramidPooling(8, 4, levels_first=levels_first, align_corners=True).eval()
        pool.fuse = nn.Identity()  # type: ignore[assignment]
        joined = pool(feature)
        level = F.interpolate(pool.levels[3](feature), size=(9, 9), mode="bilinear", align_corners=True)
        assert torch.equal(joined[:, -8:] if levels_first else joined[:, :8], feature)
        assert torch.equal(joined[:, 12:16] if levels_first else joined[:, -4:], level)


@pytest.mark.parametrize("name", ["pspnet_r101_skd", "pspnet_r18_ifvd", "pspnet_r18_cirkd", "deeplabv3_r18_cirkd"])
def test_models_on_csails_weights_are_fed_bgr(name: str) -> None:
    model = build_model(name, K, {}, device="meta")
    assert model.mean is not None
    assert model.std is not None
    assert model.bgr
    red, green, blue = (255 * mean for mean in model.mean)
    assert red > green > blue  # given as RGB although fed as BGR
    assert [255 * std for std in model.std] == pytest.approx([1, 1, 1])


class TestTorchvision:
    @pytest.fixture(params=["fcn_resnet50_tv", "deeplabv3_r50_tv"])
    def pair(self, request: pytest.FixtureRequest) -> tuple[SegmentationModel, nn.Module]:
        theirs = {
            "fcn_resnet50_tv": torchvision.models.segmentation.fcn_resnet50,
            "deeplabv3_r50_tv": torchvision.models.segmentation.deeplabv3_resnet50,
        }[request.param]
        torch.manual_seed(3)
        reference = theirs(weights=None, weights_backbone=None, num_classes=21, aux_loss=True).eval()
        model = build_model(request.param, 21, {"pretrained": False}).eval()
        model.load_state_dict(reference.state_dict())
        return model, reference

    def test_names_are_torchvisions(self, pair: tuple[SegmentationModel, nn.Module]) -> None:
        model, reference = pair
        assert list(model.state_dict()) == list(reference.state_dict())
        copied = copy.deepcopy(model)
        assert copied.auxiliary is copied.get_submodule("aux_classifier")
        assert copied.auxiliary is not model.auxiliary

    @torch.no_grad()
    def test_outputs_are_torchvisions(self, pair: tuple[SegmentationModel, nn.Module]) -> None:
        model, reference = pair
        outputs, expected = model(images((65, 97))), reference(images((65, 97)))
        assert model.auxiliary is not None
        auxiliary = model.auxiliary(outputs.stages[2])
        for ours, theirs in ((outputs.logits, expected["out"]), (auxiliary, expected["aux"])):
            resized = F.interpolate(ours, size=(65, 97), mode="bilinear", align_corners=False)
            assert (resized - theirs).abs().max() < 1e-5


class Published(nn.Module):
    """A ResNet classifier under the names of who publishes it."""

    def __init__(self, depth: int, stem: Stem) -> None:
        super().__init__()
        body = getattr(torchvision.models, f"resnet{depth}")()
        self.stem_kind = stem
        if stem == "7x7":
            self.conv1, self.bn1 = body.conv1, body.bn1
        else:
            width = int(stem.removeprefix("deep"))
            convolutions = [
                nn.Conv2d(before, after, 3, stride, 1, bias=False)
                for before, after, stride in ((3, width, 2), (width, width, 1), (width, 2 * width, 1))
            ]
            norms = [nn.BatchNorm2d(width), nn.BatchNorm2d(width), nn.BatchNorm2d(2 * width)]
            self._add_stem(convolutions, norms)
            if width == 64:  # stage 1 receives 128 channels
                first = body.layer1[0]
                first.conv1 = nn.Conv2d(128, 64, first.conv1.kernel_size, 1, first.conv1.padding, bias=False)
                out = body.layer1[-1](torch.empty(1, 64 if depth == 18 else 256, 8, 8)).shape[1]
                first.downsample = nn.Sequential(nn.Conv2d(128, out, 1, bias=False), nn.BatchNorm2d(out))
        self.layer1, self.layer2, self.layer3, self.layer4 = body.layer1, body.layer2, body.layer3, body.layer4
        self.fc = body.fc

    def _add_stem(self, convolutions: list[nn.Conv2d], norms: list[nn.BatchNorm2d]) -> None:
        if self.stem_kind == "deep32":
            rows = [[convolution, norm, nn.ReLU()] for convolution, norm in zip(convolutions, norms, strict=True)]
            self.stem = nn.Sequential(*[layer for row in rows for layer in row])
            return
        for index, (convolution, norm) in enumerate(zip(convolutions, norms, strict=True), 1):
            self.add_module(f"conv{index}", convolution)
            self.add_module(f"bn{index}", norm)

    def _stem(self, inputs: Tensor) -> Tensor:
        if self.stem_kind == "deep32":
            return self.stem(inputs)
        for index in (1,) if self.stem_kind == "7x7" else (1, 2, 3):
            inputs = self.get_submodule(f"bn{index}")(self.get_submodule(f"conv{index}")(inputs)).relu()
        return inputs

    def forward(self, inputs: Tensor) -> Tensor:
        feature = F.max_pool2d(self._stem(inputs), 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(feature))))


def published(network: nn.Module) -> Mapping[str, Tensor]:
    """The file as it is: with the classifier, without the counters that old PyTorch did not keep."""
    return {name: tensor for name, tensor in network.state_dict().items() if "num_batches" not in name}


class TestPretrained:
    @pytest.mark.parametrize("stem", ["7x7", "deep32", "deep64"])
    def test_a_published_file_loads_and_computes_the_same(
        self, stem: Stem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        torch.manual_seed(4)
        network = Published(18, stem).eval()
        monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
        (entry,) = imagenet(18, stem, part="")
        entry.path.parent.mkdir()
        torch.save(published(network), entry.path)
        encoder = ResNetEncoder(18, stem=stem, output_stride=32).eval()
        entry.load(encoder.body)
        with torch.no_grad():
            expected = network(images())
            assert (encoder(images())[-1] - expected).abs().max() < 1e-4 * expected.abs().max()

    @pytest.mark.parametrize("name", STARTS)
    def test_every_model_takes_its_published_weights(self, name: str) -> None:
        with torch.device("meta"):
            weights = published(Published(*STARTS[name]))
        model = build_model(name, K, {"pretrained": True}, device="meta")
        (entry,) = model.pretrained
        assert entry.url.endswith(f"/{entry.file}")
        require_fit(model.get_submodule(entry.part), entry.convert(weights), name)
        assert build_model(name, K, {"pretrained": False}, device="meta").pretrained == ()

    def test_semseg_takes_gluons_weights(self) -> None:
        model = build_model("pspnet_r101_semseg", K, {"pretrained": True}, device="meta")
        (entry,) = model.pretrained
        with torch.device("meta"):
            weights = timm.create_model("resnet101s").state_dict()
        require_fit(model.get_submodule(entry.part), entry.convert(weights), entry.file)
        assert entry.url == timm.get_pretrained_cfg("resnet101s.gluon_in1k").url

    @pytest.mark.parametrize("name", RANDOM_STARTS)
    def test_unpublished_widths_start_at_random(self, name: str) -> None:
        assert build_model(name, K, {"pretrained": True}, device="meta").pretrained == ()


class TestKNet:
    @torch.no_grad()
    def test_a_round_is_the_papers_kernel_by_kernel(self) -> None:
        torch.manual_seed(5)
        head = KernelUpdateHead(16, n_heads=2, hidden=8).double()
        feature, logits = torch.randn(16, 4, 6).double(), torch.randn(3, 4, 6).double()
        kernels = torch.randn(3, 16).double()
        found_logits, found_kernels = head(feature[None], kernels[None], logits[None])
        expected_logits, expected_kernels = reference_round(head, feature, kernels, logits)
        torch.testing.assert_close(found_kernels[0], expected_kernels)
        torch.testing.assert_close(found_logits[0], expected_logits)

    @torch.no_grad()
    def test_images_of_a_batch_do_not_see_each_other(self) -> None:
        model = built("knet_uper_r50").eval()
        both = model(images()).logits
        alone = model(images()[:1]).logits
        torch.testing.assert_close(both[:1], alone, rtol=1e-3, atol=1e-3 * float(alone.abs().max()))


def reference_round(head: KernelUpdateHead, feature: Tensor, kernels: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """One image: group features, gates for each half of each kernel, attention head by head, new masks."""
    transformed = head.transform(feature[None])[0]
    masks = logits.softmax(0)
    mixed = []
    for mask, kernel in zip(masks, kernels, strict=True):
        group = (mask * transformed).sum((1, 2))
        mixed.append(torch.cat([reference_half(head, group[part], kernel[part]) for part in halves(16)]))
    tokens = torch.stack(mixed)
    query, key, value = (tokens @ head.attention.in_proj_weight.T + head.attention.in_proj_bias).chunk(3, dim=1)
    attended = torch.cat(
        [(query[:, part] @ key[:, part].T / 8**0.5).softmax(1) @ value[:, part] for part in halves(16)], dim=1
    )
    tokens = head.attention_norm(tokens + head.attention.out_proj(attended))
    tokens = head.feed_forward_norm(tokens + head.feed_forward(tokens))
    return torch.einsum("kc,chw->khw", head.mask_layers(tokens), transformed), tokens


def reference_half(head: KernelUpdateHead, group: Tensor, kernel: Tensor) -> Tensor:
    updator = head.updator
    (group_in, group_out), (kernel_in, kernel_out) = (
        layer(vector).split(8) for layer, vector in ((updator.group_layer, group), (updator.kernel_layer, kernel))
    )
    kernel_gate = updator.kernel_gate_norm(updator.kernel_gate(kernel_in * group_in)).sigmoid()
    group_gate = updator.group_gate_norm(updator.group_gate(kernel_in * group_in)).sigmoid()
    return updator.project(kernel_gate * updator.kernel_norm(kernel_out) + group_gate * updator.group_norm(group_out))


def halves(width: int) -> tuple[slice, slice]:
    return slice(0, width // 2), slice(width // 2, width)
