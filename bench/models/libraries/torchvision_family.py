"""Any segmentation builder of torchvision, by the name ``torchvision:<builder>``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torchvision import models

from bench.base.errors import BenchError, unknown
from bench.method import Outputs
from bench.models.base import IMAGENET_MEAN, IMAGENET_STD, SegmentationModel
from bench.models.rows import through_head
from bench.models.weights.pretrained import Pretrained, classifier_features


class TorchvisionModel(SegmentationModel):
    """FCN or DeepLabV3 of torchvision, taken apart so that one forward gives every output.

    Its children are the library model's own, so names of parameters are the library's and its checkpoints load; images
    are normalised as those expect. The
    auxiliary head is the library's ``aux_classifier``; it runs in training only.

    ``forward`` returns logits before the interpolation, what the classifier's last convolution reads as embedding, and
    the backbone's stages at stride 4 and coarser: layer1 to layer4 of a ResNet, the last block before each
    down-sampling (or dilating) block of a MobileNetV3.

    Args:
        library: a model of ``torchvision.models.segmentation``.
    """

    training_only: tuple[str, ...] = ("aux_classifier",)
    mean, std = IMAGENET_MEAN, IMAGENET_STD

    def __init__(self, library: Any) -> None:
        super().__init__()
        self.backbone = library.backbone
        self.classifier = library.classifier
        self.aux_classifier: nn.Module | None = getattr(library, "aux_classifier", None)
        self.stages = tuple(stage_ends(self.backbone))

    def features(self, images: Tensor) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """Return what the backbone gives.

        Args:
            images: N x 3 x H x W, normalised.

        Returns:
            The stages, and the features by the names that the library's heads know them by; each N x C_i x h_i x w_i.
        """
        wanted: dict[str, Tensor] = {}
        stages: list[Tensor] = []
        feature = images
        for name, layer in self.backbone.items():
            feature = layer(feature)
            if name in self.stages:
                stages.append(feature)
            if name in self.backbone.return_layers:
                wanted[self.backbone.return_layers[name]] = feature
        return tuple(stages), wanted

    def forward(self, images: Tensor) -> Outputs:
        """Return logits and embedding at the backbone's stride, its stages, and in training the auxiliary logits.

        Args:
            images: N x 3 x H x W, normalised.

        Returns:
            Logits N x K x h x w, embedding N x C x h x w, stages N x C_i x h_i x w_i, and auxiliary logits of the size
            of the stage that they are made of, N x K x h_i x w_i.
        """
        stages, features = self.features(images)
        embedding, logits = through_head(self.classifier, features["out"])
        head = self.aux_classifier if self.training else None
        auxiliary = None if head is None else head(features["aux"])
        return Outputs(logits, embedding, stages, auxiliary, model=self)


class TorchvisionLraspp(TorchvisionModel):
    """LR-ASPP of torchvision: two classifiers, one of the fine and one of the coarse feature, summed.

    The embedding is the gated coarse feature, brought to the fine one's stride, which the coarse classifier reads.
    """

    training_only = ()

    def forward(self, images: Tensor) -> Outputs:
        """Return logits and embedding at stride 8 and the backbone's stages.

        Args:
            images: N x 3 x H x W, normalised.

        Returns:
            Logits N x K x h x w, embedding N x C x h x w, stages N x C_i x h_i x w_i.
        """
        stages, features = self.features(images)
        low, high = features["low"], features["high"]
        gated = self.classifier.cbr(high) * self.classifier.scale(high)
        embedding = functional.interpolate(gated, size=low.shape[-2:], mode="bilinear", align_corners=False)
        logits = self.classifier.low_classifier(low) + self.classifier.high_classifier(embedding)
        return Outputs(logits, embedding, stages, model=self)


def check(rest: str) -> None:
    """Refuse a builder that torchvision does not have.

    Raises:
        BenchError: with the nearest name.
    """
    if rest not in (known := models.list_models(module=models.segmentation)):
        raise BenchError(unknown("torchvision segmentation model", rest, known))


def build(rest: str, num_classes: int, *, pretrained: bool) -> TorchvisionModel:
    """Build a model by torchvision's name with random weights; FCN and DeepLabV3 with their auxiliary head.

    Args:
        rest: the builder's name.
        num_classes: number of classes K.
        pretrained: whether it is to start from the backbone's weights that torchvision takes by default.

    Raises:
        BenchError: unknown name.
    """
    check(rest)
    builder = models.get_model_builder(rest)
    options = {} if rest.startswith("lraspp") else {"aux_loss": True}
    library = builder(weights=None, weights_backbone=None, num_classes=num_classes, **options)
    model = (TorchvisionLraspp if rest.startswith("lraspp") else TorchvisionModel)(library)
    if pretrained:
        url = inspect.signature(builder).parameters["weights_backbone"].default.url
        model.pretrained = (Pretrained("backbone", url, url.rpartition("/")[2], backbone_of),)
    return model


def stage_ends(backbone: Any) -> Iterator[str]:
    """Yield the names of a backbone's children that end a stage of stride 4 or coarser."""
    names = list(backbone)
    if "layer1" in backbone:
        yield from (name for name in names if name.startswith("layer"))
        return
    begins = [place for place, name in enumerate(names) if getattr(backbone[name], "_is_cn", False)]
    yield from (names[place - 1] for place in begins[1:])
    yield names[-1]


def backbone_of(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn a published ImageNet classifier into its backbone.

    Args:
        weights: tensors of any shape by name.

    Returns:
        Those of ``features.`` without that prefix, or all but those of ``fc.``.
    """
    inner = classifier_features(weights)
    return inner or {name: tensor for name, tensor in weights.items() if not name.startswith("fc.")}
