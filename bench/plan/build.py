"""From a cell's description of a model to the model."""

from __future__ import annotations

from bench.matrix.cell import InputSpec, ModelSpec
from bench.models.base import Model, build_model


def build_spec(spec: ModelSpec, num_classes: int, device: str = "cpu") -> Model:
    """Build a model as a cell describes it, its preparation of images included.

    Args:
        spec: name, options and preparation; weights are not loaded.
        num_classes: number of classes K, or of output channels of a task without classes.
        device: where the parameters are made; ``meta`` makes none.

    Raises:
        BenchError: unknown name.
    """
    model = build_model(spec.name, num_classes, spec.options, device)
    if spec.input is not None:
        apply_input(model, spec.input)
    return model


def apply_input(model: Model, given: InputSpec) -> None:
    """Let a model prepare images as a matrix says."""
    model.mean = given.mean or model.mean
    model.std = given.std or model.std
    model.bgr = model.bgr if given.bgr is None else given.bgr
