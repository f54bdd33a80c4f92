"""The columns of a leaderboard as people read them: headers, units, rounding, and which to drop first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.base.text import one_line
from bench.leaderboard import BASELINE, AcrossRow, Board, Row

NOT_DEFINED = "—"


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        header: what stands above it, with the unit.
        text: the value of a row, empty where it is not known.
        importance: columns of the lowest one are dropped first where the room is small.
        right: whether the values are right-aligned.
        shown_in: ``text`` for files that people read, ``terminal``; the CSV has everything.
    """

    header: str
    text: Callable[[Row], str]
    importance: int
    right: bool = True
    shown_in: frozenset[str] = frozenset({"text", "terminal"})


def percent(ratio: float | None) -> str:
    """Return a ratio as percent with two decimals, without the sign."""
    return "" if ratio is None else f"{100 * ratio:.2f}"


def spread(mean: float | None, sd: float | None, signed: bool = False) -> str:
    """Return mean and standard deviation, both ratios, as percent; the mean alone where there is no deviation."""
    if mean is None:
        return ""
    text = f"{100 * mean:+.2f}" if signed else percent(mean)
    return text if sd is None else f"{text} ± {percent(sd)}"


def quantity(value: float | None, digits: int = 3) -> str:
    """Return a count with its SI prefix and so many significant digits: ``21.0 k``, ``1.23 M``, ``3.4 G``."""
    if value is None:
        return ""
    for prefix in ("", "k", "M", "G", "T", "P"):
        rounded = float(f"{value:.{digits}g}")
        if abs(rounded) < 1000 or prefix == "P":
            break
        value /= 1000
    if not prefix:
        return f"{value:.0f}"
    whole = len(f"{abs(rounded):.0f}")
    return f"{rounded:.{max(digits - whole, 0)}f} {prefix}"


def states(row: Row) -> str:
    """Return the cells without a result, such as ``1 diverged, 2 planned``."""
    return ", ".join(f"{n} {state}" for state, n in sorted(row.states.items()))


def interval(low: float | None, high: float | None) -> str:
    """Return a confidence interval of ratios in percentage points, such as ``[+0.30, +1.10]``; empty without one."""
    return "" if low is None or high is None else f"[{100 * low:+.2f}, {100 * high:+.2f}]"


def p_value(p: float | None) -> str:
    """Return a p-value with two significant digits, ``<0.001`` where it is smaller."""
    if p is None:
        return ""
    return "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def times(ratio: float | None) -> str:
    """Return a ratio to the baseline with the sign of multiplication."""
    return "" if ratio is None else f"{ratio:.2f}\N{MULTIPLICATION SIGN}"


def miou(row: Row) -> str:
    """Return mean, sample standard deviation and number of seeds; the teacher's has neither of the latter."""
    text = spread(row.miou_mean, row.miou_sd)
    return f"{text} ({row.n_seeds})" if text and row.method else text


def gain(row: Row) -> str:
    """Return the gain over the baseline with its interval over seeds, where there is one."""
    if row.method == BASELINE:
        return NOT_DEFINED
    return f"{spread(row.gain_mean, None, signed=True)} {interval(row.gain_low, row.gain_high)}".strip()


def fps(row: Row) -> str:
    """Return images a second."""
    if row.fps is None:
        return ""
    return f"{row.fps:,.0f}" if row.fps >= 100 else f"{row.fps:.1f}"


def published(row: Row) -> str:
    """Return every published value with the measured one's gap to it; the sources are footnotes."""
    return "; ".join(
        percent(p.value) + ("" if p.gap is None else f" ({spread(p.gap, None, signed=True)})") for p in row.published
    )


_TEXT, _TERMINAL = frozenset({"text"}), frozenset({"terminal"})
COLUMNS = (
    Column("mIoU (%)", miou, 100),
    Column("Gain [95 %]", gain, 95),
    Column("p", lambda row: p_value(row.gain_p), 50),
    Column("Tier", lambda row: "" if row.tier is None else str(row.tier), 85),
    Column("Over images", lambda row: interval(row.image_gain_low, row.image_gain_high), 25),
    Column("mAcc (%)", lambda row: percent(row.macc), 40),
    Column("Pixel acc. (%)", lambda row: percent(row.pixel_accuracy), 28, shown_in=_TERMINAL),
    Column("Boundary IoU (%)", lambda row: percent(row.boundary_iou), 45),
    Column("Params", lambda row: quantity(row.params), 60),
    Column("MACs", lambda row: quantity(row.macs, digits=2), 55),
    Column("FPS", fps, 70),
    Column("Cost", lambda row: times(row.cost_rel), 80),
    Column("Memory", lambda row: times(row.peak_mem_rel), 30),
    Column("Published", published, 48),
    Column("Loss terms", lambda row: one_line(" + ".join(row.terms)), 10, right=False, shown_in=_TEXT),
    Column("Unfinished", states, 52, right=False),
)


def filled(board: Board, place: str) -> list[Column]:
    """Return the columns of a place in which some row of the board has a value."""
    columns = [column for column in COLUMNS if place in column.shown_in]
    return [column for column in columns if any(column.text(row) not in ("", NOT_DEFINED) for row in board.shown)]


def mean_gain(row: AcrossRow) -> str:
    """Return the mean gain over pairs with its interval over them, where there is one."""
    return f"{spread(row.gain_mean, None, signed=True)} {interval(row.gain_low, row.gain_high)}".strip()


def on_pair(row: Row | None) -> str:
    """Return what a method reached on one of several pairs: the baseline's mIoU, a gain, or the states of its cells."""
    if row is None:
        return ""
    text = percent(row.miou_mean) if row.method == BASELINE else spread(row.gain_mean, None, signed=True)
    return text or states(row)


def is_best(board: Board, row: Row) -> bool:
    """Tell whether a row is in the best tier of a board that has more than one."""
    return row.tier == 1 and any(other.tier is not None and other.tier > 1 for other in board.rows)


def marks(board: Board, row: Row) -> list[int]:
    """Return the numbers of a row's footnotes, from 1."""
    notes = board.footnotes()
    return sorted(notes.index(note) + 1 for note in row.notes)


def name(board: Board, row: Row) -> str:
    """Return the label of a row, the teacher told as one."""
    return f"teacher {row.label}" if row is board.teacher_row else row.label
