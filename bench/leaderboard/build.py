"""From cells to boards."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any

import pandas as pd

from bench.leaderboard.measure import BySeed, Images, measure, scored_cells
from bench.leaderboard.protocols import other_protocols, placed
from bench.leaderboard.published import matches
from bench.leaderboard.rows import BASELINE, Board, Cell, Row
from bench.leaderboard.significance import told_apart
from bench.store.frame import fps_setting

UNKNOWN = "(unknown)"
NO_BASELINE = "no baseline: gains cannot be told"
_PLACE = ["dataset", "student", "teacher", "protocol", "dataset_key", "student_key", "teacher_key"]


def leaderboard(cells: pd.DataFrame, images: Images | None = None) -> list[Board]:
    """Make one board for each dataset, pair and protocol.

    Cells of a method without teacher join every pair of their student; nothing is averaged over two protocols.

    Args:
        cells: rows as from :func:`bench.store.frame.load`.
        images: mIoU on every draw of the split's images by cell id, as from
            :func:`bench.leaderboard.draws.resampled_cells`; without it no gain has an interval over images.

    Returns:
        The boards in the order of their titles. Cells of which nothing is known make a last board of their own.
    """
    known = placed(cells)
    boards = [_board(group, images or {}) for _, group in known.groupby(_PLACE, dropna=False, sort=True)]
    boards = [replace(board, notes=(*board.notes, *other_protocols(board, boards))) for board in boards]
    lost = cells[cells["dataset_key"].isna()]
    if len(lost):
        rows = [Row(str(cell["cell_id"]), states={str(cell["state"]): 1}) for cell in lost.to_dict("records")]
        note = "nothing readable tells which dataset, pair and method these cells belong to"
        frame = lost.assign(row=lost["cell_id"])
        boards.append(Board(UNKNOWN, None, UNKNOWN, "", tuple(rows), None, None, (note,), frame))
    return boards


def _board(group: pd.DataFrame, images: Images) -> Board:
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
        measured.append(measure(Row(name, method, hyperparameters), own, baseline, seeds, images))
    rows, tier_reason = told_apart(measured)
    rows.sort(key=lambda row: (row.miou_mean is None, row.method != BASELINE, -(row.miou_mean or 0), row.label))
    teacher, *methods = _one_setting([_teacher_row(cells), *rows])
    return Board(
        dataset=first["dataset"],
        teacher=None if pd.isna(first["teacher"]) else first["teacher"],
        student=first["student"],
        protocol=first["protocol"],
        rows=tuple(beside(row, first) for row in methods if row),
        teacher_row=beside(teacher, first) if teacher else None,
        watermark=None if baseline else NO_BASELINE,
        notes=(),
        cells=group.assign(row=group["cell_id"].map(labels)),
        tier_reason=tier_reason,
    )


def _baseline(by_method: dict[Any, list[Cell]]) -> BySeed:
    """Return the scored cells of the first ``none`` that has any."""
    for (_, method, _), own in by_method.items():
        scored = scored_cells(own)[0] if method == BASELINE else {}
        if scored:
            return scored
    return {}


def _teacher_row(cells: list[Cell]) -> Row | None:
    """Return the teacher as the first finished cell recorded it; one board has one teacher, weights included."""
    model = next((cell["teacher_model"] for cell in cells if cell["state"] == "done" and cell["teacher_model"]), None)
    if not model:
        return None
    metrics, efficiency = model.get("metrics") or {}, model.get("efficiency") or {}
    return Row(
        str(model.get("name")),
        miou_mean=metrics.get("miou"),
        macc=metrics.get("macc"),
        pixel_accuracy=metrics.get("pixel_accuracy"),
        boundary_iou=metrics.get("mean_boundary_iou"),
        params=efficiency.get("params"),
        macs=efficiency.get("macs"),
        flops=efficiency.get("flops"),
        fps=efficiency.get("fps"),
        peak_mem_mib=efficiency.get("peak_mem_mib"),
        setting=fps_setting(efficiency),
    )


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


def beside(row: Row, cell: Cell) -> Row:
    """Return a row of a board with what papers report for it.

    Args:
        row: of a method, or of the teacher.
        cell: any cell of the board.
    """
    names = [_name(cell[key]) for key in ("teacher_key", "student_key")]
    teacher, student = names[0] or "", (names[1] or "") if row.method else ""
    found = matches(str(cell["dataset_name"]), str(cell["eval_split"]), teacher, student, row.method)
    if not found:
        return row
    score = row.miou_mean
    alone = len(found) == 1  # then rows of one source share a footnote; else each says which value is whose
    notes = tuple(
        f"published{'' if alone else f' {100 * p.value:.2f}'} in {p.provenance}; its training may differ" for p in found
    )
    compared = tuple(replace(p, gap=None if score is None else score - p.value) for p in found)
    return replace(row, published=compared, notes=(*row.notes, *notes))


def _name(key: Any) -> str | None:
    return str(json.loads(key)["name"]) if isinstance(key, str) else None
