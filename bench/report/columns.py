"""The columns of a leaderboard as people read them: headers, units, rounding, and which to drop first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.leaderboard import BASELINE, Board, Row

NOT_DEFINED = "—"


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        header: what stands above it, with the unit.
        text: the value of a row, empty where it is not known.
        importance: columns of the lowest one are dropped first where the room is small.
        right: whether the values are right-aligned.
    """

    header: str
    text: Callable[[Row], str]
    importance: int
    right: bool = True


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


def one_line(text: str, limit: int | None = None) -> str:
    """Return the text without line breaks and control characters, its middle left out beyond ``limit`` characters."""
    clean = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    if limit is None or len(clean) <= limit:
        return clean
    head = (limit - 1) * 2 // 3
    return f"{clean[:head]}…{clean[len(clean) - (limit - 1 - head) :]}"


def _gain(row: Row) -> str:
    return NOT_DEFINED if row.method == BASELINE else spread(row.gain_mean, row.gain_sd, signed=True)


def _fps(row: Row) -> str:
    if row.fps is None:
        return ""
    return f"{row.fps:,.0f}" if row.fps >= 100 else f"{row.fps:.1f}"


COLUMNS = (
    Column("mIoU (%)", lambda row: spread(row.miou_mean, row.miou_sd), 100),
    Column("n", lambda row: str(row.n_seeds) if row.method else "", 90),
    Column("Gain (points)", _gain, 95),
    Column("mAcc (%)", lambda row: percent(row.macc), 40),
    Column("Pixel acc. (%)", lambda row: percent(row.pixel_accuracy), 30),
    Column("Params", lambda row: quantity(row.params), 60),
    Column("MACs", lambda row: quantity(row.macs, digits=2), 55),
    Column("FLOPs", lambda row: quantity(row.flops, digits=2), 15),
    Column("FPS", _fps, 70),
    Column("Cost", lambda row: "" if row.cost_rel is None else f"{row.cost_rel:.2f}\N{MULTIPLICATION SIGN}", 80),
    Column("Peak mem. (MiB)", lambda row: "" if row.peak_mem_mib is None else f"{row.peak_mem_mib:.0f}", 20),
    Column("Loss terms", lambda row: one_line(" + ".join(row.terms)), 10, right=False),
    Column("Unfinished", states, 75, right=False),
)


def filled(board: Board) -> list[Column]:
    """Return the columns in which some row of the board has a value."""
    rows = (*((board.teacher_row,) if board.teacher_row else ()), *board.rows)
    return [column for column in COLUMNS if any(column.text(row) not in ("", NOT_DEFINED) for row in rows)]


def marks(board: Board, row: Row) -> list[int]:
    """Return the numbers of a row's footnotes, from 1."""
    notes = board.footnotes()
    return sorted(notes.index(note) + 1 for note in row.notes)


def name(board: Board, row: Row) -> str:
    """Return the label of a row, the teacher told as one."""
    return f"teacher {row.label}" if row is board.teacher_row else row.label
