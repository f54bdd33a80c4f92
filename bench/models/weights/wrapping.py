"""What stands around the tensors of a checkpoint: dictionaries of a trainer, prefixes of a wrapper."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.base.errors import BenchError
from bench.base.text import one_line
from bench.models.weights.saving import saving_line

USUAL = ("state_dict", "model_state_dict", "model", "net", "network", "model_state", "params", "weights", "module")
"""Keys that trainers keep a model's weights under."""
_AVERAGED = re.compile(r"(.*[_-])?(ema|swa|averaged?)([_-].*)?")
_MARKS = re.compile(r"(?:(?<=\.)|^)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""What torch.compile, FSDP and activation checkpointing put into names."""
_PARALLEL = "module."
_COUNTER = "n_averaged"
"""What torch.optim.swa_utils puts beside the weights that it averages."""
_SHOWN_KEYS, _LEVELS = 12, 3

Place = tuple[str, ...]


@dataclass(frozen=True)
class Unwrapped:
    """The tensors of a checkpoint.

    Attributes:
        tensors: of any shape, by name.
        notes: what was taken off or chosen, in sentences that follow the file's name.
    """

    tensors: dict[str, Tensor]
    notes: tuple[str, ...] = ()


def unwrapped(content: Any, path: Path) -> Unwrapped:
    """Return the tensors of what a checkpoint holds.

    Args:
        content: as torch reads it.
        path: the file, for messages.

    Raises:
        BenchError: it holds no state dict, or several of which none is the usual one.
    """
    places = list(state_dicts(content, lambda item: isinstance(item, Tensor)))
    place = chosen(places)
    if place is None:
        raise BenchError(_none_or_several(content, places, path))
    notes = []
    if len(places) > 1 or not set(place) <= set(USUAL):
        notes.append(f"the weights under {_told(place)} are taken, of its {top_keys(content)}")
    for key in place:
        content = content[key]
    tensors, told = _plainly_named({str(name): tensor for name, tensor in content.items()})
    if odd := [name for name, tensor in tensors.items() if tensor.layout != torch.strided or tensor.is_quantized]:
        raise BenchError(
            f"{path}: the tensor '{one_line(odd[0], 60)}' is sparse or quantised, which no model loads here"
        )
    return Unwrapped(tensors, (*notes, *told))


def state_dicts(content: Any, is_tensor: Callable[[Any], bool], level: int = 0) -> Iterator[Place]:
    """Yield the keys that lead to each state dict; no key where the content is one itself.

    Args:
        content: of a checkpoint.
        is_tensor: tells tensors, or what stands for them.
        level: how deep the content lies: a checkpoint may hold itself.
    """
    if not isinstance(content, Mapping) or not content or level == _LEVELS:
        return
    if all(is_tensor(item) for item in content.values()):
        yield ()
        return
    for key, item in content.items():
        if isinstance(key, str) and (not level or _wraps(key)):  # what lies deeper elsewhere is an optimiser's
            yield from ((key, *place) for place in state_dicts(item, is_tensor, level + 1))


def chosen(places: list[Place]) -> Place | None:
    """Return the only state dict, or the only one under usual keys; None where that is not to be told."""
    usual = [place for place in places if set(place) <= set(USUAL)]
    found = usual or places
    return found[0] if len(found) == 1 else None


def shared_prefixes(tensors: Mapping[str, Any]) -> Iterator[str]:
    """Yield every prefix that all names share, from none to the longest, each but the first with a dot at its end."""
    yield ""
    parts = [name.split(".")[:-1] for name in tensors]
    for length in range(1, min(map(len, parts), default=0) + 1):
        if len({tuple(part[:length]) for part in parts}) > 1:
            return
        yield ".".join([*parts[0][:length], ""])


def parts_of(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Return the tensors whose names begin alike, at the first dot that tells some apart, by what they begin with.

    Args:
        tensors: of any shape, by name.

    Returns:
        By each beginning, and by each longer one that all of a part's names share, its tensors without it.
    """
    *_, shared = shared_prefixes(tensors)
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part, dot, inner = name.removeprefix(shared).partition(".")
        if dot:
            parts.setdefault(f"{shared}{part}.", {})[inner] = tensor
    return {
        f"{part}{prefix}": {name.removeprefix(prefix): tensor for name, tensor in inner.items()}
        for part, inner in parts.items()
        for prefix in shared_prefixes(inner)
    }


def top_keys(content: Mapping[Any, Any]) -> str:
    """Return the keys at the top of a checkpoint, in words."""
    keys = [one_line(str(key), 60) for key in content]
    left_out = f" and {len(keys) - _SHOWN_KEYS} more" if len(keys) > _SHOWN_KEYS else ""
    return f"top keys {', '.join(keys[:_SHOWN_KEYS])}{left_out}"


def taken_off(prefix: str) -> str:
    """Return the note of what was taken off the names of tensors."""
    return f"'{prefix}' was taken off the names of its tensors"


def _wraps(key: str) -> bool:
    return key in USUAL or _AVERAGED.fullmatch(key) is not None


def _told(place: Place) -> str:
    return ".".join(f"'{one_line(key, 60)}'" for key in place)


def _none_or_several(content: Any, places: list[Place], path: Path) -> str:
    if not places:
        told = f"; it has the {top_keys(content)}" if isinstance(content, Mapping) and content else ""
        return f"{path} holds no state dict of tensors{told}"
    told = " and ".join(map(_told, places[:_SHOWN_KEYS]))
    line = saving_line(path, places[0], data=True)
    return (
        f"{path} holds several state dicts, under {told}, of its {top_keys(content)}. Save the one that is meant, "
        f"such as by {line}"
    )


def _plainly_named(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Return tensors without the marks of wrappers in their names, and notes of what was taken off."""
    removed, notes = "", []
    if any(_MARKS.search(name) for name in tensors):
        marks = dict.fromkeys(mark for name in tensors for mark in _MARKS.findall(name))
        before, tensors = tensors, _renamed(tensors, lambda name: _MARKS.sub("", name))
        removed = "" if tensors is before else "".join(marks)
    if _COUNTER in tensors and len(tensors) > 1 and all(_parallel(name) for name in set(tensors) - {_COUNTER}):
        tensors = {name: tensor for name, tensor in tensors.items() if name != _COUNTER}
        notes.append(f"'{_COUNTER}' of an average of weights is left out")
    while all(_parallel(name) for name in tensors):
        tensors, removed = _renamed(tensors, lambda name: name.removeprefix(_PARALLEL)), _PARALLEL + removed
    return tensors, [*([taken_off(removed)] if removed else []), *notes]


def _parallel(name: str) -> bool:
    return name.startswith(_PARALLEL) and name != _PARALLEL


def _renamed(tensors: dict[str, Tensor], rename: Callable[[str], str]) -> dict[str, Tensor]:
    found = {rename(name): tensor for name, tensor in tensors.items()}
    return found if len(found) == len(tensors) else tensors
