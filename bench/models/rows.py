"""Layers in a row of which more than the last result is wanted."""

from __future__ import annotations

from collections.abc import Container, Iterable

from torch import Tensor, nn


def through_stages(
    blocks: Iterable[nn.Module], feature: Tensor, ends: Container[int] | None = None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run the blocks of an encoder.

    Args:
        blocks: each takes what the one before it gives.
        feature: N x C x h x w, what the first one takes.
        ends: places of the blocks that end a stage, from 0; None where each of them does.

    Returns:
        What the last block gives, N x C' x h' x w', and what those at the ends give, each N x C_i x h_i x w_i.
    """
    stages: list[Tensor] = []
    for place, block in enumerate(blocks):
        feature = block(feature)
        if ends is None or place in ends:
            stages.append(feature)
    return feature, tuple(stages)


def through_head(head: Iterable[nn.Module], feature: Tensor) -> tuple[Tensor, Tensor]:
    """Run a head whose last layer is the classifier.

    Args:
        head: its layers.
        feature: N x C x h x w.

    Returns:
        The embedding that the classifier reads, N x C' x h' x w', and its logits, N x K x h' x w'.
    """
    *body, classifier = head
    for layer in body:
        feature = layer(feature)
    return feature, classifier(feature)
