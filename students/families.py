"""Every model of segmentation-models-pytorch and of torchvision's segmentation package, by the library's own name."""

from __future__ import annotations

from bench.models.base import SegmentationModel, students
from bench.models.libraries import smp_family, torchvision_family


@students.register_family("smp")
def smp(spec: str, num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """Model of segmentation-models-pytorch: ``smp:<architecture>/<encoder>``, timm's encoders as ``tu-<name>``.

    Parameter names are the library's, so its checkpoints load. With ``pretrained`` the encoder starts from the weights
    that the library or timm publishes for it, where there are any.
    Source: https://github.com/qubvel-org/segmentation_models.pytorch.

    Args:
        spec: architecture and encoder, as in ``Unet/resnet18``.
        num_classes: number of classes K.
        pretrained: whether it starts from published encoder weights.

    Raises:
        BenchError: unknown names, or an encoder that the architecture does not take.
    """
    model = smp_family.build(spec, num_classes)
    if pretrained:
        smp_family.use_published_encoder(model, spec.partition("/")[2])
    return model


@students.register_family("torchvision")
def torchvision(spec: str, num_classes: int, *, pretrained: bool = True) -> SegmentationModel:
    """Segmentation model of torchvision: ``torchvision:<builder>``, FCN and DeepLabV3 with their auxiliary head.

    Parameter names are the library's, so its checkpoints load. With ``pretrained`` the backbone starts from the
    ImageNet weights that torchvision takes by default. Source: https://pytorch.org/vision/stable/models.html.

    Args:
        spec: name of a builder in ``torchvision.models.segmentation``.
        num_classes: number of classes K.
        pretrained: whether it starts from published backbone weights.

    Raises:
        BenchError: unknown name.
    """
    return torchvision_family.build(spec, num_classes, pretrained=pretrained)


smp.check = smp_family.check
torchvision.check = torchvision_family.check
