"""The columns of a leaderboard, one list for all: text files, LaTeX, the terminal and the page choose from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.base.text import one_line
from bench.leaderboard import Board, Row
from bench.matrix.baseline import BASELINE
from bench.report.values import (
    MINUS,
    Ends,
    difference,
    fps,
    interval,
    mebibytes,
    p_value,
    published,
    quantity,
    spread,
    states,
    times,
    within,
)
from bench.tasks.metric import Metric, Scoring

NOT_DEFINED = "—"
FILES, PAGE, FOLDED = ("text", "latex", "terminal"), ("page",), ("folded",)


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: its name in the data of the page.
        header: what stands above it, with the unit.
        meaning: definition or formula, in plain sentences.
        text: what is shown of a row, empty where it is not known.
        value: what rows are sorted by, None where it is not known.
        importance: columns of the lowest one are dropped first where the room is small.
        shown_in: which of :data:`bench.tasks.metric.PLACES` have it; the CSV has everything.
        right: whether the values stand on the right, as numbers do, and are sorted from the highest.
        bold_in: places where the values of the best of several tiers are bold.
        interval: low and high end, drawn as a bar on the page, or None.
        end: an end of the interval as shown.
        from_zero: whether the bars have zero in view.
        page_header: what stands above it on the page, where the interval is a bar instead of text.
        page_text: what is shown there.
    """

    key: str
    header: str
    meaning: str
    text: Callable[[Row], str]
    value: Callable[[Row], Any]
    importance: int
    shown_in: tuple[str, ...] = (*FILES, *PAGE)
    right: bool = True
    bold_in: tuple[str, ...] = ()
    interval: Callable[[Row], Ends | None] | None = None
    end: Callable[[float], str] = str
    from_zero: bool = False
    page_header: str = ""
    page_text: Callable[[Row], str] | None = None

    def on_page(self, row: Row) -> str:
        """Return what the page shows of a row."""
        return (self.page_text or self.text)(row)

    @property
    def header_on_page(self) -> str:
        """What stands above it on the page."""
        return self.page_header or self.header

    @property
    def folded(self) -> bool:
        """Whether the page shows it only once asked for."""
        return "folded" in self.shown_in


def columns(scoring: Scoring) -> tuple[Column, ...]:
    """Return all columns of a task's tables, in their order."""
    metric = scoring.primary
    return (
        _score(metric),
        _gain(metric),
        _p_value(metric),
        *_SEEDS,
        _image_gain(metric),
        _detectable(metric),
        *(_other(other) for other in scoring.metrics[1:]),
        *_MODEL,
        *_TRAINING,
        _published(metric),
        *_WORDS,
    )


def filled(board: Board, *places: str) -> list[Column]:
    """Return the columns of some places in which a row of the board has a value."""
    on_page = bool({"page", "folded"} & set(places))
    chosen = [column for column in columns(board.scoring) if set(places) & set(column.shown_in)]
    return [
        column
        for column in chosen
        if any((column.on_page(row) if on_page else column.text(row)) not in ("", NOT_DEFINED) for row in board.shown)
    ]


def _between(low: str, high: str) -> Callable[[Row], Ends | None]:
    def ends(row: Row) -> Ends | None:
        found = getattr(row, low), getattr(row, high)
        return None if None in found else (float(found[0]), float(found[1]))

    return ends


def _direction(metric: Metric) -> str:
    return "" if metric.higher_is_better else " Lower is better."


def _score(metric: Metric) -> Column:
    def text(row: Row) -> str:
        """Return mean, sample standard deviation and number of seeds; the teacher's has neither of the latter."""
        found = spread(metric, row.score_mean, row.score_sd)
        return f"{found} ({row.n_seeds})" if found and row.method else found

    return Column(
        key=metric.key,
        header=metric.title,
        meaning=f"{metric.meaning}{_direction(metric)} Mean over n seeds ± sample standard deviation. The bar is the "
        "95 % Student-t interval of the mean over the seeds.",
        text=text,
        value=lambda row: row.score_mean,
        importance=metric.importance,
        shown_in=metric.shown_in,
        bold_in=("latex",),
        interval=_between("score_low", "score_high"),
        end=metric.text,
        page_text=lambda row: spread(metric, row.score_mean, row.score_sd),
    )


