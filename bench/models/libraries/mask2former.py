"""Mask2Former (Cheng et al., CVPR 2022, arXiv 2112.01527) through Hugging Face's ``transformers``, if installed."""

from __future__ import annotations

import logging
from typing import Any, Self

import torch
from torch import Tensor

from bench.base.errors import BenchError
from bench.base.text import install_hint
from bench.method import Outputs
from bench.method.maps import wide
from bench.models.base import SegmentationModel

FLOOR = 1e-6
"""Added to a class's score before its logarithm is taken, so that a class that no query claims has a finite logit."""


class Mask2Former(SegmentationModel):
    """A mask classifier as a per-pixel one.

    Mask2Former predicts, for each of its queries, class probabilities and a mask. Its semantic score of a class at a
    pixel is the sum over queries of class probability (no-object dropped) times the sigmoid of the mask: positive, and
    not a logit. The logits here are the scores' logarithms, ``log(score + 1e-6)``: their softmax is the scores divided
    by their sum, their argmax that of the scores, so that they can be distilled as any other logits.

    Children have the names of ``Mask2FormerForUniversalSegmentation``, so its checkpoints load.

    Args:
        library: the model of ``transformers``.

    ``forward`` returns logits and embedding (the mask features, 256 channels) at stride 4 and the backbone's stages.
    """

    def __init__(self, library: Any) -> None:
        super().__init__()
        self.model = library.model
        self.class_predictor = library.class_predictor
        self.criterion = library.criterion  # holds a buffer of the published checkpoints

    def train(self, mode: bool = True) -> Self:
        """Set the mode, of all but the deformable encoder.

        In training mode that one looks for infinite values after every layer, which waits for the device and cannot be
        done without data; it has no dropout, so that its two modes compute the same.
        """
        super().train(mode)
        self.model.pixel_level_module.decoder.encoder.eval()
        return self

    def forward(self, images: Tensor) -> Outputs:
        """Return logits and embedding at stride 4 and the backbone stages.

        Args:
            images: N x 3 x H x W, normalised.

        Returns:
            Logits N x K x h x w, float32 or wider and at least log(1e-6), embedding N x 256 x h x w, stages
            N x C_i x h_i x w_i at strides 4, 8, 16 and 32.
        """
        found = self.model(pixel_values=images, output_hidden_states=True, return_dict=True)
        queries = found.transformer_decoder_intermediate_states[-1].transpose(0, 1)
        classes = wide(self.class_predictor(queries)).softmax(-1)[..., :-1]
        masks = wide(found.masks_queries_logits[-1]).sigmoid()
        scores = torch.einsum("nqk,nqhw->nkhw", classes, masks)
        stages = tuple(found.encoder_hidden_states)
        return Outputs((scores + FLOOR).log(), found.pixel_decoder_last_hidden_state, stages, model=self)


def mask2former_resnet50(num_classes: int) -> Mask2Former:
    """Build Mask2Former on a ResNet-50 of output stride 32, 100 queries, 9 decoder layers.

    Raises:
        BenchError: ``transformers`` is not installed.
    """
    try:
        from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, ResNetConfig
    except ImportError as error:
        raise BenchError(f"mask2former needs transformers ({error}): {install_hint('mask2former')}") from error

    # it warns of every backbone but Swin; that the ResNet one fits is tested
    logging.getLogger(Mask2FormerConfig.__module__).setLevel(logging.ERROR)
    backbone = ResNetConfig(out_features=["stage1", "stage2", "stage3", "stage4"])
    config = Mask2FormerConfig(backbone_config=backbone, num_labels=num_classes)
    library = Mask2FormerForUniversalSegmentation(config)
    # its level embedding is made by a constructor that knows no default device
    return Mask2Former(library.to(library.class_predictor.weight.device))
