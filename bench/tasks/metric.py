"""What a task measures: its metrics, how a split is scored, and the records that scores are made from. No torch."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

PLACES = ("text", "latex", "terminal", "page", "folded")
"""Where a column can stand: text files, LaTeX, the terminal, the page; ``folded`` is the page once asked for it."""


@dataclass(frozen=True)
class Metric:
    """One metric: the only place where its name, header, meaning, direction and importance stand.

    Attributes:
        key: its one name everywhere: ``result.json``, ``--fail-on``, CSV, page.
        header: what stands above it, without the unit.
        meaning: what it is, in one sentence.
        higher_is_better: False for an error.
        importance: columns of the lowest one are dropped first where the room is small; 0..100.
        shown_in: which of :data:`PLACES` have a column of it; the CSV has every metric.
        scale: what a stored value is multiplied by to be shown: 100 for a ratio in percent.
        unit: of the shown value; empty for none.
        digits: decimals of the shown value.
        noticeable: difference, as stored, that one seed alone hardly makes; limits of single seeds come from it.
        aliases: former names that ``--fail-on`` still takes.
    """

    key: str
    header: str
    meaning: str = ""
    higher_is_better: bool = True
    importance: int = 40
    shown_in: tuple[str, ...] = ("text", "latex", "terminal", "page")
    scale: float = 100.0
    unit: str = "%"
    digits: int = 2
    noticeable: float = 0.05
    aliases: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Header and unit, ``mIoU (%)``."""
        return f"{self.header} ({self.unit})" if self.unit else self.header

    @property
    def axis(self) -> str:
        """The title, with the direction where it is not the usual one: ``RMSE (m), lower is better``."""
        return self.title if self.higher_is_better else f"{self.title}, lower is better"

    @property
    def sign(self) -> int:
        """1 where higher is better, -1 where lower is: a gain is ``sign * (score - baseline)``, positive for better."""
        return 1 if self.higher_is_better else -1

    @property
    def unit_name(self) -> str:
        """Unit of a shown value in words: percent for ``%``."""
        return "percent" if self.unit == "%" else self.unit

    @property
    def difference_unit(self) -> str:
        """Unit of a difference: points for percent."""
        return "points" if self.unit == "%" else self.unit

    @property
    def difference_name(self) -> str:
        """Unit of a difference in full: percentage points for percent."""
        return "percentage points" if self.unit == "%" else self.unit

    @property
    def difference_title(self) -> str:
        """What a difference is in: ``points of mIoU``."""
        return f"{self.difference_unit} of {self.header}" if self.unit else self.header

    @property
    def limit(self) -> float:
        """The noticeable difference, as shown: 5 for 0.05 of a ratio in percent."""
        return self.scale * self.noticeable

    @property
    def large(self) -> float:
        """A difference, as stored, that is told also where nothing decides: half of the noticeable one."""
        return self.noticeable / 2

    def shown(self, value: float) -> float:
        """Return a stored value, or a difference, in the unit that is shown."""
        return self.scale * value

    def rounded(self, value: float | None) -> float | None:
        """Return a stored value as the number that is shown."""
        return None if value is None else round(self.scale * value, self.digits)

    def text(self, value: float | None) -> str:
        """Return a stored value as shown, without the unit; empty where there is none."""
        return "" if value is None else f"{self.scale * value:.{self.digits}f}"

    def difference(self, value: float | None) -> str:
        """Return a difference as shown, with its sign; empty where there is none."""
        return "" if value is None else f"{self.scale * value:+.{self.digits}f}"

    def difference_with_unit(self, value: float) -> str:
        """Return a difference as shown, with sign and unit, ``-1.00 points``."""
        return f"{self.difference(value)} {self.difference_unit}".strip()

    def with_unit(self, value: float | None) -> str:
        """Return a stored value with its unit, ``67.40 %``; ``-`` where there is none."""
        return "-" if value is None else f"{self.text(value)} {self.unit}".strip()

    def gain(self, score: float, baseline: float) -> float:
        """Return how much better a score is than a baseline's."""
        return self.sign * (score - baseline)


GAIN = "gain"
"""Name of the difference to the baseline, turned so that positive is better, wherever metrics go by name."""


