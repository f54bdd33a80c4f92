"""The columns of the tables in ``report.html``: value, text, interval and the definition that a tooltip shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.base.text import one_line
from bench.leaderboard import BASELINE, Board, Row
from bench.report.columns import NOT_DEFINED, fps, p_value, percent, quantity, spread, states, times
from bench.tasks.segmentation.scores import ABSENT_CLASS_POLICY

Interval = tuple[float, float]
_MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class PageColumn:
    """One column.

    Attributes:
        key: its name in the data of the page.
        header: what stands above it.
        meaning: definition or formula, in plain sentences.
        value: what rows are sorted by, None where it is not known.
        text: what is shown, empty where it is not known.
        interval: low and high end, drawn as a bar, or None.
        shown: whether it is shown until the reader chooses otherwise.
    """

    key: str
    header: str
    meaning: str
    value: Callable[[Row], Any]
    text: Callable[[Row], str]
    interval: Callable[[Row], Interval | None] | None = None
    shown: bool = True

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers, which stand on the right and are sorted from the highest."""
        return self.key not in ("terms", "state", "published")


def _between(low: str, high: str) -> Callable[[Row], Interval | None]:
    def ends(row: Row) -> Interval | None:
        found = getattr(row, low), getattr(row, high)
        return None if None in found else (float(found[0]), float(found[1]))

    return ends


def points(value: float | None) -> str:
    """Return a difference of ratios as signed percentage points, empty where it is not known."""
    return "" if value is None else f"{100 * value:+.2f}".replace("-", _MINUS)


def _range(ends: Interval | None) -> str:
    return f"{points(ends[0])} to {points(ends[1])}" if ends else ""


def _gain(row: Row) -> str:
    if row.method == BASELINE:
        return NOT_DEFINED
    return spread(row.gain_mean, row.gain_sd, signed=True).replace("-", _MINUS)


def _published_text(row: Row) -> str:
    return ", ".join(percent(value.value) for value in row.published)


_IMAGE_GAIN = _between("image_gain_low", "image_gain_high")
_TIMED_TOGETHER = "each cell's training timed as if it had run alone"