def _gain(metric: Metric) -> Column:
    def text(row: Row) -> str:
        """Return the gain over the baseline with its interval over seeds, where there is one."""
        if row.method == BASELINE:
            return NOT_DEFINED
        gain = spread(metric, row.gain_mean, None, signed=True)
        return f"{gain} {interval(metric, row.gain_low, row.gain_high)}".strip()

    def page_text(row: Row) -> str:
        if row.method == BASELINE:
            return NOT_DEFINED
        return spread(metric, row.gain_mean, row.gain_sd, signed=True).replace("-", MINUS)

    told = within(metric.difference_name)
    what = f"{metric.header} minus the {metric.header} of {BASELINE} on the same seed{told}"
    if not metric.higher_is_better:
        what = f"The {metric.header} of {BASELINE} minus that of the method on the same seed{told}, positive for better"
    return Column(
        key="gain",
        header="Gain [95 %]",
        meaning=f"{what}: mean over the seeds that both have ± sample standard deviation of the differences. The bar "
        "is the 95 % Student-t interval of that mean; one that does not touch the line at zero can be told from no "
        "gain, taken alone; p accounts for the other methods.",
        text=text,
        value=lambda row: row.gain_mean,
        importance=95,
        interval=_between("gain_low", "gain_high"),
        end=lambda value: difference(metric, value),
        from_zero=True,
        page_header=f"Gain ({metric.difference_unit})" if metric.difference_unit else "Gain",
        page_text=page_text,
    )


def _p_value(metric: Metric) -> Column:
    return Column(
        key="gain_p",
        header="p",
        meaning=f"Two-sided p-value of the paired t-test of {metric.header} against {BASELINE} over the seeds that "
        "both have, Holm-adjusted over the methods of the table.",
        text=lambda row: p_value(row.gain_p),
        value=lambda row: row.gain_p,
        importance=50,
    )


def _image_gain(metric: Metric) -> Column:
    ends = _between("image_gain_low", "image_gain_high")

    def page_text(row: Row) -> str:
        found = ends(row)
        return f"{difference(metric, found[0])} to {difference(metric, found[1])}" if found else ""

    def middle(row: Row) -> float | None:
        found = ends(row)
        return sum(found) / 2 if found else None

    return Column(
        key="image_gain",
        header="Over images",
        meaning="95 % interval of the gain when the images of the split are drawn again at random (paired bootstrap "
        "over the stored per-image counts): how far the gain hangs on which images the split holds.",
        text=lambda row: interval(metric, row.image_gain_low, row.image_gain_high),
        value=middle,
        importance=25,
        shown_in=("text", "terminal", *FOLDED),
        interval=ends,
        end=lambda value: difference(metric, value),
        from_zero=True,
        page_header="Gain over images",
        page_text=page_text,
    )


def _detectable(metric: Metric) -> Column:
    told = within(metric.difference_name)
    return Column(
        key="detectable",
        header="Detectable",
        meaning=f"The smallest true gain{told}{',' if told else ''} that a paired t-test over so many seeds with this "
        "spread finds four times in five. A smaller gain may well be real and yet not be told from none.",
        text=lambda row: metric.text(row.detectable),
        value=lambda row: row.detectable,
        importance=20,
        shown_in=FOLDED,
    )


def _other(metric: Metric) -> Column:
    return Column(
        key=metric.key,
        header=metric.title,
        meaning=f"{metric.meaning}{_direction(metric)}",
        text=lambda row: metric.text(row.metrics.get(metric.key)),
        value=lambda row: row.metrics.get(metric.key),
        importance=metric.importance,
        shown_in=metric.shown_in,
    )