class Evidence(ABC):
    """Records of every image of a split, from which the primary metric of any choice of images follows exactly."""

    n_images: int

    @abstractmethod
    def resampled(self, weights: np.ndarray) -> np.ndarray:
        """Return the primary metric of each resample.

        Args:
            weights: (n_resamples, n_images), how often each image was drawn.

        Returns:
            (n_resamples,), NaN where nothing drawn can be scored.
        """

    @abstractmethod
    def per_image(self) -> np.ndarray:
        """Return the (n_images,) primary metric of every image by itself, NaN where it has none."""

    def labels(self) -> np.ndarray:
        """Return what the labels of each image alone determine, equal for two models scored on the same images.

        Returns:
            (n_images, k), such as the labelled pixels of each class; k may be 0 where nothing is known.
        """
        return np.zeros((self.n_images, 0))

    @abstractmethod
    def save(self, path: Path) -> str:
        """Write to a file, atomically, and return its SHA-256; :attr:`Scoring.read` reads it back."""

    def unlike(self, images: Sequence[int], other: Evidence) -> str:
        """Return in how far predictions for some images differ from other ones, in words; empty where they do not.

        Args:
            images: positions here of the other's images, in its order.
            other: of those images alone.
        """
        mine, theirs = self.per_image()[list(images)], other.per_image()
        different = int((~np.isclose(mine, theirs, rtol=1e-6, atol=0, equal_nan=True)).sum())
        return f"{different} of {len(images)} images" if different else ""

    def metrics(self, classes: Sequence[str]) -> Mapping[str, Any]:
        """Return the metrics of the whole split that follow from these records, by key as a result keeps them.

        A result that says otherwise is not trusted. Those that do not follow are left out; the primary one may be too,
        as :meth:`primary` gives it.

        Args:
            classes: names of the classes, in order; empty for a task without.
        """
        return {}

    def primary(self) -> float | None:
        """Return the primary metric of the whole split, None where nothing can be scored."""
        value = float(self.resampled(np.ones((1, self.n_images)))[0])
        return None if np.isnan(value) else value


class TaskSettings(BaseModel):
    """What of a recipe is a task's own; its fields stand among the recipe's."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Scoring:
    """How a task scores a split: the half of a task that tables are made with.

    Attributes:
        name: the task's name, as a dataset gives it.
        metrics: the first is the primary one, in which gains are told.
        policy: how the metrics are counted, in sentences for the table's notes.
        per_class: the metric whose values by class stand in a result under its key; None where there are no classes.
        per_image: what the primary metric of a single image is, in sentences.
        extras: further numbers of a result that tables quote, with the words that follow them; ``{n_classes}`` in these
            stands for the number of classes.
        read: reads what an evidence saved; None where the task's code is not here.
        evidence: ``means`` where :class:`~bench.tasks.means.Means` reads it, so that tables need no code of the task's.
        settings: what of a recipe is the task's own.
    """

    name: str
    metrics: tuple[Metric, ...]
    policy: str = ""
    per_class: Metric | None = None
    per_image: str = ""
    extras: Mapping[str, str] = field(default_factory=dict)
    read: Callable[[Path], Evidence] | None = None
    evidence: str = ""
    settings: type[TaskSettings] = TaskSettings

    def __post_init__(self) -> None:
        names = [name for metric in self.metrics for name in (metric.key, *metric.aliases)]
        if not names or len({GAIN, *names}) <= len(names):
            raise ValueError(f"{self.name}: metrics need names of their own, none of them '{GAIN}': {names}")

    @property
    def primary(self) -> Metric:
        """The metric in which gains are told."""
        return self.metrics[0]

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the metrics."""
        return tuple(metric.key for metric in self.metrics)

    def contradiction(self, metrics: Mapping[str, Any], evidence: Evidence, classes: Sequence[str]) -> str:
        """Return which metric of a result is not that of its own records, in words; empty where all are.

        Args:
            metrics: as the result keeps them; what follows from the records and is not among them is not missed.
            evidence: the records.
            classes: names of the classes, in order; empty for a task without.
        """
        found = dict(evidence.metrics(classes))
        found.setdefault(self.primary.key, evidence.primary())
        for key in found.keys() & metrics.keys():
            for name, told, true in _pairs(key, metrics[key], found[key]):
                if not _agree(told, true):
                    return f"{name} is {_shown(told)}, its records give {_shown(true)}"
        return ""

    def metric(self, name: str) -> Metric | None:
        """Return the metric of a name, a former name included; None where there is none."""
        return next((metric for metric in self.metrics if name == metric.key or name in metric.aliases), None)

    def record(self) -> dict[str, Any]:
        """Return what tables need, as JSON values."""
        return {
            "name": self.name,
            "metrics": [asdict(metric) for metric in self.metrics],
            "policy": self.policy,
            "per_class": self.per_class and asdict(self.per_class),
            "per_image": self.per_image,
            "extras": dict(self.extras),
            "evidence": self.evidence,
        }


_TOLERANCE = 1e-5
"""Relative; what sums in another order and precision come to."""


def _pairs(key: str, told: Any, true: Any) -> list[tuple[str, Any, Any]]:
    """Return what is to be compared by name: one value, or that of every class."""
    if not isinstance(true, Mapping) or not isinstance(told, Mapping):
        return [(key, told, true)]
    return [(f"{key} of {name!r}", told.get(name), true.get(name)) for name in {**true, **told}]


def _agree(told: Any, true: Any) -> bool:
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in (told, true)):
        return bool(told is None and true is None)
    return math.isclose(told, true, rel_tol=_TOLERANCE, abs_tol=1e-9)


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "none" if value is None else str(value)
