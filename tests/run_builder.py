"""Run folders with chosen numbers, written through the store as a training run writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.base.files import digest, write_json
from bench.store.folders import CONFIG, HISTORY, STORE_SCHEMA, CellFolder, Record, RunFolder
from bench.tasks.metric import Scoring

TEACHER_SCORE = 0.72


class RunBuilder:
    """A run folder under construction; every method writes one cell and returns its folder.

    Args:
        path: the folder.
        scoring: of a plug-in's task, whose record goes into the results; segmentation if not given.
        measure: the metrics around one score, and the teacher's score.
        defaults: of the cells.
    """

    def __init__(
        self,
        path: Path,
        scoring: Scoring | None = None,
        measure: tuple[Callable[[float | None], Record], float] | None = None,
        **defaults: Any,
    ) -> None:
        self.run = RunFolder(path)
        self.scoring = scoring
        # Looked up when it is called, as tests put other metrics in its place.
        self.measure, self.teacher_score = measure or ((lambda score: metrics(score)), TEACHER_SCORE)
        self.defaults = defaults
        self.cells: dict[str, Record] = {}

    def cell(self, method: str, seed: int = 0, **given: Any) -> Record:
        """Return the record of a cell: its axes, with defaults for all that is not given."""
        chosen = {"teacher": "big", "student": "small", "dataset": "digits", "options": {}, "label": method}
        chosen |= {"params": {}, "crop": 64} | self.defaults | given
        teacher = None if method == "none" else {"name": chosen["teacher"], "options": {}, "trained_by": "ab" * 32}
        cell: Record = {
            "dataset": {"name": chosen["dataset"], "options": {}, "train_split": "train", "eval_split": "val"},
            "teacher": teacher,
            "student": {"name": chosen["student"], "options": chosen["options"]},
            "method": {"name": method, "params": chosen["params"], "label": chosen["label"]},
            "seed": seed,
            "recipe": {"iterations": 900, "crop": chosen["crop"]},
        }
        key = digest([cell, given.get("salt")])
        slug = re.sub(r"[^A-Za-z0-9]+", "-", chosen["label"])[:60]
        return {"id": f"{chosen['dataset']}.{slug}.s{seed}.{key[:12]}", "key": key, **cell}

    def protocol(self, cell: Record) -> Record:
        """Return the protocol that follows from the dataset and the recipe."""
        fields = {"dataset": cell["dataset"], "recipe": cell["recipe"], "evaluation": {"resolution": "label"}}
        return {"hash": digest(fields, 16), "fields": fields}

    def folder(self, cell: Record) -> CellFolder:
        """Make the folder and its config.json, and note the cell for the plan."""
        folder = self.run.cell(cell["id"])
        folder.path.mkdir(parents=True)
        write_json(folder.path / CONFIG, {"schema": STORE_SCHEMA, "cell": cell, "protocol": self.protocol(cell)})
        self.cells[cell["id"]] = cell
        return folder

    def done(self, method: str, score: float | None, seed: int = 0, **given: Any) -> CellFolder:
        """Write a finished cell."""
        cell = self.cell(method, seed, **given)
        folder = self.folder(cell)
        key = self.scoring.primary.key if self.scoring else "miou"
        evals = [{"iteration": 90 * step, key: (score or 0.0) * (1 - 0.5**step)} for step in range(1, 11)]
        write_json(folder.path / HISTORY, {"steps": [], "evals": given.get("evals", evals)})
        device = given.get("device", "cpu: test, 2 threads")
        folder.finish(
            {
                "cell": cell,
                "protocol": self.protocol(cell),
                "status": "done",
                "stale_accepted": given.get("stale", False),
                **({"task": self.scoring.name, "scoring": self.scoring.record()} if self.scoring else {}),
                "metrics": self.measure(score),
                "terms": ["ce"] if method == "none" else ["ce", method],
                "efficiency": efficiency(21027, given.get("fps", 850.0), device),
                "teacher": self.teacher(cell),
                "cost": {"train_s": given.get("train_s", 10.0), "iterations": 900, "method_params": 0},
                "environment": {"device": device},
                "created": "2026-01-01T00:00:00+00:00",
            }
        )
        return folder

    def teacher(self, cell: Record) -> Record | None:
        """Return what a result tells of its teacher."""
        if cell["teacher"] is None:
            return None
        name = cell["teacher"]["name"]
        return {"name": name, "metrics": self.measure(self.teacher_score), "efficiency": efficiency(1_234_567, 210.0)}

    def failed(self, method: str, seed: int = 0, status: str = "diverged", **given: Any) -> CellFolder:
        """Write a cell that ended without a result."""
        cell = self.cell(method, seed, **given)
        folder = self.folder(cell)
        reason = given.get("reason", "the loss is not finite")
        record = {"cell": cell, "protocol": self.protocol(cell), "status": status, "reason": reason, "iteration": 17}
        folder.fail({**record, "terms": {"ce": None}, "traceback": ""})
        return folder

    def plan(self, more: Sequence[Record] = (), skipped: Sequence[Record] = (), leave_out: Sequence[str] = ()) -> None:
        """Write plan.json: the cells written so far and others without a folder."""
        entries = [
            {"id": cell["id"], "cell": cell, "state": "skipped" if cell in skipped else "planned", "reason": None}
            for cell in (*self.cells.values(), *more, *skipped)
            if cell["id"] not in leave_out
        ]
        for entry in entries:
            if entry["state"] == "skipped":
                entry["reason"] = "the student has no embedding"
        record = {"schema": STORE_SCHEMA, "name": "quick", "command": "python -m bench run quick", "no_baseline": False}
        write_json(self.run.path / "plan.json", {**record, "cells": entries})


def metrics(miou: float | None) -> Record:
    """Return scores around one mIoU."""
    if miou is None:
        return {"miou": None, "macc": None, "pixel_accuracy": None, "iou": {}, "acc": {}, "n_classes_scored": 0}
    return {
        "miou": miou,
        "macc": miou + 0.05,
        "pixel_accuracy": miou + 0.2,
        "iou": {"background": miou, "0": miou, "1": None},
        "acc": {"background": miou + 0.05, "0": miou + 0.05, "1": None},
        "n_classes_scored": 2,
    }


def efficiency(params: int, fps: float, device: str = "cpu: test, 2 threads") -> Record:
    """Return an efficiency record."""
    return {
        "params": params,
        "macs": 160 * params,
        "flops": 320 * params,
        "latency_ms_p50": 1000 / fps,
        "latency_ms_p90": 1100 / fps,
        "fps": fps,
        "peak_mem_mib": None,
        "input_size": [64, 64],
        "batch_size": 1,
        "precision": "32-true",
        "device": device,
    }