COLUMNS = (
    PageColumn(
        "miou",
        "mIoU (%)",
        "Mean over the classes of IoU = TP / (TP + FP + FN), from one confusion matrix over the whole split; "
        f"{ABSENT_CLASS_POLICY}. Mean over n seeds ± sample standard deviation. The bar is the 95 % Student-t interval "
        "of the mean over the seeds.",
        lambda row: row.miou_mean,
        lambda row: spread(row.miou_mean, row.miou_sd),
        _between("miou_low", "miou_high"),
    ),
    PageColumn(
        "gain",
        "Gain (points)",
        f"mIoU minus the mIoU of {BASELINE} on the same seed, in percentage points: mean over the seeds that both have "
        "± sample standard deviation of the differences. The bar is the 95 % Student-t interval of that mean; one that "
        "does not touch the line at zero can be told from no gain, taken alone; p accounts for the other methods.",
        lambda row: row.gain_mean,
        _gain,
        _between("gain_low", "gain_high"),
    ),
    PageColumn(
        "gain_p",
        "p",
        f"Two-sided p-value of the paired t-test of mIoU against {BASELINE} over the seeds that both have, "
        "Holm-adjusted over the methods of the table.",
        lambda row: row.gain_p,
        lambda row: p_value(row.gain_p),
    ),
    PageColumn(
        "n",
        "n",
        "Seeds with a score.",
        lambda row: row.n_seeds if row.method else None,
        lambda row: str(row.n_seeds) if row.method else "",
    ),
    PageColumn(
        "image_gain",
        "Gain over images",
        "95 % interval of the gain when the images of the split are drawn again at random (paired bootstrap over the "
        "stored per-image counts): how far the gain hangs on which images the split holds.",
        lambda row: sum(_IMAGE_GAIN(row) or ()) / 2 if _IMAGE_GAIN(row) else None,
        lambda row: _range(_IMAGE_GAIN(row)),
        _IMAGE_GAIN,
        shown=False,
    ),
    PageColumn(
        "detectable",
        "Detectable",
        "The smallest true gain, in percentage points, that a paired t-test over so many seeds with this spread finds "
        "four times in five. A smaller gain may well be real and yet not be told from none.",
        lambda row: row.detectable,
        lambda row: percent(row.detectable),
        shown=False,
    ),
    PageColumn(
        "macc",
        "mAcc (%)",
        "Mean class accuracy: mean of TP / (TP + FN) over the classes found in the labels.",
        lambda row: row.macc,
        lambda row: percent(row.macc),
    ),
    PageColumn(
        "pixel",
        "Pixel acc. (%)",
        "Share of the labelled pixels that are right.",
        lambda row: row.pixel_accuracy,
        lambda row: percent(row.pixel_accuracy),
        shown=False,
    ),
    PageColumn(
        "boundary",
        "Boundary IoU (%)",
        "Mean over the classes of the IoU of the true and the predicted boundaries, thin bands along the outlines; "
        "sensitive to where an outline runs, also of large objects.",
        lambda row: row.boundary_iou,
        lambda row: percent(row.boundary_iou),
    ),
    PageColumn(
        "params",
        "Params",
        "Parameters of the student at inference.",
        lambda row: row.params,
        lambda row: quantity(row.params),
    ),
    PageColumn(
        "macs",
        "MACs",
        "Multiply-accumulate operations of one forward pass of one image; 1 MAC = 2 FLOPs.",
        lambda row: row.macs,
        lambda row: quantity(row.macs, digits=2),
    ),
    PageColumn(
        "flops",
        "FLOPs",
        "Floating-point operations of one forward pass of one image.",
        lambda row: row.flops,
        lambda row: quantity(row.flops, digits=2),
        shown=False,
    ),
    PageColumn(
        "fps",
        "FPS",
        "Images a second at inference: median over the seeds. Compare only values of one device, precision and batch "
        "size; footnotes tell where they differ.",
        lambda row: row.fps,
        fps,
    ),
    PageColumn(
        "cost",
        "Cost",
        f"Training seconds divided by those of {BASELINE}, over the seeds trained on the same device; "
        f"{_TIMED_TOGETHER}.",
        lambda row: row.cost_rel,
        lambda row: times(row.cost_rel),
    ),
    PageColumn(
        "memory",
        "Peak mem. (MiB)",
        "Peak memory of the student at inference, the largest over the seeds.",
        lambda row: row.peak_mem_mib,
        lambda row: "" if row.peak_mem_mib is None else f"{row.peak_mem_mib:,.0f}",
        shown=False,
    ),
    PageColumn(
        "memory_rel",
        "Mem. cost",
        f"Peak memory of training divided by that of {BASELINE}, over the seeds trained on the same device.",
        lambda row: row.peak_mem_rel,
        lambda row: times(row.peak_mem_rel),
        shown=False,
    ),
    PageColumn(
        "published",
        "Published",
        "What a paper reports, in percent. It was measured with other code, schedules and "
        "teachers and is not ranked; where it comes from stands below the table.",
        lambda row: max((v.value for v in row.published), default=None),
        _published_text,
    ),
    PageColumn(
        "terms",
        "Loss terms",
        "Terms of the training loss.",
        lambda row: " + ".join(row.terms),
        lambda row: one_line(" + ".join(row.terms)),
        shown=False,
    ),
    PageColumn(
        "state",
        "Unfinished",
        "Cells without a result, by state. The reasons stand under Failures.",
        lambda row: sum(row.states.values()),
        states,
    ),
)


def filled(board: Board) -> list[PageColumn]:
    """Return the columns in which some row of the board has a value."""
    return [column for column in COLUMNS if any(column.text(row) not in ("", NOT_DEFINED) for row in board.shown)]
