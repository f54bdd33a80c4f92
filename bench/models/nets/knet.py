"""K-Net for semantic segmentation (Zhang et al., NeurIPS 2021, arXiv 2106.14855), after mmseg's implementation."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from bench.method.maps import resize, wide
from bench.models.encoders.resnet import CoarsestStage, EncoderSegmenter, ResNetEncoder, imagenet
from bench.models.heads.aspp import ASPP
from bench.models.heads.fcn import ConcatenatedFCN, FCNHead
from bench.models.heads.psp import PyramidPooling
from bench.models.heads.uper import UPerDecoder

DecoderName = Literal["fcn", "psp", "dlv3", "uper"]
WIDTH = 512
"""Channels of the embedding and of the kernels."""


class KernelUpdator(nn.Module):
    """Mixes a kernel with the feature of its group by two gates (equations 4 and 5).

    Every kernel of 2 x width channels is taken as two halves, which share the weights.

    Args:
        width: channels of a half.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.group_layer = nn.Linear(width, 2 * width)
        self.kernel_layer = nn.Linear(width, 2 * width)
        self.kernel_gate = nn.Linear(width, width)
        self.group_gate = nn.Linear(width, width)
        self.kernel_gate_norm = nn.LayerNorm(width)
        self.group_gate_norm = nn.LayerNorm(width)
        self.kernel_norm = nn.LayerNorm(width)
        self.group_norm = nn.LayerNorm(width)
        self.project = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU(inplace=True))

    def forward(self, group: Tensor, kernels: Tensor) -> Tensor:
        """Return the mixed kernels.

        Args:
            group: N x K x C, feature of each kernel's group; C is a multiple of ``width``.
            kernels: the same shape.

        Returns:
            New kernels, N x K x C.
        """
        halves = (*kernels.shape[:-1], -1, self.width)
        group_in, group_out = self.group_layer(group.reshape(halves)).chunk(2, dim=-1)
        kernel_in, kernel_out = self.kernel_layer(kernels.reshape(halves)).chunk(2, dim=-1)
        both = kernel_in * group_in
        kernel_gate = torch.sigmoid(self.kernel_gate_norm(self.kernel_gate(both)))
        group_gate = torch.sigmoid(self.group_gate_norm(self.group_gate(both)))
        mixed = group_gate * self.group_norm(group_out) + kernel_gate * self.kernel_norm(kernel_out)
        updated: Tensor = self.project(mixed)
        return updated.reshape(kernels.shape)


class KernelUpdateHead(nn.Module):
    """One round: groups from the masks, updated kernels that see each other, new masks.

    Args:
        width: channels of feature and kernels.
        n_heads: of the attention between kernels.
        hidden: width of the feed-forward layers.
    """

    def __init__(self, width: int = WIDTH, n_heads: int = 8, hidden: int = 2048) -> None:
        super().__init__()
        self.transform = nn.Conv2d(width, width, 1)
        self.updator = KernelUpdator(width // 2)
        # batch_first would take PyTorch's fused path in evaluation, which the meta device has not
        self.attention = nn.MultiheadAttention(width, n_heads)
        self.attention_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, width))
        self.feed_forward_norm = nn.LayerNorm(width)
        self.mask_layers = nn.Sequential(
            nn.Linear(width, width, bias=False), nn.LayerNorm(width), nn.ReLU(inplace=True), nn.Linear(width, width)
        )
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, feature: Tensor, kernels: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return new logits and kernels.

        Args:
            feature: N x C x h x w.
            kernels: N x K x C.
            logits: N x K x h x w of the round before, which are the groups' masks.

        Returns:
            Logits N x K x h x w and kernels N x K x C.
        """
        feature = self.transform(feature)
        with _full_precision(feature):  # a group's feature is a sum over all pixels, more than half precision holds
            masks = wide(resize(logits, feature.shape[-2:])).softmax(dim=1)
            group = torch.einsum("nkhw,nchw->nkc", masks, wide(feature))
            kernels = self._updated(group.to(kernels.dtype), kernels)
            weights = self.mask_layers(kernels)
        return torch.einsum("nkc,nchw->nkhw", weights, feature), kernels

    def _updated(self, group: Tensor, kernels: Tensor) -> Tensor:
        sequence = self.updator(group, kernels).transpose(0, 1)
        attended, _ = self.attention(sequence, sequence, sequence, need_weights=False)
        kernels = self.attention_norm(sequence + attended).transpose(0, 1)
        updated: Tensor = self.feed_forward_norm(kernels + self.feed_forward(kernels))
        return updated


def _full_precision(tensor: Tensor) -> contextlib.AbstractContextManager[object]:
    if not torch.amp.is_autocast_available(tensor.device.type):
        return contextlib.nullcontext()
    return torch.autocast(tensor.device.type, enabled=False)


class KNetClassifier(nn.Module):
    """A 1x1 classifier whose weights are the first kernels, and rounds that refine kernels and logits.

    Args:
        num_classes: number of classes K, one kernel each.
        width: channels of the embedding.
        n_rounds: number of update heads.
    """

    def __init__(self, num_classes: int, width: int = WIDTH, n_rounds: int = 3) -> None:
        super().__init__()
        self.dropout = nn.Dropout2d(0.1)
        self.initial = nn.Conv2d(width, num_classes, 1)
        self.rounds = nn.ModuleList(KernelUpdateHead(width) for _ in range(n_rounds))

    def forward(self, embedding: Tensor) -> Tensor:
        """Return the last round's logits; N x C x h x w to N x K x h x w."""
        logits: Tensor = self.initial(self.dropout(embedding))
        # a copy, as in mmseg: hooks of FLOP counters refuse a view of a parameter that was made without gradients
        kernels = self.initial.weight.flatten(1).repeat(len(embedding), 1, 1)
        for update in self.rounds:
            logits, kernels = update(embedding, kernels, logits)
        return logits


DECODERS: dict[DecoderName, Callable[[tuple[int, ...]], nn.Module]] = {
    "fcn": lambda channels: CoarsestStage(ConcatenatedFCN(channels[-1], WIDTH)),
    "psp": lambda channels: CoarsestStage(PyramidPooling(channels[-1], WIDTH)),
    "dlv3": lambda channels: CoarsestStage(ASPP(channels[-1], WIDTH)),
    "uper": lambda channels: UPerDecoder(channels, WIDTH),
}


def mmseg_r50(num_classes: int, decoder: DecoderName, *, knet: bool, pretrained: bool) -> EncoderSegmenter:
    """Return mmseg's ResNetV1c-50 under one of its 512-channel decoders.

    Args:
        num_classes: number of classes K.
        decoder: which one; ``uper`` stands on stages of strides 4, 8, 16, 32, the others on an output stride of 8.
        knet: K-Net's classifier, else a 1x1 convolution behind dropout.
        pretrained: start the encoder from ImageNet weights.
    """
    encoder = ResNetEncoder(50, stem="deep32", dilation="first", output_stride=32 if decoder == "uper" else 8)
    return EncoderSegmenter(
        encoder,
        DECODERS[decoder](encoder.channels),
        KNetClassifier(num_classes) if knet else nn.Conv2d(WIDTH, num_classes, 1),
        dropout=nn.Identity() if knet else nn.Dropout2d(0.1),
        auxiliary=FCNHead(encoder.channels[2], 256, num_classes),
        pretrained=imagenet(50, "deep32") if pretrained else (),
    )
