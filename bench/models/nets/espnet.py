"""ESPNet and its encoder ESPNet-C, with the module names of the published checkpoints.

Mehta et al., "ESPNet: Efficient Spatial Pyramid of Dilated Convolutions for Semantic Segmentation", ECCV 2018, arXiv
1803.06815; code sacmehta/ESPNet. The students that SKD (Liu et al., CVPR 2019, arXiv 1903.04197; branch cvpr_19 of
irfanICMLL/structure_knowledge_distillation) published are the same network with flat module names, which are used here.

``recognise`` reads both forms: names of the authors' decoder files begin with ``encoder.`` inside the encoder, and
their files, older than torch 0.4.1, lack ``num_batches_tracked``; SKD's have it. How either prepared images:

- SKD: blue first, the mean and deviation of Cityscapes, also on CamVid (``espnet_camvid``);
- the authors: blue first, mean and deviation of the training images, then over 255 once more. Those of Cityscapes stand
  in test/VisualizeResults.py (``espnet_cityscapes``). Those of CamVid are published nowhere; ``espnet_camvid_official``
  has what train/loadData.py computes on CamVid's train split (the deviation is the mean of the images' own), and of
  the candidates tried on their CamVid weights it is the one under which these work.

Deviations: where a side of the image is no multiple of 8, the decoder's maps are cut to the size of the encoder's,
which the authors' code cannot do; with fewer than five output channels an ESP block has that many branches.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.method import Outputs
from bench.models.base import SegmentationModel, Triple
from bench.models.weights.published import Published

Normalization = Literal["dataset", "espnet_camvid", "espnet_camvid_official", "espnet_cityscapes"]
Skip = Literal["cat", "conv"]
Blocks = Annotated[int, Ge(1)]

CITYSCAPES_CLASSES = 20
DILATIONS = (1, 2, 4, 8, 16)
_EPS = 1e-3


def _over_255(values: Triple) -> Triple:
    return values[0] / 255, values[1] / 255, values[2] / 255


NORMALIZATIONS: dict[str, tuple[Triple, Triple]] = {
    # SKD's CamVid loader: the figures of Cityscapes on the 0..255 scale (written there as B, G, R)
    "espnet_camvid": (
        _over_255((72.41519599, 82.93553322, 73.18188461)),
        _over_255((44.9148, 46.1528, 45.3199)),
    ),
    "espnet_camvid_official": (
        _over_255((104.96261702, 108.34323489, 110.21559157)),
        (69.82266687, 72.61031145, 72.04339437),
    ),
    # test/VisualizeResults.py of the authors: minus the mean, over the deviation, and then over 255 once more
    "espnet_cityscapes": (
        _over_255((73.15840149, 82.90893555, 72.3923111)),
        (44.91483307, 46.15289307, 45.3192215),
    ),
}
"""RGB mean and standard deviation for images in 0..1; all were trained on BGR."""


def _conv(wide: int, out: int, kernel: int, stride: int = 1, dilation: int = 1) -> tuple[str, nn.Module]:
    padding = (kernel // 2) * dilation
    return "conv", nn.Conv2d(wide, out, kernel, stride, padding, dilation, bias=False)


def _norm_act(channels: int) -> list[tuple[str, nn.Module]]:
    return [("bn", nn.BatchNorm2d(channels, eps=_EPS)), ("act", nn.PReLU(channels))]


def _named(*modules: tuple[str, nn.Module]) -> nn.Sequential:
    return nn.Sequential(OrderedDict(modules))


def _up(channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, channels, 2, stride=2, bias=False)


def _cut(feature: Tensor, like: Tensor) -> Tensor:
    """Return the feature at another's size, which up-sampling by two exceeds by a pixel where that is odd."""
    return feature[..., : like.shape[-2], : like.shape[-1]]


