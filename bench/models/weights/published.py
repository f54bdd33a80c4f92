"""What a checkpoint tells by its names and shapes.

A model class that can read the checkpoints of others has a class method ``recognise(weights) -> Published | None``; it
returns None where the form is not known, and raises BenchError where it is a sibling's, which it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class Published:
    """A checkpoint as a model understands it.

    Attributes:
        weights: its tensors under the model's own names.
        num_classes: its output channels.
        options: options of the model's builder that its shapes decide.
        layout: who writes checkpoints of that form, for the reader of a table.
        preparation: options of how those authors prepare images; the project's own weights may have the same form.
        align_corners: how those authors up-sample logits; None where that is not known.
    """

    weights: dict[str, Tensor]
    num_classes: int
    options: dict[str, Any] = field(default_factory=dict)
    layout: str = ""
    preparation: dict[str, Any] = field(default_factory=dict)
    align_corners: bool | None = None


def recognised(model: nn.Module, weights: Mapping[str, Tensor]) -> Published | None:
    """Return what a model's class makes of a checkpoint; None where it knows no form but its own.

    Args:
        model: an instance of the class; it may stand on the meta device.
        weights: the checkpoint's tensors by name, of any shape.

    Raises:
        BenchError: the checkpoint is a sibling's.
    """
    recognise = getattr(type(model), "recognise", None)
    found: Published | None = recognise(weights) if recognise is not None else None
    return found


def under_own_names(model: nn.Module, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return a checkpoint's tensors under the names of the model that is to load it.

    Args:
        model: the model.
        weights: the checkpoint's tensors by name, of any shape.

    Raises:
        BenchError: the checkpoint is a sibling's.
    """
    found = recognised(model, weights)
    return weights if found is None else found.weights