def _published(metric: Metric) -> Column:
    return Column(
        key="published",
        header="Published",
        meaning=f"What a paper reports{within(metric.unit_name)}. It was measured with other code, schedules and "
        "teachers and is not ranked; where it comes from stands below the table.",
        text=lambda row: published(metric, row),
        value=lambda row: max((paper.value for paper in row.published), default=None),
        importance=48,
        page_text=lambda row: ", ".join(metric.text(paper.value) for paper in row.published),
    )


_SEEDS = (
    Column(
        key="tier",
        header="Tier",
        meaning="Methods that the seeds cannot tell apart share a tier; 1 is the best. Two tiers say that each method "
        "of the lower one is significantly worse than some method of the upper, by paired t-tests over the common "
        "seeds, Holm-adjusted over all pairs of methods.",
        text=lambda row: "" if row.tier is None else str(row.tier),
        value=lambda row: row.tier,
        importance=85,
        shown_in=FILES,
        bold_in=("text", "latex"),
    ),
    Column(
        key="n",
        header="n",
        meaning="Seeds with a score.",
        text=lambda row: str(row.n_seeds) if row.method else "",
        value=lambda row: row.n_seeds if row.method else None,
        importance=22,
        shown_in=PAGE,
    ),
)

_MODEL = (
    Column(
        key="params",
        header="Params",
        meaning="Parameters of the student at inference.",
        text=lambda row: quantity(row.params),
        value=lambda row: row.params,
        importance=60,
    ),
    Column(
        key="macs",
        header="MACs",
        meaning="Multiply-accumulate operations of one forward pass of one image; 1 MAC = 2 FLOPs.",
        text=lambda row: quantity(row.macs, digits=2),
        value=lambda row: row.macs,
        importance=55,
    ),
    Column(
        key="flops",
        header="FLOPs",
        meaning="Floating-point operations of one forward pass of one image.",
        text=lambda row: quantity(row.flops, digits=2),
        value=lambda row: row.flops,
        importance=18,
        shown_in=FOLDED,
    ),
    Column(
        key="fps",
        header="FPS",
        meaning="Images a second at inference: median over the seeds. Compare only values of one device, precision and "
        "batch size; footnotes tell where they differ.",
        text=fps,
        value=lambda row: row.fps,
        importance=70,
    ),
)

_TRAINING = (
    Column(
        key="cost",
        header="Cost",
        meaning=f"Training seconds divided by those of {BASELINE}, over the seeds trained on the same device; each "
        "cell's training timed as if it had run alone.",
        text=lambda row: times(row.cost_rel),
        value=lambda row: row.cost_rel,
        importance=80,
    ),
    Column(
        key="memory",
        header="Peak mem. (MiB)",
        meaning="Peak memory of the student at inference, the largest over the seeds.",
        text=lambda row: mebibytes(row.peak_mem_mib),
        value=lambda row: row.peak_mem_mib,
        importance=16,
        shown_in=FOLDED,
    ),
    Column(
        key="memory_rel",
        header="Memory",
        meaning=f"Peak memory of training divided by that of {BASELINE}, over the seeds trained on the same device.",
        text=lambda row: times(row.peak_mem_rel),
        value=lambda row: row.peak_mem_rel,
        importance=30,
        shown_in=("text", "terminal", *FOLDED),
        page_header="Mem. cost",
    ),
)

_WORDS = (
    Column(
        key="terms",
        header="Loss terms",
        meaning="Terms of the training loss.",
        text=lambda row: one_line(" + ".join(row.terms)),
        value=lambda row: " + ".join(row.terms),
        importance=10,
        shown_in=("text", *FOLDED),
        right=False,
    ),
    Column(
        key="state",
        header="Unfinished",
        meaning="Cells without a result, by state. The reasons stand under Failures.",
        text=states,
        value=lambda row: sum(row.states.values()),
        importance=52,
        right=False,
    ),
)
