"""From cells to boards."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from bench.leaderboard.measure import BySeed, Images, measure, scored_cells
from bench.leaderboard.protocols import other_protocols, placed
from bench.leaderboard.published import matches
from bench.leaderboard.rows import Board, Cell, Row
from bench.leaderboard.significance import told_apart
from bench.matrix.baseline import BASELINE
from bench.store.frame import fps_setting
from bench.tasks.metric import Metric, Scoring
from bench.tasks.scorings import scoring_of

UNKNOWN = "(unknown)"
NO_BASELINE = "no baseline: gains cannot be told"
_PLACE = ["dataset", "student", "teacher", "protocol", "dataset_key", "student_key", "teacher_key"]


def leaderboard(cells: pd.DataFrame, images: Images | None = None) -> list[Board]:
    """Make one board for each dataset, pair and protocol.

    Cells of a method without teacher join every pair of their student; nothing is averaged over two protocols.

    Args:
        cells: rows as from :func:`bench.store.frame.load`.
        images: the score on every draw of the split's images by cell id, as from
            :func:`bench.leaderboard.draws.resampled_cells`; without it no gain has an interval over images.

    Returns:
        The boards in the order of their titles. Cells of which nothing is known make a last board of their own.
    """
    known = placed(cells)
    scorings = _scorings(known)
    boards = [_board(group, images or {}, scorings) for _, group in known.groupby(_PLACE, dropna=False, sort=True)]
    boards = [replace(board, notes=(*board.notes, *other_protocols(board, boards))) for board in boards]
    lost = cells[cells["dataset_key"].isna()]
    if len(lost):
        rows = [Row(str(cell["cell_id"]), states={str(cell["state"]): 1}) for cell in lost.to_dict("records")]
        note = "nothing readable tells which dataset, pair and method these cells belong to"
        frame = lost.assign(row=lost["cell_id"])
        boards.append(Board(UNKNOWN, None, UNKNOWN, "", tuple(rows), None, None, (note,), frame, scoring_of({})))
    return boards


def _scorings(cells: pd.DataFrame) -> dict[str, Scoring]:
    """Return how each dataset is scored, as the first of its results tells."""
    told = cells[cells["scoring"].notna()].drop_duplicates("dataset_key")
    return dict(zip(told["dataset_key"], told["scoring"], strict=True))


def _board(group: pd.DataFrame, images: Images, scorings: Mapping[str, Scoring]) -> Board:
    scoring = scorings.get(group["dataset_key"].iloc[0]) or scoring_of({})
    # Results of other versions of a plug-in may have another primary metric: a board compares one.
    scores = [(metrics or {}).get(scoring.primary.key) for metrics in group["metrics"]]
    group = group.assign(score=pd.Series(scores, index=group.index, dtype="float64"))
    cells: list[Cell] = group.to_dict("records")  # type: ignore[assignment]
    first = cells[0]
    by_method = defaultdict(list)
    for cell in cells:
        by_method[(cell["label"], cell["method"], cell["hyperparameters"])].append(cell)
    shared = Counter(label for label, _, _ in by_method)
    seeds = sorted({int(cell["seed"]) for cell in cells})
    baseline = _baseline(by_method)
    measured, labels = [], {}
    for (label, method, hyperparameters), own in by_method.items():
        name = f"{label} {hyperparameters}" if shared[label] > 1 else label
        labels.update({cell["cell_id"]: name for cell in own})
        measured.append(measure(Row(name, method, hyperparameters), own, baseline, seeds, images, scoring))
    metric = scoring.primary
    rows, tier_reason = told_apart(measured, metric)
    rows.sort(
        key=lambda row: (
            row.score_mean is None,
            row.method != BASELINE,
            -metric.sign * (row.score_mean or 0),
            row.label,
        )
    )
    teacher, *methods = _one_setting([_held_to_student(_teacher_row(cells, scoring), rows, metric), *rows])
    return Board(
        dataset=first["dataset"],
        teacher=None if pd.isna(first["teacher"]) else first["teacher"],
        student=first["student"],
        protocol=first["protocol"],
        rows=tuple(beside(row, first, metric) for row in methods if row),
        teacher_row=beside(teacher, first, metric) if teacher else None,
        watermark=None if baseline else NO_BASELINE,
        notes=_without_code(cells, scoring),
        cells=group.assign(row=group["cell_id"].map(labels)),
        scoring=scoring,
        tier_reason=tier_reason,
    )


def _without_code(cells: Iterable[Cell], scoring: Scoring) -> tuple[str, ...]:
    """Say so where results keep records of their images that only the code of their task can read."""
    if scoring.read is not None or not any(cell["evidence_digest"] for cell in cells):
        return ()
    return (
        f"no intervals and scores over single images: only the code of the task '{scoring.name}' reads their records",
    )


def _baseline(by_method: dict[Any, list[Cell]]) -> BySeed:
    """Return the scored cells of the first ``none`` that has any."""
    for (_, method, _), own in by_method.items():
        scored = scored_cells(own)[0] if method == BASELINE else {}
        if scored:
            return scored
    return {}


def _teacher_row(cells: list[Cell], scoring: Scoring) -> Row | None:
    """Return the teacher as the first finished cell recorded it; one board has one teacher, weights included."""
    model = next((cell["teacher_model"] for cell in cells if cell["state"] == "done" and cell["teacher_model"]), None)
    if not model:
        return None
    metrics, efficiency = model.get("metrics") or {}, model.get("efficiency") or {}
    return Row(
        str(model.get("name")),
        score_mean=metrics.get(scoring.primary.key),
        metrics={key: metrics[key] for key in scoring.keys[1:] if metrics.get(key) is not None},
        params=efficiency.get("params"),
        macs=efficiency.get("macs"),
        flops=efficiency.get("flops"),
        fps=efficiency.get("fps"),
        peak_mem_mib=efficiency.get("peak_mem_mib"),
        setting=fps_setting(efficiency),
    )


def _held_to_student(teacher: Row | None, rows: Iterable[Row], metric: Metric) -> Row | None:
    """Say so where a teacher does not exceed the student that learns without it: there is little to gain from it."""
    alone = next((row.score_mean for row in rows if row.method == BASELINE and row.score_mean is not None), None)
    if teacher is None or teacher.score_mean is None or alone is None or metric.gain(teacher.score_mean, alone) > 0:
        return teacher
    scores = f"{metric.header} {metric.with_unit(teacher.score_mean)} against {metric.with_unit(alone)} of {BASELINE}"
    return replace(teacher, notes=(*teacher.notes, f"the teacher does not exceed its student: {scores}"))


def _one_setting(rows: list[Row | None]) -> list[Row | None]:
    """Keep FPS and memory of the rows measured in the setting of ``none``, else in the commonest; tell the others."""
    settings = [row.setting for row in rows if row and row.setting]
    own = [row.setting for row in rows if row and row.setting and row.method == BASELINE]
    if len(set(settings)) < 2:
        return rows
    chosen = own[0] if own else Counter(settings).most_common(1)[0][0]
    return [replace(row, **_elsewhere(row)) if row and row.setting not in (None, chosen) else row for row in rows]


def _elsewhere(row: Row) -> dict[str, Any]:
    told = "" if row.fps is None else f"{row.fps:.0f} images a second"
    memory = "" if row.peak_mem_mib is None else f", peak memory {row.peak_mem_mib:.0f} MiB"
    note = f"measured on {row.setting}, which the column does not compare: {told}{memory}"
    return {"fps": None, "peak_mem_mib": None, "notes": (*row.notes, note)}


def beside(row: Row, cell: Cell, metric: Metric) -> Row:
    """Return a row of a board with what papers report for it.

    Args:
        row: of a method, or of the teacher.
        cell: any cell of the board.
        metric: the primary one of the board.
    """
    names = [_name(cell[key]) for key in ("teacher_key", "student_key")]
    teacher, student = names[0] or "", (names[1] or "") if row.method else ""
    found = matches(metric, str(cell["dataset_name"]), str(cell["eval_split"]), teacher, student, row.method)
    if not found:
        return row
    score = row.score_mean
    alone = len(found) == 1  # then rows of one source share a footnote; else each says which value is whose
    notes = tuple(
        f"published{'' if alone else f' {metric.text(p.value)}'} in {p.provenance}; its training may differ"
        for p in found
    )
    compared = tuple(replace(p, gap=None if score is None else score - p.value) for p in found)
    return replace(row, published=compared, notes=(*row.notes, *notes))


def _name(key: Any) -> str | None:
    return str(json.loads(key)["name"]) if isinstance(key, str) else None
