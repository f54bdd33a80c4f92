"""EfficientNet-Lite encoders."""

from __future__ import annotations

import timm
from torch import Tensor, nn


class LiteEncoder(nn.Module):
    """An EfficientNet-Lite of timm without its last convolution and classifier.

    EfficientNet (Tan and Le, ICML 2019, arXiv 1905.11946) with ReLU6 and without squeeze and excitation, padded as
    TensorFlow pads; https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite.

    Args:
        name: timm's, as in ``tf_efficientnet_lite0``.
        output_stride: 16 dilates the last stage, 32 does not.

    ``forward`` returns the four stages at stride 4 and coarser, from fine to coarse.
    """

    channels: tuple[int, ...]

    def __init__(self, name: str, *, output_stride: int = 16) -> None:
        super().__init__()
        self.body = timm.create_model(
            name, features_only=True, out_indices=(1, 2, 3, 4), output_stride=output_stride, pretrained=False
        )
        self.channels = tuple(self.body.feature_info.channels())

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the stages from fine to coarse.

        Args:
            images: N x 3 x H x W, normalised.

        Returns:
            Four maps of N x C_i x h_i x w_i, the C_i as in ``channels``: at strides 4, 8, 16 and the output stride.
        """
        return tuple(self.body(images))
