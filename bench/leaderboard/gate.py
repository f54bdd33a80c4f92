"""Whether a run is worse than its references: the gate behind ``bench check``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from bench.leaderboard.arms import Arm, Arms, Trial
from bench.leaderboard.findings import Checked, Finding, Gate, Rules, Sides
from bench.leaderboard.floors import Spreads, floor_of, spreads_of
from bench.leaderboard.matching import Match, match, names
from bench.leaderboard.pairing import DONE, LOST_STATES
from bench.leaderboard.statistics import Judgement, Reason, Verdict, judge, judge_together
from bench.leaderboard.thresholds import Threshold
from bench.tasks.metric import GAIN, Metric

_SHOWN_FIELDS = 6


def check(current: Arms, reference: Sequence[Arm], rules: Rules) -> Gate:
    """Hold a run against references.

    A row is *worse* by the t-test on the primary metric over its common seeds, Holm-adjusted over all rows, where its
    mean is beyond the floor, or where a seed that had a score has none any more. The floor follows from what the metric
    says that one seed may move and from the spread of the reference's seeds; thresholds on the score take its place. A
    large change for the worse that nothing decides is *perhaps worse*, which warns and does not fail.

    Args:
        current: arms of the run.
        reference: arms of the baseline.
        rules: when to fail.
    """
    matches = match(reference, current.arms)
    # The run knows its task best: references may have been written by an older version of it.
    arms = [arm for found in matches if (arm := found.second or found.first)]
    labels = names([arm.identity for arm in arms])
    spreads = spreads_of(reference)
    rows = [
        _row(found, arm, label, current.unplaced, rules, spreads)
        for found, arm, label in zip(matches, arms, labels, strict=True)
    ]
    judged = {str(at): row.judgement for at, row in enumerate(rows) if row.judgement}
    for at, judgement in judge_together(judged).items():
        rows[int(at)] = _decided(rows[int(at)], judgement, rules)
    unused = [threshold for threshold in rules.thresholds if not any(_looked_at(row, threshold) for row in rows)]
    return Gate(tuple(_with_hints(rows)), rules, tuple(_notes(current, matches)), tuple(unused))


def _row(found: Match, arm: Arm, name: str, unplaced: Mapping[str, str], rules: Rules, spreads: Spreads) -> Checked:
    reference, current = found.first, found.second
    metric = arm.scoring.primary
    row = Checked(arm.identity.place, name, Finding.UNCLEAR, reference, current, metric)
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
        margin=rules.margin / metric.scale,
        floor=floor_of(reference, current, rules, spreads),
        large=metric.large,
        higher_is_better=metric.higher_is_better,
    )
    paired = judgement.difference.test == "paired"
    return replace(row, current=current, judgement=judgement, means=_all_means(reference, current, paired))


def _needed(rules: Rules, what: str) -> tuple[str, ...]:
    return (f"{what}, and all rows are required",) if rules.require_all else ()


def _without_score(arm: Arm | None) -> list[str]:
    if arm is None:
        return []
    metric = arm.scoring.primary
    return [_told(seed, trial, metric) for seed, trial in arm.trials.items() if trial.metrics.get(metric.key) is None]


def _told(seed: int, trial: Trial, metric: Metric) -> str:
    if trial.state == DONE:
        return f"seed {seed} has no {metric.header}"
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


def _all_means(reference: Arm, current: Arm, paired: bool) -> dict[str, Sides]:
    """Return every metric on both sides, over the seeds that the test compares: the common ones where it pairs them."""
    means = {}
    for key in (*current.scoring.keys, GAIN):
        before, now = reference.known(key), current.known(key)
        if before and now:
            common = [seed for seed in before if seed in now] if paired else []
            sides = [[side[seed] for seed in common or side] for side in (before, now)]
            means[key] = Sides(fmean(sides[0]), fmean(sides[1]))
    return means


def _decided(row: Checked, judgement: Judgement, rules: Rules) -> Checked:
    """Turn a judgement into a finding; a metric that is gone counts as lost whichever it is."""
    assert row.reference is not None
    assert row.current is not None
    trials = row.current.trials
    lost = _lost(row.reference, row.current)
    notes = [_told(seed, trials[seed], row.metric) for seed in judgement.nan_seeds]
    notes += [f"{key} of seed {seed} is gone" for key, seed in lost if key != row.metric.key]
    missing = [seed for seed in judgement.missing_seeds if seed not in judgement.nan_seeds]
    if missing:
        states = sorted({trials[seed].state if seed in trials else "not run" for seed in missing})
        notes.append(f"seeds {_list(missing)} of the baseline: {_list(states)}")
    finding = Finding(judgement.verdict.value)
    if judgement.nan_seeds or lost:
        finding = Finding.LOST
    elif judgement.reason is Reason.ONE_SEED and judgement.difference.mean == 0:
        finding = Finding.SAME
    else:
        notes += _why(judgement, row)
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
        (key, seed)
        for key in current.scoring.keys
        for seed in reference.known(key)
        if seed in current.trials and key in (held := current.trials[seed].metrics) and held[key] is None
    ]


def _why(judgement: Judgement, row: Checked) -> list[str]:
    """Say what decided in place of a test or stood in its way, and what is large although nothing decided."""
    if judgement.reason is Reason.NO_SCORE:
        return ["the baseline has no score of it"]
    metric, n, told = row.metric, judgement.difference.n, []
    lone = "one common seed" if judgement.difference.test == "paired" else "one seed on a side"
    limit = None if judgement.allowed is None else max(judgement.allowed, judgement.margin)
    if judgement.reason is Reason.FLOOR and limit is not None:
        floor = replace(row, judgement=judgement).floor
        end = f": the floor is {metric.with_unit(floor)}" if judgement.worsening > 0 else ""
        told.append(f"{f'{lone}: no test, but ' if min(n) == 1 else ''}{beyond(metric, limit, n)}{end}")
    elif judgement.reason is Reason.ONE_SEED:
        within = "the thresholds decide" if limit is None else f"and {_reach('within', metric, limit, n)}"
        told.append(f"{lone}: no test, {within}")
    if judgement.verdict is Verdict.PERHAPS_WORSE:
        moved = _amount(metric, judgement.worsening, metric.digits)
        told.append(f"worse by {moved}, {large_but_unclear(metric, n)}")
    return told


def beyond(metric: Metric, allowed: float, n: tuple[int, int]) -> str:
    """Return what is to be said of a difference that is more than so many seeds on the two sides may move."""
    return _reach("beyond", metric, allowed, n)


def _reach(word: str, metric: Metric, allowed: float, n: tuple[int, int]) -> str:
    return f"{word} the {_amount(metric, allowed)} that {_seeds(n)} may move"


def large_but_unclear(metric: Metric, n: tuple[int, int]) -> str:
    """Return what is to be said of a difference that is large, where so many seeds on the two sides do not decide."""
    return f"which is large, more than {_amount(metric, metric.large)}, but {_seeds(n)} cannot tell it from noise"


def _amount(metric: Metric, value: float, digits: int | None = None) -> str:
    """Return an amount as shown, with its unit: three significant digits, or so many decimals."""
    shown = metric.shown(value)
    return f"{f'{shown:.3g}' if digits is None else f'{shown:.{digits}f}'} {metric.difference_unit}".strip()


def _seeds(n: tuple[int, int]) -> str:
    """Return the seeds of a comparison in words: those of the run, and of the reference where it has others."""
    if n[0] != n[1]:
        return f"{n[0]} seed{'s' * (n[0] > 1)} against {n[1]}"
    return "one seed" if n[0] == 1 else f"{n[0]} seeds"


def _looked_at(row: Checked, threshold: Threshold) -> bool:
    arm = row.current or row.reference
    key = threshold.key(arm.scoring) if arm else None
    gone = row.judgement is not None and row.reference is not None and key is not None
    return key in row.means or (gone and bool(row.reference and row.reference.known(key)))


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
        metric, key = threshold.metric(row.current.scoring), threshold.key(row.current.scoring)
        if metric is None or key is None:
            continue
        means = row.means.get(key)
        if means is not None and threshold.crossed(metric.shown(means.difference)):
            moved = metric.difference_with_unit(means.difference)
            told.append(f"{threshold.name} {moved}, and {threshold} fails")
        elif means is None and row.reference.known(key) and row.current.scores():
            told.append(f"{threshold} cannot be told: the {threshold.name} is gone")
    return told


def lowered(gate: Gate) -> list[str]:
    """Return what references lose where the run takes their place: scores that worsen or vanish, rows that go."""
    told = [sentence for row in gate.rows if (sentence := _worsened(row))]
    gone = [row for row in gate.rows if row.finding in (Finding.MISSING, Finding.LOST) and row.tested is None]
    replaced = [row for row in gate.rows if row.finding is Finding.NOT_COMPARABLE]
    told += [f"{row.name} has no score in this run: its reference goes" for row in gone]
    return told + [
        f"the reference of {row.name} is replaced by one that cannot be compared with it" for row in replaced
    ]


def _worsened(row: Checked) -> str | None:
    sides, metric = row.tested, row.metric
    if sides is None or metric.sign * sides.difference >= 0:
        return None
    by = f"{metric.text(abs(sides.difference))} {metric.difference_unit}".strip()
    return f"{'lowers' if metric.higher_is_better else 'raises'} the reference of {row.name} by {by}"


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
            {getattr(trial, what) for arm in side if arm for trial in arm.trials.values() if trial.state == DONE}
            for side in ([found.first for found in both], [found.second for found in both])
        )
        if before and now and before != now:
            told = [_list(sorted(str(value or "unknown") for value in values)) for values in (before, now)]
            notes.append(f"{what}: {told[0]} in the baseline, {told[1]} here")
    if current.unplaced:
        notes.append(f"cells of which nothing can be read: {_list(sorted(current.unplaced))}")
    return notes
