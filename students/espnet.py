"""ESPNet and ESPNet-C, which read the checkpoints of their authors and of SKD."""

from __future__ import annotations

from bench.models.base import students
from bench.models.nets.espnet import Blocks, ESPNet, ESPNetC, Normalization, Skip


@students.register("espnet")
def espnet(
    num_classes: int,
    *,
    p: Blocks = 2,
    q: Blocks = 8,
    skip: Skip = "cat",
    normalization: Normalization = "dataset",
) -> ESPNet:
    """ESPNet (arXiv 1803.06815): 353,437 parameters at 11 classes."""
    return ESPNet(num_classes, p, q, skip, normalization)


@students.register("espnet_c")
def espnet_c(
    num_classes: int,
    *,
    p: Blocks = 2,
    q: Blocks = 8,
    normalization: Normalization = "dataset",
) -> ESPNetC:
    """ESPNet-C, the encoder of ESPNet with logits at stride 8: 347,145 parameters at 11 classes."""
    return ESPNetC(num_classes, p, q, normalization)
