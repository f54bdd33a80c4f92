"""Whether a run is worse than its references: the gate behind ``bench check``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from statistics import fmean
from typing import Any

from bench.base.errors import EXIT_DONE, EXIT_NOT_COMPARABLE, EXIT_REGRESSION
from bench.leaderboard.arms import GAIN, LOST_STATES, SCORES, Arm, Arms, Match, Trial, match, names
from bench.leaderboard.statistics import Judgement, Reason, judge, judge_together
from bench.leaderboard.thresholds import Threshold

SINGLE_SEED_POINTS = 5.0
"""Without ``--fail-on``, a difference beyond it decides where one common seed leaves nothing to test."""

_SHOWN_FIELDS = 6


class Finding(StrEnum):
    """What became of a row."""

    WORSE = "worse"
    BETTER = "better"
    SAME = "same"
    UNCLEAR = "unclear"
    LOST = "score lost"
    NEW = "new"
    MISSING = "missing"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class Rules:
    """When a check fails.

    Attributes:
        alpha: two-sided level of the test over all rows together.
        margin: points within which a difference does not matter.
        thresholds: differences that fail whatever the test says.
        require_all: whether every row and seed of the baseline must be there and comparable.
    """

    alpha: float = 0.05
    margin: float = 0.0
    thresholds: tuple[Threshold, ...] = ()
    require_all: bool = False

    @property
    def single_seed(self) -> float | None:
        """Points that decide without a test, None where thresholds were given instead."""
        return None if self.thresholds else SINGLE_SEED_POINTS


@dataclass(frozen=True)
class Means:
    """A metric on both sides, over the seeds that were compared.

    Attributes:
        reference: mean of the reference, a ratio in 0..1.
        current: mean of the run, alike.
    """

    reference: float
    current: float

    @property
    def points(self) -> float:
        """Current minus reference in percentage points."""
        return 100 * (self.current - self.reference)


@dataclass(frozen=True)
class Checked:
    """One row.

    Attributes:
        place: dataset and pair.
        name: method label, made distinct.
        finding: what became of it.
        reference: the arm of the baseline, None where it has none.
        current: the arm of the run, None where it has none.
        judgement: of the mIoU, Holm-adjusted; None where nothing could be compared.
        means: by metric, where both sides have it.
        crossed: thresholds that the row crossed, each with the number.
        required: what ``require_all`` misses.
        notes: what else is worth a word.
    """

    place: str
    name: str
    finding: Finding
    reference: Arm | None
    current: Arm | None
    judgement: Judgement | None = None
    means: Mapping[str, Means] = field(default_factory=dict)
    crossed: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def regression(self) -> bool:
        """Whether it makes the check fail."""
        return self.finding in (Finding.WORSE, Finding.LOST) or bool(self.crossed or self.required)

    @property
    def compared(self) -> bool:
        """Whether the run said anything on the reference."""
        return self.finding is Finding.LOST or "miou" in self.means

    @property
    def reasons(self) -> tuple[str, ...]:
        """All that is to be said beside the finding."""
        return (*self.crossed, *self.required, *self.notes)


@dataclass(frozen=True)
class Gate:
    """The outcome of a check.

    Attributes:
        rows: of the baseline, then those that only the run has.
        rules: what decided.
        notes: facts on the whole.
        unused: thresholds whose metric no row has on both sides.
    """

    rows: tuple[Checked, ...]
    rules: Rules
    notes: tuple[str, ...] = ()
    unused: tuple[Threshold, ...] = ()

    @property
    def exit_code(self) -> int:
        """3 for a regression, 4 where nothing was compared or a threshold had nothing to look at, else 0."""
        if any(row.regression for row in self.rows):
            return EXIT_REGRESSION
        compared = any(row.compared for row in self.rows)
        return EXIT_DONE if compared and not self.unused else EXIT_NOT_COMPARABLE

    @property
    def summary(self) -> str:
        """One sentence on the whole."""
        worse = [row for row in self.rows if row.regression]
        compared = sum(row.compared for row in self.rows)
        counts = {finding: sum(row.finding is finding for row in self.rows) for finding in Finding}
        told = ", ".join(f"{n} {finding}" for finding, n in counts.items() if n) or "no rows"
        if worse:
            return f"regression in {len(worse)} of {len(self.rows)} rows: {told}"
        if not compared:
            return f"nothing could be compared: {told}"
        if self.unused:
            which = ", ".join(str(threshold) for threshold in self.unused)
            return f"no row has on both sides what {which} looks at: {told}"
        return f"no regression in {compared} compared rows: {told}"


def check(current: Arms, reference: Sequence[Arm], rules: Rules) -> Gate:
    """Hold a run against references.

    A row is *worse* by the t-test on the mIoU over its common seeds, Holm-adjusted over all rows, or where a seed
    that had a score has none any more. A row with one common seed has no test: it is *unclear*, unless thresholds
    are given, or else the difference is beyond :data:`SINGLE_SEED_POINTS`.

    Args:
        current: arms of the run.
        reference: arms of the baseline.
        rules: when to fail.
    """
    matches = match(reference, current.arms)
    arms = [arm for found in matches if (arm := found.first or found.second)]
    labels = names([arm.identity for arm in arms])
    rows = [
        _row(found, arm.identity.place, label, current.unplaced, rules)
        for found, arm, label in zip(matches, arms, labels, strict=True)
    ]
    judged = {str(at): row.judgement for at, row in enumerate(rows) if row.judgement}
    for at, judgement in judge_together(judged).items():
        rows[int(at)] = _decided(rows[int(at)], judgement, rules)
    unused = [threshold for threshold in rules.thresholds if not any(_looked_at(row, threshold) for row in rows)]
    return Gate(tuple(_with_hints(rows)), rules, tuple(_notes(current, matches)), tuple(unused))


def _row(found: Match, place: str, name: str, unplaced: Mapping[str, str], rules: Rules) -> Checked:
    reference, current = found.first, found.second
    row = Checked(place, name, Finding.UNCLEAR, reference, current)
    if reference is None:
        return replace(row, finding=Finding.NEW, notes=tuple(_without_score(current)))
    if found.differing:
        told = differences(found.differing, "in the baseline", "here")
        return replace(row, finding=Finding.NOT_COMPARABLE, notes=(told,), required=_needed(rules, "not comparable"))
    current = _with_unreadable(current, reference, unplaced)
    if current is None or not current.scores():
        notes = tuple(_without_score(current)) or ("not in this run",)
        return replace(row, finding=Finding.MISSING, notes=notes, required=_needed(rules, "missing"))
    judgement = judge(
        current.scores(),
        reference.scores(),
        alpha=rules.alpha,
        margin=rules.margin / 100,
        single_seed_threshold=None if rules.single_seed is None else rules.single_seed / 100,
    )
    return replace(row, current=current, judgement=judgement, means=_all_means(reference, current))


def _needed(rules: Rules, what: str) -> tuple[str, ...]:
    return (f"{what}, and all rows are required",) if rules.require_all else ()


def _without_score(arm: Arm | None) -> list[str]:
    trials = arm.trials.items() if arm else ()
    return [_told(seed, trial) for seed, trial in trials if trial.metrics.get("miou") is None]


def _told(seed: int, trial: Trial) -> str:
    if trial.state == "done":
        return f"seed {seed} has no mIoU"
    return f"seed {seed} {trial.state}" + (f": {trial.reason}" if trial.reason else "")


def _with_unreadable(current: Arm | None, reference: Arm, unplaced: Mapping[str, str]) -> Arm | None:
    """Give an arm its cells of which nothing is readable, known by their id: they had a score once."""
    lost = {
        seed: Trial(trial.cell_id, unplaced[trial.cell_id], "nothing of it can be read")
        for seed, trial in reference.trials.items()
        if unplaced.get(trial.cell_id) in LOST_STATES
    }
    if not lost:
        return current
    return replace(current or reference, trials={**lost, **(current.trials if current else {})})


def _all_means(reference: Arm, current: Arm) -> dict[str, Means]:
    means = {}
    for metric in (*SCORES, GAIN):
        before, now = reference.known(metric), current.known(metric)
        if before and now:
            common = [seed for seed in before if seed in now]
            sides = [[side[seed] for seed in common or side] for side in (before, now)]
            means[metric] = Means(fmean(sides[0]), fmean(sides[1]))
    return means


def _decided(row: Checked, judgement: Judgement, rules: Rules) -> Checked:
    """Turn a judgement into a finding; a metric that is gone counts as lost whichever it is."""
    assert row.reference is not None
    assert row.current is not None
    trials = row.current.trials
    lost = _lost(row.reference, row.current)
    notes = [_told(seed, trials[seed]) for seed in judgement.nan_seeds]
    notes += [f"{metric} of seed {seed} is gone" for metric, seed in lost if metric != "miou"]
    missing = [seed for seed in judgement.missing_seeds if seed not in judgement.nan_seeds]
    if missing:
        states = sorted({trials[seed].state if seed in trials else "not run" for seed in missing})
        notes.append(f"seeds {_list(missing)} of the baseline: {_list(states)}")
    finding = Finding(judgement.verdict.value)
    if judgement.nan_seeds or lost:
        finding = Finding.LOST
    elif judgement.reason is Reason.ONE_SEED and judgement.difference.mean == 0:
        finding = Finding.SAME
    elif why := _why(judgement, rules):
        notes.append(why)
    return replace(
        row,
        finding=finding,
        judgement=judgement,
        crossed=tuple(_crossed(row, rules.thresholds)),
        required=(f"seeds {_list(missing)} are missing, and all are required",)
        if missing and rules.require_all
        else (),
        notes=tuple(dict.fromkeys(notes)),
    )


def _lost(reference: Arm, current: Arm) -> list[tuple[str, int]]:
    """Return metric and seed where a finished cell has no number any more; a metric that it lacks is no loss."""
    return [
        (metric, seed)
        for metric in SCORES
        for seed in reference.known(metric)
        if seed in current.trials and metric in (held := current.trials[seed].metrics) and held[metric] is None
    ]


def _why(judgement: Judgement, rules: Rules) -> str | None:
    """Say what stood in the way of a test."""
    if judgement.reason is Reason.NO_SCORE:
        return "the baseline has no score of it"
    if judgement.reason is Reason.THRESHOLD:
        return f"one common seed: no test, but beyond the {SINGLE_SEED_POINTS:g} points that one seed may move"
    if judgement.reason is None:
        return None
    if rules.single_seed is None:
        return "one common seed: no test, the thresholds decide"
    return f"one common seed: no test, and within the {SINGLE_SEED_POINTS:g} points that one seed may move"


def _looked_at(row: Checked, threshold: Threshold) -> bool:
    gone = row.judgement is not None and row.reference is not None and bool(row.reference.known(threshold.metric))
    return threshold.metric in row.means or gone


def _with_hints(rows: Sequence[Checked]) -> list[Checked]:
    """Say of a missing row where the run has its label with other options or hyperparameters."""
    new = {(row.place, row.current.identity.label): row.current for row in rows if row.current and not row.reference}
    return [_hinted(row, new.get((row.place, row.reference.identity.label))) if row.reference else row for row in rows]


def _hinted(row: Checked, other: Arm | None) -> Checked:
    if row.finding is not Finding.MISSING or row.current or not row.reference or not other:
        return row
    before, now = row.reference.identity.fields(), other.identity.fields()
    paths = sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))
    apart = {path: (before.get(path), now.get(path)) for path in paths}
    return replace(row, notes=(*row.notes, differences(apart, "in the baseline", "here")))


def _crossed(row: Checked, thresholds: Sequence[Threshold]) -> list[str]:
    assert row.reference is not None
    assert row.current is not None
    told = []
    for threshold in thresholds:
        means = row.means.get(threshold.metric)
        if means is not None and threshold.crossed(means.points):
            told.append(f"{threshold.name} {means.points:+.2f} points, and {threshold} fails")
        elif means is None and row.reference.known(threshold.metric) and row.current.scores():
            told.append(f"{threshold} cannot be told: the {threshold.name} is gone")
    return told


def lowered(gate: Gate) -> list[str]:
    """Return what references lose where the run takes their place: scores that sink or vanish, rows that go."""
    sunk = [row for row in gate.rows if "miou" in row.means and row.means["miou"].points < 0]
    gone = [row for row in gate.rows if row.finding in (Finding.MISSING, Finding.LOST) and "miou" not in row.means]
    replaced = [row for row in gate.rows if row.finding is Finding.NOT_COMPARABLE]
    told = [f"lowers the reference of {row.name} by {-row.means['miou'].points:.2f} points" for row in sunk]
    told += [f"{row.name} has no score in this run: its reference goes" for row in gone]
    return told + [
        f"the reference of {row.name} is replaced by one that cannot be compared with it" for row in replaced
    ]


def differences(differing: Mapping[str, tuple[Any, Any]], first: str, second: str) -> str:
    """Return what differs as one phrase, long values and long lists cut."""
    told = [
        f"{path}: {_short(mine)} {first}, {_short(theirs)} {second}"
        for path, (mine, theirs) in list(differing.items())[:_SHOWN_FIELDS]
    ]
    more = len(differing) - _SHOWN_FIELDS
    return "; ".join(told + ([f"and {more} more fields"] if more > 0 else []))


def _short(value: Any, limit: int = 60) -> str:
    text = "(not set)" if value is None else str(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _list(values: Sequence[object]) -> str:
    return ", ".join(str(value) for value in values)


def _notes(current: Arms, matches: Sequence[Match]) -> list[str]:
    notes = []
    both = [found for found in matches if found.first and found.second and not found.differing]
    for what in ("torch", "device"):
        before, now = (
            {getattr(trial, what) for arm in side if arm for trial in arm.trials.values() if trial.state == "done"}
            for side in ([found.first for found in both], [found.second for found in both])
        )
        if before and now and before != now:
            told = [_list(sorted(str(value or "unknown") for value in values)) for values in (before, now)]
            notes.append(f"{what}: {told[0]} in the baseline, {told[1]} here")
    if current.unplaced:
        notes.append(f"cells of which nothing can be read: {_list(sorted(current.unplaced))}")
    return notes
