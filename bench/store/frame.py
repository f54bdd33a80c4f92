"""Every cell of a run folder as one row of a DataFrame, whether it finished or not."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from bench.base.files import canonical
from bench.store.folders import COUNTS, RESULT, CellFolder, Record, RunFolder
from bench.tasks.scorings import scoring_of

_TEXT = [
    "cell_id", "folder", "state", "reason", "dataset", "dataset_key", "train_split", "eval_split", "teacher",
    "teacher_key", "student", "student_key", "method", "label", "hyperparameters", "recipe", "protocol",
    "protocol_fields", "task", "scoring", "metrics", "per_class", "extras", "terms", "remarks", "train_device",
    "setting", "input_size", "teacher_model", "dataset_name", "evidence_digest", "digest",
]  # fmt: skip
_NUMBERS = [
    "seed", "score", "params", "macs", "flops", "latency_ms_p50", "latency_ms_p90", "fps", "peak_mem_mib",
    "train_mem_mib", "train_s", "teacher_s", "step_s", "iterations", "method_params",
]  # fmt: skip
_FLAGS = ["planned", "stale"]
_EFFICIENCY = ("params", "macs", "flops", "latency_ms_p50", "latency_ms_p90", "fps", "peak_mem_mib")
_COST = ("train_s", "train_mem_mib", "teacher_s", "step_s", "iterations", "method_params")


@dataclass(frozen=True)
class RecordedPlan:
    """What plan.json says.

    Attributes:
        name: name of the run.
        command: the command that started it.
        cells: entries of the planned cells by id.
        problem: why plan.json could not be used, or None.
        images: names of the evaluation split's samples, in its order; empty where they were not kept.
    """

    name: str
    command: str = ""
    cells: Mapping[str, Record] = field(default_factory=dict)
    problem: str | None = None
    images: tuple[str, ...] = ()


def read_plan(run: RunFolder) -> RecordedPlan:
    """Read plan.json; an absent or unreadable one gives a plan without cells and the problem."""
    name = run.path.resolve().name
    try:
        record = json.loads((run.path / "plan.json").read_text(encoding="utf-8"))
        cells = {str(entry["id"]): entry for entry in record["cells"]}
        images = tuple(str(image) for image in record.get("images") or ())
        return RecordedPlan(str(record.get("name") or name), str(record.get("command") or ""), cells, None, images)
    except FileNotFoundError:
        return RecordedPlan(name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        problem = f"plan.json cannot be read ({error!r}): cells that left no folder are not shown"
        return RecordedPlan(name, problem=problem)


def load(run: RunFolder, plan: RecordedPlan | None = None) -> pd.DataFrame:
    """Read every cell of a run, finished or not.

    Args:
        run: the run folder.
        plan: its plan, read from the folder where it is not given.

    Returns:
        One row a cell. A result that cannot be trusted is a row of state ``corrupt`` with the reason and no scores.
        ``scoring`` says how its task is scored, ``metrics`` holds every metric as stored by its key, ``score`` the
        primary one, ``per_class`` that of each class by name, ``extras`` the further numbers that the scoring quotes.
        Columns of other things than numbers are of dtype object with None for what is not known; numeric columns are
        float64.
    """
    plan = plan or read_plan(run)
    rows = [_row(folder, plan.cells.get(folder.cell_id)) for folder in run.cells()]
    seen = {row["cell_id"] for row in rows}
    rows += [_row(run.cell(cell_id), entry) for cell_id, entry in plan.cells.items() if cell_id not in seen]
    frame = pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=object) for name in _TEXT})
    for name in _NUMBERS:
        frame[name] = pd.Series([row.get(name) for row in rows], dtype="float64")
    for name in _FLAGS:
        frame[name] = pd.Series([bool(row.get(name)) for row in rows], dtype=bool)
    return frame


def _row(folder: CellFolder, entry: Record | None) -> dict[str, Any]:
    row: dict[str, Any] = {"cell_id": folder.cell_id, "folder": str(folder.path), "planned": entry is not None}
    try:
        state, record = folder.state()
        if state == "done":
            stale = bool(record.get("stale_accepted")) or (entry or {}).get("state") == "stale"
            return row | {"state": state, "stale": stale} | _described(record) | _result(record)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        state, record = "corrupt", {"reason": f"{RESULT} is not as this version writes it: {error!r}"}
    if state == "planned" and entry and entry.get("state") == "skipped":
        state, record = "skipped", entry
    return row | {"state": state, "reason": _reason(record)} | _best_description(folder, record, entry)


def _reason(record: Record) -> str | None:
    reason = str(record.get("reason") or "") or None
    if reason and record.get("iteration") is not None and "iteration" not in reason:
        reason += f" (iteration {record['iteration']})"
    return reason


def _best_description(folder: CellFolder, record: Record, entry: Record | None) -> dict[str, Any]:
    """Say what an unfinished cell is; a result that is not trusted is asked last and only for its place."""
    for source in (
        lambda: record,
        folder.config,
        lambda: entry,
        lambda: json.loads((folder.path / RESULT).read_text(encoding="utf-8")),
    ):
        try:
            return _described(source() or {})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return {}


def _described(record: Record) -> dict[str, Any]:
    cell, protocol = record["cell"], record.get("protocol") or {}
    dataset, teacher, method = cell["dataset"], cell["teacher"], cell["method"]
    return {
        "task": record.get("task"),
        "dataset": shown_name(dataset),
        "dataset_name": str(dataset["name"]),
        "dataset_key": canonical(dataset),
        "train_split": dataset.get("train_split"),
        "eval_split": dataset.get("eval_split"),
        "teacher": str(teacher["name"]) if teacher else None,
        "teacher_key": canonical(teacher) if teacher else None,
        "student": str(cell["student"]["name"]),
        "student_key": canonical(cell["student"]),
        "method": str(method["name"]),
        "label": str(method.get("label") or method["name"]),
        "hyperparameters": canonical(method.get("params") or {}),
        "recipe": canonical(cell.get("recipe")),
        "seed": float(cell["seed"]),
        "protocol": protocol.get("hash"),
        "protocol_fields": protocol.get("fields"),
    }


def shown_name(spec: Record) -> str:
    """Return what tables call a dataset or a model: the title among its options, where it has one, else its name."""
    return str((spec.get("options") or {}).get("title") or spec["name"])


def _result(record: Record) -> dict[str, Any]:
    metrics, cost = record["metrics"], record.get("cost") or {}
    efficiency = record.get("efficiency") or {}
    scoring = scoring_of(record)
    per_class = metrics.get(scoring.per_class.key) if scoring.per_class else None
    return {
        "task": scoring.name,
        "scoring": scoring,
        "score": _number(metrics[scoring.primary.key]),
        "metrics": {key: _number(metrics[key]) for key in scoring.keys if key in metrics},
        "per_class": {str(name): _number(value) for name, value in per_class.items()} if per_class else None,
        "extras": {key: _number(metrics[key]) for key in scoring.extras if key in metrics},
        "terms": tuple(record.get("terms") or ()),
        "remarks": tuple(record.get("remarks") or ()),
        **{name: _number(efficiency.get(name)) for name in _EFFICIENCY},
        **{name: _number(cost.get(name)) for name in _COST},
        "setting": fps_setting(efficiency),
        "input_size": tuple(efficiency.get("input_size") or ()) or None,
        "train_device": (record.get("environment") or {}).get("device"),
        "teacher_model": dict(record.get("teacher") or {}) or None,
        "evidence_digest": record["files"].get(COUNTS),
        "digest": record["digest"],
    }


def _number(value: Any) -> float | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)):
        return value
    raise TypeError(f"{value!r} is not a number")


def fps_setting(efficiency: Record) -> str | None:
    """Return device, precision and batch size: what must be equal for two FPS values to be comparable."""
    if efficiency.get("fps") is None:
        return None
    return f"{efficiency.get('device')}, {efficiency.get('precision')}, batch of {efficiency.get('batch_size')}"
