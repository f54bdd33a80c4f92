"""Any architecture and encoder of segmentation-models-pytorch (smp), by the name ``smp:<architecture>/<encoder>``.

The library is imported when a model is built: it takes seconds, and most commands build none.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from bench.base.errors import BenchError, did_you_mean, unknown
from bench.method import Outputs
from bench.models.base import SegmentationModel
from bench.models.rows import through_head
from bench.models.weights.lite import PACKAGES, packaged
from bench.models.weights.pretrained import Pretrained

TIMM = "tu-"


class LinspaceOnCpu(TorchFunctionMode):
    """Keeps ``torch.linspace`` on the CPU: encoders read their drop-path rates from it, and meta tensors hold none."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call ``func``, for ``linspace`` with the CPU as its default device."""
        given = {} if kwargs is None else kwargs
        return func(*args, **({"device": "cpu"} | given if func is torch.linspace else given))


class SmpModel(SegmentationModel):
    """A model of the library, taken apart so that one forward gives every output.

    Its children are the library model's own, so names of parameters are the library's and its checkpoints load.

    Architectures that refuse sizes that are no multiple of the encoder's stride are given zeros (the mean colour of a
    normalised image) at the right and at the bottom; outputs are cut to the image again.

    ``forward`` returns the logits of the head's convolution before its up-sampling, the decoder's output as embedding,
    and the encoder's features at stride 4 and coarser.

    Args:
        library: a model without classification head and activation.
    """

    def __init__(self, library: Any) -> None:
        super().__init__()
        self.encoder = library.encoder
        self.decoder = library.decoder
        self.segmentation_head = library.segmentation_head
        self.multiple = library.encoder.output_stride if library.requires_divisible_input_shape else 1

    def decode(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return what encoder and decoder give.

        Args:
            images: N x 3 x H x W, of a size that the encoder takes.

        Returns:
            The encoder's features at stride 4 and coarser, each N x C_i x h_i x w_i, and the decoder's output,
            N x C x h x w.
        """
        features = self.encoder(images)
        return list(features[2:]), self.decoder(features)

    def classify(self, decoded: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the classifier reads, and its logits.

        Args:
            decoded: N x C x h x w.

        Returns:
            The same, and N x K x h x w.
        """
        return decoded, self.segmentation_head[0](decoded)

    def forward(self, images: Tensor) -> Outputs:
        """Return logits and embedding at the decoder's stride and the encoder stages.

        Args:
            images: N x 3 x H x W, normalised.

        Returns:
            Logits N x K x h x w, embedding N x C x h x w, stages N x C_i x h_i x w_i.
        """
        size = images.shape[-2:]
        bottom, right = (-length % self.multiple for length in size)
        padded = F.pad(images, (0, right, 0, bottom)) if bottom or right else images

        def cut(tensor: Tensor) -> Tensor:
            height, width = (
                -(-whole * have // full)
                for whole, have, full in zip(size, tensor.shape[-2:], padded.shape[-2:], strict=True)
            )
            return tensor[..., :height, :width] if bottom or right else tensor

        stages, decoded = self.decode(padded)
        embedding, logits = self.classify(decoded)
        return Outputs(cut(logits), cut(embedding), tuple(map(cut, stages)), model=self)


class SmpDpt(SmpModel):
    """DPT: a ViT encoder that also hands over its prefix tokens, and a head of two convolutions."""

    def decode(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return what encoder and decoder give.

        Args:
            images: N x 3 x H x W, of a size that the encoder takes.

        Returns:
            The features of the tapped blocks, each N x C x h x w with a position a patch, and the decoder's output,
            N x C' x h' x w'.
        """
        features, prefix_tokens = self.encoder(images)
        return list(features), self.decoder(features, prefix_tokens)

    def classify(self, decoded: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the last convolution reads, and its logits.

        Args:
            decoded: N x C x h x w.

        Returns:
            N x C' x h x w, and N x K x h x w.
        """
        return through_head(self.segmentation_head.head, decoded)


def check(rest: str) -> None:
    """Refuse an architecture or an encoder that the library does not have.

    Raises:
        BenchError: with the nearest name.
    """
    import segmentation_models_pytorch as smp
    import timm

    architecture, slash, encoder = rest.partition("/")
    if architecture not in _architectures():
        raise BenchError(unknown("smp architecture", architecture, _architectures()))
    if not slash or not encoder:
        raise BenchError(f"'smp:{rest}' names no encoder: write smp:{architecture}/<encoder>, as in smp:Unet/resnet18")
    if encoder.startswith(TIMM):
        name = encoder.removeprefix(TIMM)
        known = [*timm.list_models(), *timm.list_pretrained()]
        if name not in known:
            raise BenchError(
                f"unknown timm encoder '{name}' in 'smp:{rest}'.{did_you_mean(name, known)} "
                f"timm.list_models() lists all {len(timm.list_models())}"
            )
    elif encoder not in (names := smp.encoders.get_encoder_names()):
        raise BenchError(f"{unknown('smp encoder', encoder, names)}, or {TIMM}<name of a timm model>")


def build(rest: str, num_classes: int) -> SmpModel:
    """Build ``<architecture>/<encoder>`` with random weights; its ``pretrained`` tells where the encoder's are.

    Raises:
        BenchError: unknown names, or an encoder that the architecture does not take.
    """
    check(rest)
    architecture, _, encoder = rest.partition("/")
    make = functools.partial(
        _architectures()[architecture], encoder_name=encoder, encoder_weights=None, classes=num_classes
    )
    try:
        library = _of_any_size(make, encoder)
    except (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise BenchError(f"'smp:{rest}' cannot be built: {' '.join(str(error).split())}") from error
    return (SmpDpt if architecture == "DPT" else SmpModel)(library)


def use_published_encoder(model: SegmentationModel, name: str) -> None:
    """Let a model with a library encoder start from the encoder's published ImageNet weights, where there are any.

    Args:
        model: its ``encoder`` was made by the library.
        name: the encoder's name there. For timm's the mean and standard deviation that its weights expect are taken.
    """
    import timm
    from segmentation_models_pytorch.encoders import encoders

    encoder: Any = model.encoder
    if not name.startswith(TIMM):
        settings = encoders[name]["pretrained_settings"]
        chosen = settings.get("imagenet") or next(iter(settings.values()), None)
        if chosen is not None:
            repository, revision = chosen["repo_id"], chosen["revision"]
            convert = functools.partial(_through_smp, name, encoder._depth)
            source = _on_hub("encoder", repository, revision, "model.safetensors", convert)
            model.pretrained = (_or_packaged(source, name.removeprefix("timm-")),)
        return
    config = timm.get_pretrained_cfg(encoder.name)
    if config is None or not config.has_weights or config.custom_load == "hf":
        return
    options = {"depth": len(encoder.out_channels)} if isinstance(model, SmpDpt) else _timm_options(encoder)
    convert = functools.partial(_through_timm, type(encoder), encoder.name, options)
    if config.hf_hub_id:
        file = config.hf_hub_filename or "model.safetensors"
        source = _on_hub("encoder", config.hf_hub_id, "main", file, convert)
        model.pretrained = (_or_packaged(source, encoder.name),)
    elif not config.custom_load:
        model.pretrained = (Pretrained("encoder", config.url, config.url.rpartition("/")[2], convert),)
    if model.pretrained:
        model.mean, model.std = tuple(config.mean), tuple(config.std)


def _of_any_size(make: Callable[..., Any], encoder: str) -> Any:
    """Build a model; transformers of timm that are made for one image size are asked to take others."""
    import timm

    config = timm.get_pretrained_cfg(encoder.removeprefix(TIMM)) if encoder.startswith(TIMM) else None
    with LinspaceOnCpu():
        if config is not None and config.fixed_input_size:
            for option in ({"strict_img_size": False}, {"dynamic_img_size": True}):
                try:
                    return make(**option)
                except TypeError:  # timm has no list of who takes which
                    continue
        return make()


def _timm_options(encoder: Any) -> dict[str, Any]:
    return {"depth": encoder._depth, "output_stride": encoder._output_stride}


def _architectures() -> dict[str, Any]:
    import segmentation_models_pytorch as smp

    return {architecture.__name__: architecture for architecture in smp.MODEL_ARCHITECTURES_MAPPING.values()}


def _on_hub(
    part: str, repository: str, revision: str, file: str, convert: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
) -> Pretrained:
    # no hyphen before the revision: digits after one are taken for the file's SHA-256
    name = re.sub(r"[^\w.]+", "_", f"{repository}_{revision[:8]}") + f"_{file}"
    return Pretrained(part, f"https://huggingface.co/{repository}/resolve/{revision}/{file}", name, convert)


def _or_packaged(source: Pretrained, name: str) -> Pretrained:
    """Return weights that a package of the index may bring as well, where one carries those of timm's model."""
    plain, _, tag = name.partition(".")
    if plain not in PACKAGES or tag not in ("", "in1k"):
        return source
    return packaged(source.part, plain, source.convert, source)


def _through_smp(name: str, depth: int, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop the classifier and rename as the encoder's own loader does, which differs from one encoder to the next."""
    from segmentation_models_pytorch.encoders import get_encoder

    def load() -> Any:
        encoder = get_encoder(name, depth=depth, weights=None)
        encoder.load_state_dict(dict(weights))
        return encoder

    return _state_after(load, name)


def _through_timm(
    encoder: type, name: str, options: dict[str, Any], weights: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Let timm load a whole classifier's file into the part of it that gives features, which it may rename."""
    import timm

    def load() -> Any:
        overlay = {"state_dict": dict(weights)}
        timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay)  # strict, while the part's load is not
        return encoder(name=name, pretrained=True, pretrained_cfg_overlay=overlay, **options)

    return _state_after(load, name)


def _state_after(load: Callable[[], Any], name: str) -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):  # the loaders first draw weights that they then overwrite
        try:
            return dict(load().state_dict())
        except (KeyError, RuntimeError) as error:
            message = " ".join(str(error).split())[:300]
            raise BenchError(f"the weights do not fit the encoder {name}: {message}") from error
