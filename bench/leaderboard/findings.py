"""What a check finds: rules, rows, and the outcome of the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bench.base.errors import EXIT_DONE, EXIT_NOT_COMPARABLE, EXIT_REGRESSION
from bench.leaderboard.arms import Arm
from bench.leaderboard.statistics import Judgement
from bench.leaderboard.thresholds import Threshold
from bench.tasks.metric import Metric, Scoring


class Finding(StrEnum):
    """What became of a row."""

    WORSE = "worse"
    PERHAPS_WORSE = "perhaps worse"
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
        margin: difference, as shown, within which nothing matters: percentage points for percent.
        thresholds: differences that fail whatever the test says; one on the score or its gain replaces the floor.
        require_all: whether every row and seed of the baseline must be there and comparable.
    """

    alpha: float = 0.05
    margin: float = 0.0
    thresholds: tuple[Threshold, ...] = ()
    require_all: bool = False

    def guards(self, scoring: Scoring) -> tuple[Threshold, ...]:
        """Return the thresholds that take the place of the floor where a row has what they look at."""
        return tuple(threshold for threshold in self.thresholds if threshold.guards(scoring))


@dataclass(frozen=True)
class Sides:
    """A metric on both sides, over the seeds that were compared.

    Attributes:
        reference: mean of the reference, as stored.
        current: mean of the run, alike.
    """

    reference: float
    current: float

    @property
    def difference(self) -> float:
        """Current minus reference."""
        return self.current - self.reference


@dataclass(frozen=True)
class Checked:
    """One row.

    Attributes:
        place: dataset and pair.
        name: method label, made distinct.
        finding: what became of it.
        reference: the arm of the baseline, None where it has none.
        current: the arm of the run, None where it has none.
        metric: the one that is tested.
        judgement: of it, Holm-adjusted; None where nothing could be compared.
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
    metric: Metric
    judgement: Judgement | None = None
    means: Mapping[str, Sides] = field(default_factory=dict)
    crossed: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def tested(self) -> Sides | None:
        """The tested metric on both sides, None where one lacks it."""
        return self.means.get(self.metric.key)

    @property
    def regression(self) -> bool:
        """Whether it makes the check fail."""
        return self.finding in (Finding.WORSE, Finding.LOST) or bool(self.crossed or self.required)

    @property
    def warning(self) -> bool:
        """Whether it is to be looked at although nothing fails."""
        return self.finding is Finding.PERHAPS_WORSE and not self.regression

    @property
    def floor(self) -> float | None:
        """The score, as stored, beyond which the run's mean fails without a test; None where there is no such limit."""
        if self.tested is None or self.judgement is None or self.judgement.allowed is None:
            return None
        return self.tested.reference - self.metric.sign * max(self.judgement.allowed, self.judgement.margin)

    @property
    def compared(self) -> bool:
        """Whether the run said anything on the reference."""
        return self.finding is Finding.LOST or self.tested is not None

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
