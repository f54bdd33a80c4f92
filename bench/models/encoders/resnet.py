"""ResNet encoders as the segmentation papers dilate them, their ImageNet weights, and the model around an encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import timm
import torch
from torch import Tensor, nn

from bench.method import Outputs
from bench.models.base import SegmentationModel
from bench.models.weights.pretrained import Pretrained

Stem = Literal["7x7", "deep32", "deep64"]
"""``7x7``: one convolution of 64 channels; ``deepN``: three 3x3 of N, N and 2N channels."""

Dilation = Literal["contracted", "full", "first"]
"""Which 3x3 convolutions of stages 3 and 4 are dilated by 2 and by 4, where those stages keep the stride.

``contracted``: all but the first of the stage, which keeps the dilation of the stage before (torchvision, CIRKD).
``full``: all of them (SKD, semseg).
``first``: as ``contracted``, but the second convolution of a BasicBlock never is (mmseg).
"""


class ResNetEncoder(nn.Module):
    """A ResNet of timm without its classifier (He et al., CVPR 2016, arXiv 1512.03385).

    Args:
        depth: 18, 50 or 101.
        stem: what comes before the max-pool.
        output_stride: 8 dilates stages 3 and 4, 32 does not.
        dilation: which convolutions are dilated at output stride 8.
        ceil_mode: of the max-pool; 8k+1 pixels and 8k pixels then give k+1 positions.
        options: other arguments of timm's ResNet, such as ``layers`` and ``channels``.

    ``forward`` returns the four stages from fine to coarse.
    """

    channels: tuple[int, ...]

    def __init__(
        self,
        depth: int,
        *,
        stem: Stem = "7x7",
        output_stride: int = 8,
        dilation: Dilation = "contracted",
        ceil_mode: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        if stem != "7x7":
            options |= {"stem_type": "deep", "stem_width": int(stem.removeprefix("deep"))}
        body = timm.create_model(
            f"resnet{depth}",
            features_only=True,
            out_indices=(1, 2, 3, 4),
            output_stride=output_stride,
            zero_init_last=False,  # of the papers only mmseg's random start has it; it hides the branches' gradients
            **options,
        )
        body["maxpool"].ceil_mode = ceil_mode
        if output_stride == 8:
            _dilate(body, dilation)
        self.body = body
        self.channels = tuple(body.feature_info.channels())

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the stages from fine to coarse.

        Args:
            images: N x 3 x H x W, normalised.

        Returns:
            Four maps of N x C_i x h_i x w_i, the C_i as in ``channels``: at strides 4, 8, 8 and 8, or 4, 8, 16 and 32
            at output stride 32.
        """
        return tuple(self.body(images))


def _dilate(body: Mapping[str, nn.Module], policy: Dilation) -> None:
    """Change timm's dilations, which are the contracted ones."""
    for stage, rate in (("layer3", 2), ("layer4", 4)):
        for name, module in body[stage].named_modules():
            if not isinstance(module, nn.Conv2d) or module.kernel_size != (3, 3):
                continue
            if policy == "full":
                module.dilation = module.padding = (rate, rate)
            elif policy == "first" and _is_second_3x3(name, body[stage]):
                module.dilation = module.padding = (1, 1)


def _is_second_3x3(name: str, stage: nn.Module) -> bool:
    block, _, convolution = name.rpartition(".")
    return convolution == "conv2" and not hasattr(stage.get_submodule(block), "conv3")


class CoarsestStage(nn.Sequential):
    """Layers in a row, on the coarsest stage of an encoder."""

    def forward(self, stages: tuple[Tensor, ...]) -> Tensor:
        """Return the embedding.

        Args:
            stages: each N x C_i x h_i x w_i, from fine to coarse.

        Returns:
            N x C x h x w, what the layers make of the last one.
        """
        embedding = stages[-1]
        for layer in self:
            embedding = layer(embedding)
        return embedding


class EncoderSegmenter(SegmentationModel):
    """Encoder, decoder, dropout, classifier, and an auxiliary head on stage 3 for training.

    Args:
        encoder: gives the stages from fine to coarse, four of them.
        decoder: turns the stages into the embedding.
        classifier: turns the embedding into logits.
        dropout: between decoder and classifier; the embedding is what comes out of it, which the classifier reads.
        auxiliary: turns stage 3 into logits.
        pretrained: weights of the encoder that it starts from.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        classifier: nn.Module,
        *,
        dropout: nn.Module,
        auxiliary: nn.Module | None = None,
        pretrained: tuple[Pretrained, ...] = (),
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.dropout = dropout
        self.classifier = classifier
        self.auxiliary = auxiliary
        self.pretrained = pretrained

    def forward(self, images: Tensor) -> Outputs:
        """Return logits and embedding at the decoder's stride, the stages, and in training the auxiliary logits.

        Args:
            images: N x 3 x H x W, normalised.

        Returns:
            Logits N x K x h x w, embedding N x C x h x w, the encoder's four stages N x C_i x h_i x w_i, and auxiliary
            logits of stage 3's size, N x K x h_3 x w_3, where there is such a head.
        """
        stages = self.encoder(images)
        embedding = self.dropout(self.decoder(stages))
        auxiliary = self.auxiliary(stages[2]) if self.training and self.auxiliary is not None else None
        return Outputs(self.classifier(embedding), embedding, stages, auxiliary, model=self)


def torchvision_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop the last layer of an ImageNet classifier; timm has torchvision's names.

    Args:
        weights: tensors of any shape by name.

    Returns:
        The same tensors but those of the last layer, and a counter for each batch normalisation that lacks one.
    """
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("fc.")}
    return _with_batch_counts(kept)


