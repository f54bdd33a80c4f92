"""What can be told of a model before it trains."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bench.method import Outputs
from bench.models.base import SegmentationModel, build_model, output_spec


class Attentive(SegmentationModel):
    """Gives maps at stride 4 through a reshape that leaves one side to be found."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Conv2d(3, 6, 4, stride=4)
        self.classifier = nn.Conv2d(6, 5, 1)
        self.register_buffer("order", torch.arange(6).flip(0))

    def forward(self, images: Tensor) -> Outputs:
        feature = self.encoder(images)[:, self.order]
        tokens = feature.reshape(len(images), 6, -1)
        embedding = tokens.reshape(feature.shape)
        return Outputs(self.classifier(embedding), embedding, (feature,), model=self)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_shapes_of_a_model_that_cannot_be_run_on_no_image(device: str) -> None:
    with torch.device(device):
        spec = output_spec(Attentive(), (64, 32))
    assert [(one.channels, one.stride) for one in (spec.logits, spec.embedding, *spec.stages)] == [
        (5, 4),
        (6, 4),
        (6, 4),
    ]


@pytest.mark.parametrize("name", ["tiny_fpn_8", "espnet", "segformer_b0_mmseg", "pspnet_r18_skd"])
@pytest.mark.parametrize("size", [(64, 96), (61, 83)])
def test_shapes_are_those_of_a_forward(name: str, size: tuple[int, int]) -> None:
    model = build_model(name, 5, {"pretrained": False} if "_r18" in name or "former" in name else {}).eval()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    spec = output_spec(model, size)
    with torch.no_grad():
        outputs = model(torch.zeros(1, 3, *size))
    assert spec == outputs.spec(size)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


def test_a_model_that_fails_tells_its_own_fault() -> None:
    with pytest.raises(RuntimeError, match="Kernel size"):
        output_spec(Attentive(), (2, 2))