class _Pyramid(nn.Module):
    """Reduce, then parallel 3x3 convolutions of growing dilation, whose sums are concatenated."""

    def __init__(self, wide: int, out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.dilations = DILATIONS[:out]
        narrow = max(1, out // len(DILATIONS))
        self.c1 = _named(_conv(wide, narrow, kernel, stride))
        for dilation in self.dilations:
            channels = out - (len(self.dilations) - 1) * narrow if dilation == 1 else narrow
            self.add_module(f"d{dilation}", _named(_conv(narrow, channels, 3, dilation=dilation)))

    def merged(self, feature: Tensor) -> Tensor:
        """Concatenate the first branch and the running sums of the others.

        Args:
            feature: N x C x h x w.

        Returns:
            N x C' x h x w, at stride 2 N x C' x h/2 x w/2, rounded up.
        """
        reduced = self.c1(feature)
        first, *others = (getattr(self, f"d{dilation}")(reduced) for dilation in self.dilations)
        sums: list[Tensor] = []
        for branch in others:
            sums.append(sums[-1] + branch if sums else branch)
        return torch.cat([first, *sums], dim=1)


class Downsampler(_Pyramid):
    """ESP module at stride 2, without a residual."""

    def __init__(self, wide: int, out: int) -> None:
        super().__init__(wide, out, 3, 2)
        self.bn = nn.BatchNorm2d(out, eps=_EPS)
        self.act = nn.PReLU(out)

    def forward(self, feature: Tensor) -> Tensor:
        """Return the feature at half the size; N x wide x h x w to N x out x h/2 x w/2, rounded up."""
        activated: Tensor = self.act(self.bn(self.merged(feature)))
        return activated


class ESPBlock(_Pyramid):
    """ESP module; ``residual`` adds its input, which then has as many channels as its output."""

    def __init__(self, wide: int, out: int, residual: bool = True) -> None:
        super().__init__(wide, out, 1, 1)
        self.bn = _named(*_norm_act(out))
        self.residual = residual

    def forward(self, feature: Tensor) -> Tensor:
        """Return the feature at the same size; N x wide x h x w to N x out x h x w."""
        merged = self.merged(feature)
        activated: Tensor = self.bn(feature + merged if self.residual else merged)
        return activated


def _flat(name: str) -> str:
    if name.startswith("encoder.classifier."):
        return "classifier_1." + name.removeprefix("encoder.classifier.")
    return name.removeprefix("encoder.")


def _counters(weights: Mapping[str, Tensor]) -> list[str]:
    return [name.replace("running_mean", "num_batches_tracked") for name in weights if name.endswith(".running_mean")]


def _length(weights: Mapping[str, Tensor], stage: str) -> int:
    return len({name.split(".")[1] for name in weights if name.startswith(f"{stage}.")})


class _Encoder(SegmentationModel):
    """The encoder of both: features of 19, 131 and 256 channels at strides 2, 4 and 8."""

    def __init__(self, p: int, q: int, normalization: Normalization) -> None:
        super().__init__()
        self.level1 = _named(_conv(3, 16, 3, 2), *_norm_act(16))
        self.b1 = _named(*_norm_act(19))
        self.level2_0 = Downsampler(19, 64)
        self.level2 = nn.Sequential(*(ESPBlock(64, 64) for _ in range(p)))
        self.b2 = _named(*_norm_act(131))
        self.level3_0 = Downsampler(131, 128)
        self.level3 = nn.Sequential(*(ESPBlock(128, 128) for _ in range(q)))
        self.b3 = _named(*_norm_act(256))
        if normalization != "dataset":
            self.mean, self.std = NORMALIZATIONS[normalization]
            self.bgr = True

    @classmethod
    def recognise(cls, weights: Mapping[str, Tensor]) -> Published | None:
        """Return what a checkpoint of the authors or of SKD is; None where it is neither's.

        Raises:
            BenchError: it is that of the sibling, with or without a decoder.
        """
        own = {_flat(name): tensor for name, tensor in weights.items()}
        if "level2_0.c1.conv.weight" not in own or (head := cls.head(own)) is None:
            return None
        missing = {name: torch.zeros((), dtype=torch.long) for name in _counters(own) if name not in own}
        structure = {"p": _length(own, "level2"), "q": _length(own, "level3"), **cls.structure(own, head)}
        if not missing and set(own) == set(weights):
            return Published(own, head, structure, "SKD", {"normalization": "espnet_camvid"}, True)
        images = "espnet_cityscapes" if head == CITYSCAPES_CLASSES else "espnet_camvid_official"
        return Published(own | missing, head, structure, "ESPNet's authors", {"normalization": images}, True)

    @classmethod
    def head(cls, weights: Mapping[str, Tensor]) -> int | None:
        """Return the number of output channels.

        Args:
            weights: tensors of any shape by this module's names.

        Returns:
            K, or None where the classifier is not there.
        """
        raise NotImplementedError

    @classmethod
    def structure(cls, weights: Mapping[str, Tensor], num_classes: int) -> dict[str, str]:
        """Return further options that the shapes decide."""
        return {}

    def encode(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Run the encoder.

        Args:
            images: N x 3 x H x W, normalised.

        Returns:
            The first convolution's map, N x 16 x h_1 x w_1, and the stages N x C_i x h_i x w_i of 19, 131 and 256
            channels at strides 2, 4 and 8.
        """
        half = F.avg_pool2d(images, 3, 2, 1)
        quarter = F.avg_pool2d(half, 3, 2, 1)
        first = self.level1(images)
        fine = self.b1(torch.cat([first, half], dim=1))
        down = self.level2_0(fine)
        middle = self.b2(torch.cat([self.level2(down), down, quarter], dim=1))
        down = self.level3_0(middle)
        coarse = self.b3(torch.cat([down, self.level3(down)], dim=1))
        return first, (fine, middle, coarse)


class ESPNetC(_Encoder):
    """ESPNet-C: the encoder and a 1x1 classifier.

    Args:
        num_classes: number of classes K.
        p: ESP blocks at stride 4.
        q: ESP blocks at stride 8.
        normalization: the dataset's, or that of published checkpoints (:data:`NORMALIZATIONS`).

    ``forward`` returns logits at stride 8, the 256 channels there as embedding, and stages at strides 2, 4, 8.
    """

    def __init__(self, num_classes: int, p: int, q: int, normalization: Normalization = "dataset") -> None:
        super().__init__(p, q, normalization)
        self.classifier = _named(_conv(256, num_classes, 1))

    @classmethod
    def head(cls, weights: Mapping[str, Tensor]) -> int | None:
        """Return the number of output channels.

        Args:
            weights: tensors of any shape by this module's names.

        Returns:
            K, or None where the classifier is not there.

        Raises:
            BenchError: the weights are ESPNet's, which has a decoder.
        """
        if "level3_C.conv.weight" in weights:
            raise BenchError("these are weights of ESPNet, which has a decoder: use the model espnet")
        head = weights.get("classifier.conv.weight")
        return None if head is None or head.dim() != 4 else head.shape[0]

    def forward(self, images: Tensor) -> Outputs:
        """Return logits and embedding at stride 8, and the stages.

        Args:
            images: N x 3 x H x W, normalised.

        Returns:
            Logits N x K x h x w, embedding N x 256 x h x w, stages N x C_i x h_i x w_i of 19, 131 and 256 channels at
            strides 2, 4 and 8; the last one is the embedding.
        """
        _, stages = self.encode(images)
        return Outputs(self.classifier(stages[-1]), stages[-1], stages, model=self)


class ESPNet(_Encoder):
    """ESPNet: the encoder and a light decoder of K channels.

    Args:
        num_classes: number of classes K.
        p: ESP blocks at stride 4.
        q: ESP blocks at stride 8.
        skip: what the last fusion takes at stride 2: ``cat`` the first stage, image included; ``conv`` the first
            convolution alone, as the authors' Cityscapes weights have it.
        normalization: the dataset's, or that of published checkpoints (:data:`NORMALIZATIONS`).

    ``forward`` returns logits at stride 1, the K channels before the last up-sampling as embedding at stride 2, and the
    encoder's stages at strides 2, 4, 8.
    """

    def __init__(
        self, num_classes: int, p: int, q: int, skip: Skip = "cat", normalization: Normalization = "dataset"
    ) -> None:
        super().__init__(p, q, normalization)
        self.skip = skip
        self.classifier_1 = _named(_conv(256, num_classes, 1))
        self.level3_C = _named(_conv(131, num_classes, 1))
        self.br = nn.BatchNorm2d(num_classes, eps=_EPS)
        fused = num_classes + (19 if skip == "cat" else 16)
        self.conv = _named(_conv(fused, num_classes, 3), *_norm_act(num_classes))
        self.up_l3 = nn.Sequential(_up(num_classes))
        self.combine_l2_l3 = nn.Sequential(
            _named(*_norm_act(2 * num_classes)), ESPBlock(2 * num_classes, num_classes, residual=False)
        )
        self.up_l2 = nn.Sequential(_up(num_classes), _named(*_norm_act(num_classes)))
        self.classifier = _up(num_classes)

    @classmethod
    def head(cls, weights: Mapping[str, Tensor]) -> int | None:
        """Return the number of output channels.

        Args:
            weights: tensors of any shape by this module's names.

        Returns:
            K, or None where the classifier is not there.

        Raises:
            BenchError: the weights are ESPNet-C's, which has no decoder.
        """
        if "classifier.conv.weight" in weights and "level3_C.conv.weight" not in weights:
            raise BenchError("these are weights of ESPNet-C, which has no decoder: use the model espnet_c")
        head = weights.get("classifier.weight")
        return None if head is None or head.dim() != 4 else head.shape[1]

    @classmethod
    def structure(cls, weights: Mapping[str, Tensor], num_classes: int) -> dict[str, str]:
        """Return the kind of the last fusion.

        Args:
            weights: tensors of any shape by this module's names.
            num_classes: number of output channels K.

        Returns:
            The option ``skip``.
        """
        fusion = weights.get("conv.conv.weight")
        authors = fusion is not None and fusion.dim() == 4 and fusion.shape[1] == num_classes + 16
        return {"skip": "conv" if authors else "cat"}

    def forward(self, images: Tensor) -> Outputs:
        """Return logits at the size of the images, the embedding at half of it, and the stages.

        Args:
            images: N x 3 x H x W, normalised.

        Returns:
            Logits N x K x H x W, embedding N x K x h_1 x w_1, stages N x C_i x h_i x w_i of 19, 131 and 256 channels
            at strides 2, 4 and 8.
        """
        first, stages = self.encode(images)
        fine, middle, coarse = stages
        raised = self.up_l3(self.br(self.classifier_1(coarse)))
        raised = self.combine_l2_l3(torch.cat([self.level3_C(middle), _cut(raised, middle)], dim=1))
        raised = self.up_l2(raised)
        embedding = self.conv(torch.cat([_cut(raised, fine), fine if self.skip == "cat" else first], dim=1))
        return Outputs(_cut(self.classifier(embedding), images), embedding, stages, model=self)