def openmmlab_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename ResNetV1c tensors of OpenMMLab, whose stem is one row ``stem.0`` to ``stem.7``.

    Args:
        weights: tensors of any shape by OpenMMLab's names.

    Returns:
        What :func:`torchvision_weights` gives of them under timm's names.
    """
    return torchvision_weights({_renamed(name, _OPENMMLAB_STEM): tensor for name, tensor in weights.items()})


def csail_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename tensors of MIT CSAIL, whose stem is conv1, bn1 to conv3, bn3.

    Args:
        weights: tensors of any shape by CSAIL's names.

    Returns:
        What :func:`torchvision_weights` gives of them under timm's names.
    """
    return torchvision_weights({_renamed(name, _CSAIL_STEM): tensor for name, tensor in weights.items()})


_OPENMMLAB_STEM = {f"stem.{index}": f"conv1.{index}" for index in (0, 1, 3, 4, 6)} | {"stem.7": "bn1"}
_CSAIL_STEM = {
    "conv1": "conv1.0",
    "bn1": "conv1.1",
    "conv2": "conv1.3",
    "bn2": "conv1.4",
    "conv3": "conv1.6",
    "bn3": "bn1",
}


def _renamed(name: str, prefixes: Mapping[str, str]) -> str:
    module, _, tensor = name.rpartition(".")
    return f"{prefixes.get(module, module)}.{tensor}"


def _with_batch_counts(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Add the counter of batch normalisation, which files older than PyTorch 0.4.1 lack."""
    suffix = "running_var"
    counters = {
        f"{name.removesuffix(suffix)}num_batches_tracked": torch.tensor(0) for name in weights if name.endswith(suffix)
    }
    return counters | weights


_TORCHVISION = "https://download.pytorch.org/models/"
_OPENMMLAB = "https://download.openmmlab.com/pretrain/third_party/"
_CSAIL = "http://sceneparsing.csail.mit.edu/model/pretrained_resnet/"

_PUBLISHED: dict[tuple[int, Stem], tuple[str, str, Callable[[Mapping[str, Tensor]], dict[str, Tensor]]]] = {
    (18, "7x7"): (_TORCHVISION, "resnet18-f37072fd.pth", torchvision_weights),
    (50, "7x7"): (_TORCHVISION, "resnet50-0676ba61.pth", torchvision_weights),
    (101, "7x7"): (_TORCHVISION, "resnet101-63fe2227.pth", torchvision_weights),
    (18, "deep32"): (_OPENMMLAB, "resnet18_v1c-b5776b93.pth", openmmlab_weights),
    (50, "deep32"): (_OPENMMLAB, "resnet50_v1c-2cccc1ad.pth", openmmlab_weights),
    (101, "deep32"): (_OPENMMLAB, "resnet101_v1c-e67eebb6.pth", openmmlab_weights),
    (18, "deep64"): (_CSAIL, "resnet18-imagenet.pth", csail_weights),
    (101, "deep64"): (_CSAIL, "resnet101-imagenet.pth", csail_weights),
}
"""Where the ImageNet weights of an encoder are published.

CSAIL's are those that SKD, IFVD and CIRKD start from, and feed as :func:`fed_bgr` says; the others expect RGB with
ImageNet's mean and deviation.
"""


def gluon_r101(*, part: str = "encoder.body") -> tuple[Pretrained, ...]:
    """Return the ImageNet weights of timm's resnet101s, a deep64 ResNet-101 that expects RGB (under timm's names)."""
    file = "gluon_resnet101_v1s-60fe0cc1.pth"
    folder = "https://github.com/rwightman/pytorch-pretrained-gluonresnet/releases/download/v0.1/"
    return (Pretrained(part, folder + file, file, torchvision_weights),)


def fed_bgr(model: EncoderSegmenter) -> EncoderSegmenter:
    """Return a model that is told to be fed as SKD, IFVD and CIRKD do: BGR in 0..255 minus the mean, undivided."""
    model.bgr = True
    model.mean = (122.67891434 / 255, 116.66876762 / 255, 104.00698793 / 255)
    model.std = (1 / 255, 1 / 255, 1 / 255)
    return model


def imagenet(depth: int, stem: Stem, *, part: str = "encoder.body") -> tuple[Pretrained, ...]:
    """Return the published ImageNet weights of an unchanged ResNet.

    Args:
        depth: 18, 50 or 101.
        stem: its stem.
        part: dotted name of the submodule that they are for.
    """
    folder, file, convert = _PUBLISHED[depth, stem]
    return (Pretrained(part, folder + file, file, convert),)
