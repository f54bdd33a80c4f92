"""Scores that papers report, with their sources: what a measured row is put beside.

They stand in ``results/published/scores.csv``: ``dataset``, ``teacher``, ``student`` and ``method`` are registered
names where a counterpart with the same architecture exists here, else empty; ``*_paper`` holds the source's words.
"""

from __future__ import annotations

import re
import sysconfig
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import pandas as pd

from bench.matrix.baseline import BASELINE
from bench.tasks.metric import Metric

FILE = "scores.csv"
COLUMNS = (
    "dataset", "split", "teacher", "student", "method", "metric", "value", "params_m", "flops_g", "source", "table",
    "note", "task", "dataset_paper", "split_paper", "teacher_paper", "student_paper", "method_paper",
)  # fmt: skip
TEACHER = "teacher (no KD)"
_NUMBERED = re.compile(r"[IVXLC]+|\d+[a-z]?")


@dataclass(frozen=True)
class PaperScore:
    """A score from a paper for the same dataset, split, pair and method.

    Attributes:
        value: as a result stores its metric.
        metric: the header of the metric.
        source: the paper or repository with its version.
        table: where in the source it stands, several places separated by commas.
        note: what the source says about it; empty where nothing.
        gap: the measured score minus this one; None where none was measured.
    """

    value: float
    metric: str
    source: str
    table: str
    note: str = ""
    gap: float | None = None

    @property
    def provenance(self) -> str:
        """Source and place in words, such as ``BCD arXiv 2401.13174v2, Table III``."""
        places = self.table.split(", ")
        word = ("Tables " if len(places) > 1 else "Table ") if all(map(_NUMBERED.fullmatch, places)) else ""
        return self.source if self.table in self.source else f"{self.source}, {word}{self.table}"


def folders() -> tuple[Path, ...]:
    """Return where the published scores are looked for: in a checkout, then where a wheel puts them."""
    checkout = Path(__file__).resolve().parents[2] / "results" / "published"
    return checkout, Path(sysconfig.get_path("data")) / "share" / "bench" / "published"


@lru_cache(maxsize=4)
def load(file: Path | None = None) -> pd.DataFrame:
    """Read the published scores; a missing or unreadable file gives none.

    Args:
        file: the CSV, by default the first of :data:`FILE` in :func:`folders`.

    Returns:
        One row a score, all columns of :data:`COLUMNS` as text but ``value``, ``params_m`` (millions) and ``flops_g``.
    """
    found = file or next((folder / FILE for folder in folders() if (folder / FILE).is_file()), None)
    empty = pd.DataFrame({name: pd.Series(dtype=object) for name in COLUMNS})
    if found is None:
        return empty
    try:
        read = pd.read_csv(found, dtype=str, keep_default_na=False)
    except (OSError, ValueError):  # pandas' own errors and those of encodings are ValueErrors
        return empty
    if not set(COLUMNS) <= set(read.columns):
        return empty
    for name in ("value", "params_m", "flops_g"):
        read[name] = pd.to_numeric(read[name], errors="coerce")
    return read


def matches(
    metric: Metric,
    dataset: str,
    split: str,
    teacher: str | None,
    student: str,
    method: str,
    file: Path | None = None,
) -> tuple[PaperScore, ...]:
    """Return what papers report for this row, every source once.

    Args:
        metric: the metric, which the file names by its header.
        dataset: registered name.
        split: that is scored.
        teacher: registered name; what a baseline reaches does not depend on it.
        student: registered name; empty for the teacher itself.
        method: registered name, sums included; empty for the teacher itself.
        file: as for :func:`load`.
    """
    place = (dataset, split, "" if method == BASELINE else teacher or "", student, method)
    return _index(metric.header, metric.scale, file).get(place, ())


@lru_cache(maxsize=8)
def _index(header: str, scale: float, file: Path | None) -> Mapping[tuple[str, ...], tuple[PaperScore, ...]]:
    """Return the scores by dataset, split, teacher, student and method; tables that repeat a value are one score."""
    scores = load(file)
    scores = scores[(scores["metric"] == header) & (scores["dataset"] != "") & scores["value"].notna()]
    found: dict[tuple[str, ...], dict[tuple[str, float], PaperScore]] = defaultdict(dict)
    for row in scores.to_dict("records"):
        of_teacher = row["method_paper"] == TEACHER
        if not (row["teacher"] and of_teacher) and not (row["student"] and row["method"]):
            continue
        student, method = ("", "") if of_teacher else (row["student"], row["method"])
        teacher = "" if method == BASELINE else row["teacher"]
        if method != BASELINE and not teacher:
            continue
        place = found[(row["dataset"], row["split"], teacher, student, method)]
        one = (row["source"], row["value"])
        if one in place:
            tables = dict.fromkeys((*place[one].table.split(", "), row["table"]))
            place[one] = replace(place[one], table=", ".join(tables))
        else:
            place[one] = PaperScore(
                round(row["value"] / scale, 8), row["metric"], row["source"], row["table"], row["note"]
            )
    return {key: tuple(place.values()) for key, place in found.items()}
