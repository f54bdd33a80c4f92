"""The sentences under a leaderboard: what was measured and how it is to be read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pandas as pd

from bench.leaderboard import Board
from bench.matrix.baseline import BASELINE
from bench.report.values import within


def reading_notes(board: Board) -> list[str]:
    """Return how the columns of a board are defined, in plain sentences."""
    done = board.cells[board.cells["state"] == "done"]
    if done.empty:
        return []
    metric = board.metric
    shapes = [" x ".join(str(side) for side in shape) for shape in _distinct(done["input_size"])]
    settings = _distinct(done["setting"])
    notes = [
        f"{metric.header}: mean over n seeds ± the sample standard deviation over them, (n); one seed is shown without "
        "±.",
        *_gain_notes(board),
        *tier_notes(board),
        _counting(board, done),
        f"Params and MACs: the student at inference; 1 MAC (multiply-accumulate) = 2 FLOPs, of one forward pass"
        f"{f' at {_list(shapes)}' if shapes else ''}.",
        f"Cost: training time, each cell as if it had run alone, relative to {BASELINE} on the same seeds and device.",
        *_metric_notes(board),
    ]
    if any(row.peak_mem_rel is not None for row in board.rows):
        notes.append(f"Memory: peak of training, as if each cell had run alone, relative to {BASELINE} on one device.")
    if any(row.published for row in board.shown):
        notes.append(
            f"Published: {metric.header} that papers report for dataset, split, pair and method; in brackets ours "
            "minus it."
        )
    if settings:
        notes.append(f"FPS: images a second on {_list(settings)}.")
    return notes


def _gain_notes(board: Board) -> list[str]:
    if board.watermark:
        return []
    metric = board.metric
    turned = "" if metric.higher_is_better else ", positive where it is lower"
    notes = [
        f"Gain: difference to {BASELINE} on the same seeds{within(metric.difference_name)}{turned}, with its 95 % "
        "Student-t interval over the seeds."
    ]
    if any(row.gain_p is not None for row in board.rows):
        notes.append("p: of the paired t-test of no gain, Holm-adjusted over the methods of this table.")
    if any(row.image_gain_low is not None for row in board.rows):
        notes.append(
            "Over images: 95 % interval of the gain had other images been drawn (paired bootstrap of the split's "
            "images, same trained models); it tells nothing of other seeds."
        )
    return notes


def _counting(board: Board, done: pd.DataFrame) -> str:
    """Return how the scores are counted, with the further numbers of the results."""
    scoring, metric = board.scoring, board.metric
    policy = scoring.policy or metric.meaning.removesuffix(".")
    extras = [told for key, words in scoring.extras.items() if (told := _extra(done, key, words))]
    direction = "" if metric.higher_is_better else "; lower is better"
    return f"How {metric.header} is counted: {policy}{f' ({_list(extras)})' if extras else ''}{direction}."


def _extra(done: pd.DataFrame, key: str, words: str) -> str:
    """Return a further number of the results with its words, such as ``11 of 11 classes scored``."""
    values = sorted({extras[key] for extras in done["extras"] if extras and extras.get(key) is not None})
    n_classes = sorted({len(scores) for scores in done["per_class"] if scores})
    if not values:
        return ""
    told = f"{values[0]:g}" if len(values) == 1 else f"{values[0]:g} to {values[-1]:g}"
    return f"{told} {words.replace('{n_classes}', _list(n_classes) or '0')}"


def _metric_notes(board: Board) -> list[str]:
    """Return what the other metrics of the table are, those that the policy explains left out."""
    shown = [
        metric
        for metric in board.scoring.metrics[1:]
        if "text" in metric.shown_in and any(metric.key in row.metrics for row in board.rows)
    ]
    return [
        f"{metric.header}: {metric.meaning[0].lower()}{metric.meaning[1:].removesuffix('.')}"
        f"{'' if metric.higher_is_better else '; lower is better'}."
        for metric in shown
        if metric.meaning and metric.header not in board.scoring.policy
    ]


def tier_notes(board: Board) -> list[str]:
    """Return how the tiers came about and the smallest gain that the seeds could have shown."""
    notes = [f"Tier: {board.tier_reason}."] if board.tier_reason else []
    found = {row.label: row.detectable for row in board.rows if row.detectable is not None}
    if found:
        ordered = sorted(found, key=lambda label: (found[label], label))
        metric = board.metric
        least, most = (f"{metric.text(found[label])} ({label})" for label in (ordered[0], ordered[-1]))
        told = least if len(found) == 1 else f"{least} to {most}"
        notes.append(
            f"Smallest true gain that these seeds show with 80 % power (paired t-test at 5 %, before adjustment): "
            f"{told} {metric.difference_unit}".rstrip()
            + "."
        )
    return notes


def facts(board: Board) -> list[str]:
    """Return dataset, splits, options and training devices of a board."""
    cells = board.cells
    splits = [
        f"{train} → {test}" for train, test in zip(cells["train_split"], cells["eval_split"], strict=True) if train
    ]
    lines = [
        f"Dataset: {board.dataset}" + (f", train → evaluation split: {_list(_distinct(splits))}" if splits else "")
    ]
    for kind in ("dataset", "teacher", "student"):
        keys = _distinct(cells[f"{kind}_key"])
        record = json.loads(keys[0]) if keys else {}
        options = record.get("options")
        if options:
            lines.append(f"Options of the {kind}: " + ", ".join(f"{key}={value}" for key, value in options.items()))
        if record.get("shared_images") == "allowed":
            lines.append("Images that are in both splits: allowed (shared_images), which may raise scores")
    devices = _distinct(cells["train_device"])
    if devices:
        lines.append(f"Trained on: {_list(devices)}")
    if not board.protocol:
        lines.append("Protocol: not recorded yet")
    return lines


def unfinished(board: Board) -> list[str]:
    """Return one line for each cell without a result: method, seed, state and reason."""
    lines = []
    for cell in board.cells[board.cells["state"] != "done"].to_dict("records"):
        seed = "" if pd.isna(cell["seed"]) else f", seed {cell['seed']:.0f}"
        lines.append(f"{cell['row']}{seed}: {cell['state']}" + (f": {cell['reason']}" if cell["reason"] else ""))
    return lines


def _distinct(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(value for value in values if isinstance(value, tuple) or not pd.isna(value)))


def _list(values: Iterable[Any]) -> str:
    return "; ".join(str(value) for value in values)
