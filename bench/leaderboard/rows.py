"""What a leaderboard is made of: rows and boards."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from bench.leaderboard.published import PaperScore
from bench.tasks.metric import Metric, Scoring

CONFIDENCE = 0.95

Cell = Mapping[Hashable, Any]

_SCORES = ("score_mean", "score_sd", "score_low", "score_high")


@dataclass(frozen=True)
class Row:
    """One line of a board; scores as they are stored, None where it is not known.

    The score is the primary metric of the board's scoring; a gain is positive where it is better than the baseline's.

    Attributes:
        label: the method with its non-default hyperparameters, or the teacher's name.
        method: registered name of the method; empty for the teacher.
        hyperparameters: JSON of the method's hyperparameters.
        score_mean: mean over ``n_seeds`` seeds.
        score_sd: sample standard deviation, None for a single seed.
        score_low: lower end of the 95 % Student-t interval over seeds, None for a single seed.
        score_high: upper end of it.
        n_seeds: seeds with a score.
        gain_mean: mean gain over ``none`` over the ``n_paired`` seeds that both have.
        gain_sd: sample standard deviation of the differences, None for a single pair.
        gain_low: lower end of the 95 % Student-t interval over the seeds paired with ``none``; None for one pair.
        gain_high: upper end of it.
        gain_p: two-sided p-value of the paired t-test of "no gain", Holm-adjusted over the board's methods.
        n_paired: seeds that this row and ``none`` both have.
        image_gain_low: lower end of the 95 % paired bootstrap interval of the gain over the images of the split, with
            the models of the same seeds on both sides; None where the records of the images were not read.
        image_gain_high: upper end of it.
        detectable: smallest true gain that a paired t-test on ``n_paired`` seeds with this row's spread finds with
            80 % power at the 5 % level; None for fewer than two pairs.
        tier: from 1, the best; methods that the seeds cannot tell apart share one. None without a score.
        metrics: mean over the seeds of every other metric that the results have, by key.
        params: parameters of the student.
        macs: multiply-accumulate operations of one forward pass.
        flops: floating-point operations of one forward pass.
        fps: images a second; median over the seeds, None where they were timed in different settings.
        cost_rel: training seconds relative to ``none``, over seeds trained on the same device.
        peak_mem_mib: largest peak memory of inference over the seeds.
        peak_mem_rel: peak memory of training relative to ``none``, over seeds trained on the same device.
        method_params: parameters that the method trains beside the student's.
        published: what papers report for the same dataset, split, pair and method; every source.
        terms: names of the loss terms.
        states: number of cells without a result, by state.
        setting: device, precision and batch size of the FPS measurement.
        notes: footnotes of this row.
    """

    label: str
    method: str = ""
    hyperparameters: str = "{}"
    score_mean: float | None = None
    score_sd: float | None = None
    score_low: float | None = None
    score_high: float | None = None
    n_seeds: int = 0
    gain_mean: float | None = None
    gain_sd: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    gain_p: float | None = None
    n_paired: int = 0
    image_gain_low: float | None = None
    image_gain_high: float | None = None
    detectable: float | None = None
    tier: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: float | None = None
    macs: float | None = None
    flops: float | None = None
    fps: float | None = None
    cost_rel: float | None = None
    peak_mem_mib: float | None = None
    peak_mem_rel: float | None = None
    method_params: float | None = None
    published: tuple[PaperScore, ...] = ()
    terms: tuple[str, ...] = ()
    states: Mapping[str, int] = field(default_factory=dict)
    setting: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Board:
    """One table: all methods of one dataset, pair and protocol.

    Attributes:
        dataset: name or title of the dataset, with options where two of one name differ.
        teacher: name of the teacher, or None where no cell tells one.
        student: name of the student.
        protocol: protocol hash; empty where no cell has recorded it yet.
        rows: ``none`` first, then from the best mean score on, rows without a score last.
        teacher_row: the teacher's own scores; not ranked.
        watermark: a warning that belongs to the whole table, or None.
        notes: facts on the whole table, such as how other protocols differ.
        cells: the cells behind the rows, as from :func:`bench.store.frame.load`; ``row`` holds the label of their row.
        scoring: how its task is scored.
        tier_reason: how the tiers were told apart, or why all methods share one; None without any score.
        tier_alpha: probability, at most, of more than one tier where all methods are equal.
        confidence: nominal coverage of every interval.
    """

    dataset: str
    teacher: str | None
    student: str
    protocol: str
    rows: tuple[Row, ...]
    teacher_row: Row | None
    watermark: str | None
    notes: tuple[str, ...]
    cells: pd.DataFrame
    scoring: Scoring
    tier_reason: str | None = None
    tier_alpha: float = 0.05
    confidence: float = CONFIDENCE

    @property
    def pair(self) -> str:
        """Teacher and student in words."""
        return f"{self.teacher} → {self.student}" if self.teacher else self.student

    @property
    def title(self) -> str:
        """Dataset, pair and protocol in one line."""
        return f"{self.dataset}: {self.pair}" + (f" (protocol {self.protocol})" if self.protocol else "")

    @property
    def shown(self) -> tuple[Row, ...]:
        """The teacher's row, where there is one, and the methods'."""
        return (*((self.teacher_row,) if self.teacher_row else ()), *self.rows)

    def footnotes(self) -> list[str]:
        """Return the distinct footnotes of the rows; their marks are their positions, from 1."""
        return list(dict.fromkeys(note for row in self.shown for note in row.notes))

    @property
    def metric(self) -> Metric:
        """The metric in which gains are told."""
        return self.scoring.primary

    def frame(self) -> pd.DataFrame:
        """Return the rows, the teacher first, as a DataFrame of raw values; metrics stand under their keys."""
        kinds = ["teacher"] * (self.teacher_row is not None) + ["method"] * len(self.rows)
        return pd.DataFrame([{"kind": kind, **self._values(row)} for kind, row in zip(kinds, self.shown, strict=True)])

    def _values(self, row: Row) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, value in asdict(row).items():
            if name == "metrics":
                values |= {key: value.get(key) for key in self.scoring.keys[1:]}
            else:
                values[name.replace("score", self.metric.key, 1) if name in _SCORES else name] = value
        return values
