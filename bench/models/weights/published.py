"""What a checkpoint tells by its names and shapes.

A model class that can read the checkpoints of others has a class method ``recognise(weights) -> Published | None``; it
returns None where the form is not known, and raises BenchError where it is a sibling's, which it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from bench.models.weights.reading import needed_names
from bench.models.weights.wrapping import parts_of, shared_prefixes, taken_off

_SHOWN = 3


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


@dataclass(frozen=True)
class Renamed:
    """A checkpoint under the names of a model.

    Attributes:
        weights: its tensors; as they were where they are not the model's.
        published: what the model's class makes of them; None where it knows no form but its own.
        notes: what was done to the names, in sentences that follow the file's name.
    """

    weights: Mapping[str, Tensor]
    published: Published | None = None
    notes: tuple[str, ...] = ()


def renamed(model: nn.Module, weights: Mapping[str, Tensor]) -> Renamed:
    """Return a checkpoint under the names of the model that is to load it.

    A prefix that all names share is taken off where the model has none such. Where a single part of the names is the
    whole model, as beside a loss with weights of its own, that part is taken.

    Args:
        model: the model; it may stand on the meta device.
        weights: the checkpoint's tensors by name, of any shape.

    Raises:
        BenchError: the checkpoint is a sibling's.
    """
    own, needed = set(model.state_dict()), needed_names(model)
    best, most = "", 0
    for prefix in shared_prefixes(weights):
        inner = {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
        if (found := recognised(model, inner)) is not None:
            return Renamed(found.weights, found, (taken_off(prefix),) if prefix else ())
        if (n_known := len(own & set(inner))) > most:
            best, most = prefix, n_known
    plain = {name.removeprefix(best): tensor for name, tensor in weights.items()} if best else weights
    fitting = {part: inner for part, inner in parts_of(weights).items() if needed <= set(inner) <= own}
    if needed <= set(plain) or len(fitting) != 1:
        return Renamed(plain, None, (taken_off(best),) if best else ())
    ((part, inner),) = fitting.items()
    left = [name for name in weights if not name.startswith(part)]
    told = f"{', '.join(left[:_SHOWN])}{', ...' if len(left) > _SHOWN else ''}"
    return Renamed(inner, None, (f"of its tensors those under '{part}' are taken, not {told}",))


def under_own_names(model: nn.Module, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return a checkpoint's tensors under the names of the model that is to load it.

    Args:
        model: the model.
        weights: the checkpoint's tensors by name, of any shape.

    Raises:
        BenchError: the checkpoint is a sibling's.
    """
    return renamed(model, weights).weights
