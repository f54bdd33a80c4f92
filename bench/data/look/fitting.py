"""Whether masks fit the options of the dataset 'folder', and the lines to write where they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.base.errors import BenchError
from bench.data.look.masktally import IGNORED, MAX_CLASSES, MaskTally, option_lines, tally
from bench.data.look.palettes import palette_clash
from bench.data.look.softedges import FEW, SoftEdges, soft_edges
from bench.data.read.foldertree import FolderTree
from bench.data.read.labels import Colour, spans

PROBED_MASKS = 20
SUGGESTED_FROM = 100


@dataclass(frozen=True)
class Told:
    """What the options tell of the classes.

    Attributes:
        title: of the dataset.
        names: of the classes, in order.
        values: the number that stands for each class.
        given: whether the options give the values.
        ignore: numbers that are not scored.
        colours: those of the classes and the ignored ones, for drawn masks.
        threshold: the level that divides two classes.
    """

    title: str
    names: tuple[str, ...]
    values: tuple[int, ...]
    given: bool
    ignore: tuple[int, ...]
    colours: frozenset[Colour] | None = None
    threshold: float | None = None


def require_fit(told: Told, masks: Sequence[Path]) -> None:
    """Refuse masks that mean something else than the options say.

    Args:
        told: what the options tell.
        masks: all files.

    Raises:
        BenchError: with the lines to write.
    """
    if told.threshold is not None:
        _require_both_sides(told, told.threshold, masks)
    elif told.colours is not None:
        _require_hard_edges(told, soft_edges(masks), {packed(colour) for colour in told.colours})
    else:
        _require_fitting_values(told, masks)


def untold(title: str, tree: FolderTree) -> str:
    """Return what to write where nothing tells the classes."""
    told = f"{title}: nothing tells the classes."
    helped = "`python -m bench init mine.yaml --images DIR --masks DIR` writes a matrix for your folders."
    try:
        pairs = [pair for name in tree.splits for pair in tree.pairs(name)]
        found = tally([pair.label for pair in pairs], SUGGESTED_FROM)
    except BenchError:
        return f"{told} Add their names under dataset:\n    classes: [background, ...]\n  {helped}"
    told = f"{told} Add under dataset, with names of your own (values of {found.sampled}):"
    return f"{told}\n{_indented(option_lines(found))}\n  or: {helped}"


def packed(colour: Colour) -> int:
    """Return a colour as one number, red highest."""
    return (colour[0] << 16) | (colour[1] << 8) | colour[2]


def _require_both_sides(told: Told, threshold: float, masks: Sequence[Path]) -> None:
    found = tally(masks, PROBED_MASKS, threshold=threshold)
    if len(found.values) == 1 and len(tally(masks, len(masks), threshold=threshold).values) == 1:
        side = 1 - next(iter(found.values))
        raise BenchError(
            f"{told.title}: no pixel of the masks is {'at or above' if side else 'below'} the threshold {threshold:g}, "
            f"so '{told.names[side]}' occurs nowhere. Correct the threshold."
        )


def _require_hard_edges(told: Told, soft: SoftEdges | None, classes: set[int]) -> None:
    """Refuse masks with smooth edges, of which the options make classes.

    Args:
        told: what the options tell.
        soft: what was seen of smooth edges.
        classes: values that are no unlabelled pixels; colours are packed.
    """
    if soft is None:
        return
    levels = {packed((level, level, level)) for level in soft.between} if soft.grey and told.colours else soft.between
    taken = levels & classes
    # Few of them may be classes after all where the options name them one by one.
    if len(taken) < (FEW if told.given else 1):
        return
    raise BenchError(_soft(told, soft))


def _soft(told: Told, soft: SoftEdges) -> str:
    text = f"{told.title}: the masks have smooth edges: {soft.told}."
    if soft.threshold is None:
        return f"{text} Export them again without, with the nearest value where they are resized."
    lines = [f"threshold: {soft.threshold}"]
    instead = "Add under dataset"
    if len(told.names) != 2 or told.given:
        names = told.names if len(told.names) == 2 else ("background", "object")
        lines.insert(0, f"classes: [{', '.join(names)}]")
        instead = "Write under dataset, in place of classes, values, ignore and colours"
    return f"{text} {instead}:\n{_indented(lines)}\n  or export the masks again without smooth edges."


def _require_fitting_values(told: Told, masks: Sequence[Path]) -> None:
    found = tally(masks, PROBED_MASKS)
    soft = soft_edges(masks)
    if soft and (found.kinds["palette"] or found.kinds["colour"]):
        raise BenchError(_soft(told, soft))
    if found.kinds["palette"] and (clash := palette_clash(masks)):
        hint = _drawn_hint(tally(masks, SUGGESTED_FROM, drawn=True), told.names, "Write under dataset, without values")
        raise BenchError(
            f"{told.title}: {clash}. {hint}\n  or, where the numbers are right and the colours mean nothing, save the "
            "masks as grey levels."
        )
    if found.kinds["colour"]:
        count, drawn = found.kinds["colour"], tally(masks, SUGGESTED_FROM)
        raise BenchError(
            f"{told.title}: {count} of {found.n_read} masks are drawings in colours, and no option tells what they "
            f"mean. {_drawn_hint(drawn, told.names)}"
        )
    scored = set(found.values) - set(told.ignore) | set(told.values) & set(found.values)
    _require_hard_edges(told, soft, scored)
    outside = sorted(scored - set(told.values))
    if outside:
        raise BenchError(_outside(told, found, sorted(scored), outside))
    binary = not told.given and len(told.names) == 2 and IGNORED in found.values and 1 not in found.values
    if binary and 1 not in tally(masks, len(masks)).values:
        raise BenchError(
            f"{told.title}: the masks hold 0 and 255 but never 1, so '{told.names[1]}' occurs nowhere. Add under "
            "dataset:\n    values: [0, 255]"
        )


def _outside(told: Told, found: MaskTally, scored: list[int], outside: list[int]) -> str:
    n, file = len(told.names), found.where[outside[0]]
    text = f"{told.title}: the masks hold {spans(scored)}, the {n} classes are {spans(told.values)}"
    text += f"; {outside[0]} is in {file}."
    one_based = list(range(1, n + 1))
    if not told.given and outside == [n] and 0 not in scored:
        return f"{text} The labels look 1-based. Add under dataset:\n    values: {one_based}"
    if not told.given and outside == [n]:
        return (
            f"{text} A class has no name in classes; or 0 marks unlabelled pixels, then add under dataset:\n"
            f"    values: {one_based}\n    ignore: [0, {IGNORED}]"
        )
    if not told.given and len(scored) == n:
        return f"{text} Add under dataset:\n    values: {scored}"
    return f"{text} Add the class to classes and values, or the value of unlabelled pixels to ignore: {outside}"


def _indented(lines: Sequence[str]) -> str:
    return "\n".join(f"    {line}" for line in lines)


def _drawn_hint(drawn: MaskTally, names: Sequence[str], write: str = "Add under dataset") -> str:
    if len(drawn.colours) > MAX_CLASSES:
        return (
            f"They hold {len(drawn.colours)} colours or more, so they were stored with loss or drawn with smooth "
            "edges: export them again without."
        )
    lines = _indented(option_lines(drawn, names))
    return f"{write}, each name beside its own colour (colours of {drawn.sampled}):\n{lines}"
