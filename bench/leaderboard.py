"""Cells to tables: one board for each dataset, pair and protocol."""

from __future__ import annotations

import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pandas as pd

from bench.results import Plan, fps_setting, load, read_plan

__all__ = ["BASELINE", "Board", "Plan", "Row", "leaderboard", "load", "read_plan"]

BASELINE = "none"
UNKNOWN = "(unknown)"
NO_BASELINE = "no baseline: gains cannot be told"

Cell = Mapping[Hashable, Any]


@dataclass(frozen=True)
class Row:
    """One line of a board; ratios in 0..1, None where it is not known.

    Attributes:
        label: the method with its non-default hyperparameters, or the teacher's name.
        method: registered name of the method; empty for the teacher.
        hyperparameters: JSON of the method's hyperparameters.
        miou_mean: mean over ``n_seeds`` seeds.
        miou_sd: sample standard deviation, None for a single seed.
        n_seeds: seeds with a score.
        gain_mean: mean difference to ``none`` over the ``n_paired`` seeds that both have.
        gain_sd: sample standard deviation of the differences, None for a single pair.
        n_paired: seeds that this row and ``none`` both have.
        macc: mean class accuracy.
        pixel_accuracy: share of pixels that are right.
        params: parameters of the student.
        macs: multiply-accumulate operations of one forward pass.
        flops: floating-point operations of one forward pass.
        fps: images a second; median over the seeds, None where they were timed in different settings.
        cost_rel: training seconds relative to ``none``, over seeds trained on the same device.
        peak_mem_mib: largest peak memory over the seeds.
        terms: names of the loss terms.
        states: number of cells without a result, by state.
        setting: device, precision and batch size of the FPS measurement.
        notes: footnotes of this row.
    """

    label: str
    method: str = ""
    hyperparameters: str = "{}"
    miou_mean: float | None = None
    miou_sd: float | None = None
    n_seeds: int = 0
    gain_mean: float | None = None
    gain_sd: float | None = None
    n_paired: int = 0
    macc: float | None = None
    pixel_accuracy: float | None = None
    params: float | None = None
    macs: float | None = None
    flops: float | None = None
    fps: float | None = None
    cost_rel: float | None = None
    peak_mem_mib: float | None = None
    terms: tuple[str, ...] = ()
    states: Mapping[str, int] = field(default_factory=dict)
    setting: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Board:
    """One table: all methods of one dataset, pair and protocol.

    Attributes:
        dataset: name of the dataset, with options where two of one name differ.
        teacher: name of the teacher, or None where no cell tells one.
        student: name of the student.
        protocol: protocol hash; empty where no cell has recorded it yet.
        rows: ``none`` first, then by mean mIoU, rows without a score last.
        teacher_row: the teacher's own scores; not ranked.
        watermark: a warning that belongs to the whole table, or None.
        notes: facts on the whole table, such as how other protocols differ.
        cells: the cells behind the rows, as from :func:`load`; ``row`` holds the label of their row.
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

    @property
    def title(self) -> str:
        """Dataset, pair and protocol in one line."""
        pair = f"{self.teacher} → {self.student}" if self.teacher else self.student
        return f"{self.dataset}: {pair}" + (f" (protocol {self.protocol})" if self.protocol else "")

    def footnotes(self) -> list[str]:
        """Return the distinct footnotes of the rows; their marks are their positions, from 1."""
        rows = (*((self.teacher_row,) if self.teacher_row else ()), *self.rows)
        return list(dict.fromkeys(note for row in rows for note in row.notes))

    def frame(self) -> pd.DataFrame:
        """Return the rows, the teacher first, as a DataFrame of raw values."""
        kinds = [("teacher", self.teacher_row)] if self.teacher_row else []
        return pd.DataFrame(
            [{"kind": kind, **asdict(row)} for kind, row in [*kinds, *(("method", r) for r in self.rows)]]
        )


def leaderboard(cells: pd.DataFrame) -> list[Board]:
    """Make one board for each dataset, pair and protocol.

    Cells of a method without teacher join every pair of their student; nothing is averaged over two protocols.

    Args:
        cells: rows as from :func:`load`.

    Returns:
        The boards in the order of their titles. Cells of which nothing is known make a last board of their own.
    """
    placed = _placed(cells)
    boards = []
    keys = ["dataset", "student", "teacher", "protocol", "dataset_key", "student_key", "teacher_key"]
    for _, group in placed.groupby(keys, dropna=False, sort=True):
        boards.append(_board(group))
    boards = [replace(board, notes=(*board.notes, *_other_protocols(board, boards))) for board in boards]
    lost = cells[cells["dataset_key"].isna()]
    if len(lost):
        rows = [Row(str(cell["cell_id"]), states={str(cell["state"]): 1}) for cell in lost.to_dict("records")]
        note = "nothing readable tells which dataset, pair and method these cells belong to"
        frame = lost.assign(row=lost["cell_id"])
        boards.append(Board(UNKNOWN, None, UNKNOWN, "", tuple(rows), None, None, (note,), frame))
    return boards


def _placed(cells: pd.DataFrame) -> pd.DataFrame:
    """Give every cell a protocol and a pair; repeat cells without teacher for each pair of their student."""
    known = cells[cells["dataset_key"].notna()].copy()
    for kind in ("dataset", "student", "teacher"):
        known[kind] = known[f"{kind}_key"].map(_names(known[f"{kind}_key"].dropna().unique()))
    known["protocol"] = _protocols(known)
    where = ["dataset_key", "student_key", "protocol"]
    paired, alone = known[known["teacher_key"].notna()], known[known["teacher_key"].isna()]
    pairs = paired[[*where, "teacher", "teacher_key"]].drop_duplicates()
    alone = alone.drop(columns=["teacher", "teacher_key"]).merge(pairs, on=where, how="left")
    both = pd.concat([paired, alone], ignore_index=True)
    return both.astype(dict.fromkeys(("teacher", "teacher_key"), object))


def _protocols(known: pd.DataFrame) -> list[str]:
    """Return each cell's protocol; one that recorded none goes where its recipe's cells went, if that is one place."""
    columns = ["protocol", "dataset_key", "student_key", "recipe"]
    cells = list(known[columns].itertuples(index=False, name=None))
    found = defaultdict(set)
    for protocol, *alike in cells:
        if protocol:
            found[tuple(alike)].add(protocol)
    return [
        protocol or (next(iter(places)) if len(places := found[tuple(alike)]) == 1 else "")
        for protocol, *alike in cells
    ]


def _names(keys: Iterable[str]) -> dict[str, str]:
    """Return a name to show for each JSON key: the plain name, with what differs where several share it."""
    by_name = defaultdict(list)
    for key in keys:
        by_name[str(json.loads(key)["name"])].append(key)
    shown = {}
    for name, same in by_name.items():
        parts = [dotted(json.loads(key)) for key in same]
        for key, part in zip(same, parts, strict=True):
            apart = [
                f"{path}={_short(value, 24)}"
                for path, value in part.items()
                if any(o.get(path) != value for o in parts)
            ]
            shown[key] = f"{name} ({', '.join(apart) or 'defaults'})" if len(same) > 1 else name
    return shown


def dotted(fields: Any, prefix: str = "") -> dict[str, Any]:
    """Flatten nested dicts to one dict keyed by dotted paths."""
    if not isinstance(fields, dict) or not fields:
        return {prefix.rstrip("."): fields} if prefix else {}
    return {path: leaf for key, value in fields.items() for path, leaf in dotted(value, f"{prefix}{key}.").items()}


def _board(group: pd.DataFrame) -> Board:
    cells = group.to_dict("records")
    by_method = defaultdict(list)
    for cell in cells:
        by_method[(cell["label"], cell["method"], cell["hyperparameters"])].append(cell)
    shared = Counter(label for label, _, _ in by_method)
    seeds = sorted({int(cell["seed"]) for cell in cells})
    baseline: dict[int, Cell] = {}
    for (_, method, _), own in by_method.items():
        if method == BASELINE and not baseline:
            baseline, _ = _by_seed(own)
    rows, labels = [], {}
    for (label, method, hyperparameters), own in by_method.items():
        name = f"{label} {hyperparameters}" if shared[label] > 1 else label
        labels.update({cell["cell_id"]: name for cell in own})
        rows.append(_method_row(Row(name, method, hyperparameters), own, baseline, seeds))
    rows.sort(key=lambda row: (row.miou_mean is None, row.method != BASELINE, -(row.miou_mean or 0), row.label))
    teacher, *methods = _with_settings([_teacher_row(cells), *rows])
    first = cells[0]
    return Board(
        dataset=first["dataset"],
        teacher=None if pd.isna(first["teacher"]) else first["teacher"],
        student=first["student"],
        protocol=first["protocol"],
        rows=tuple(row for row in methods if row),
        teacher_row=teacher,
        watermark=None if any(_has_score(cell) for cell in baseline.values()) else NO_BASELINE,
        notes=(),
        cells=group.assign(row=group["cell_id"].map(labels)),
    )


def _has_score(cell: Cell) -> bool:
    return cell["state"] == "done" and not pd.isna(cell["miou"])


def _by_seed(cells: list[dict[Hashable, Any]]) -> tuple[dict[int, Cell], list[str]]:
    """Pick one finished cell a seed; of several the one that the plan lists, else none of them."""
    found = defaultdict(list)
    for cell in cells:
        if cell["state"] == "done":
            found[int(cell["seed"])].append(cell)
    picked: dict[int, Cell] = {}
    notes = []
    for seed, same in found.items():
        listed = [cell for cell in same if cell["planned"]] if len(same) > 1 else same
        why = "several results of one method and seed, none is picked"
        if len(listed) == 1:
            picked[seed] = listed[0]
            why = f"the plan lists {listed[0]['cell_id']}"
        left_out = [str(cell["cell_id"]) for cell in same if cell is not picked.get(seed)]
        if left_out:
            notes.append(f"seed {seed}: left out {', '.join(left_out)}: {why}")
    return picked, notes


def _method_row(row: Row, cells: list[dict[Hashable, Any]], baseline: Mapping[int, Cell], seeds: list[int]) -> Row:
    done, notes = _by_seed(cells)
    scored = {seed: cell for seed, cell in sorted(done.items()) if _has_score(cell)}
    common = [seed for seed in scored if seed in baseline and _has_score(baseline[seed])]
    gains = [] if row.method == BASELINE else [scored[seed]["miou"] - baseline[seed]["miou"] for seed in common]
    timed = [seed for seed in common if scored[seed]["train_device"] == baseline[seed]["train_device"]]
    settings = {cell["setting"] for cell in scored.values() if cell["setting"]}
    if len(settings) > 1:
        notes.append(f"FPS left out, its seeds were timed in different settings: {'; '.join(sorted(settings))}")
    if any(cell["stale"] for cell in scored.values()):
        notes.append("holds results of other code, versions or data than the run's own")
    if gains and len(gains) < len(scored):
        notes.append(f"gain over n={len(gains)} of {len(scored)}: {BASELINE} has no score on the other seeds")
    values = list(scored.values())
    notes += dict.fromkeys(remark for cell in values for remark in cell["remarks"] or ())
    mious = [cell["miou"] for cell in values]
    return replace(
        row,
        miou_mean=_mean(mious),
        miou_sd=_spread(mious),
        gain_mean=_mean(gains),
        gain_sd=_spread(gains),
        n_seeds=len(scored),
        n_paired=len(gains),
        params=_middle(values, "params"),
        macs=_middle(values, "macs"),
        flops=_middle(values, "flops"),
        macc=_mean(cell["macc"] for cell in values),
        pixel_accuracy=_mean(cell["pixel_accuracy"] for cell in values),
        fps=_middle(values, "fps") if len(settings) == 1 else None,
        setting=settings.pop() if len(settings) == 1 else None,
        cost_rel=_ratio(sum(scored[s]["train_s"] for s in timed), sum(baseline[s]["train_s"] for s in timed)),
        peak_mem_mib=max((cell["peak_mem_mib"] for cell in values if not pd.isna(cell["peak_mem_mib"])), default=None),
        terms=tuple(dict.fromkeys(term for cell in values for term in cell["terms"])),
        states=dict(Counter(str(cell["state"]) for cell in cells if cell["state"] != "done")),
        notes=(*_missing_seeds(cells, scored, seeds), *notes),
    )


def _spread(values: list[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None and not pd.isna(value)]
    return statistics.fmean(known) if known else None


def _middle(cells: list[Cell], name: str) -> float | None:
    known = [cell[name] for cell in cells if not pd.isna(cell[name])]
    return statistics.median(known) if known else None


def _ratio(value: float, base: float) -> float | None:
    ratio = value / base if base else float("nan")
    return None if pd.isna(ratio) else ratio


def _missing_seeds(cells: list[dict[Hashable, Any]], scored: Mapping[int, Cell], seeds: list[int]) -> list[str]:
    """Say why a mean is over fewer seeds than the board has."""
    missing = [seed for seed in seeds if seed not in scored]
    if not missing or not scored:
        return []
    states: dict[int, str] = {int(cell["seed"]): str(cell["state"]) for cell in cells}
    words = {"done": "done without a score that counts"}
    parts = [f"seed {seed} {words.get(states.get(seed, ''), states.get(seed, 'not run'))}" for seed in missing]
    more = f", and {len(parts) - 6} more" if len(parts) > 6 else ""
    return [f"n={len(scored)} of {len(seeds)}: {', '.join(parts[:6])}{more}"]


def _teacher_row(cells: list[dict[Hashable, Any]]) -> Row | None:
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
        params=efficiency.get("params"),
        macs=efficiency.get("macs"),
        flops=efficiency.get("flops"),
        fps=efficiency.get("fps"),
        peak_mem_mib=efficiency.get("peak_mem_mib"),
        setting=fps_setting(efficiency),
    )


def _with_settings(rows: list[Row | None]) -> list[Row | None]:
    """Label every FPS value where the rows were timed in different settings."""
    if len({row.setting for row in rows if row and row.setting}) < 2:
        return rows
    return [
        replace(row, notes=(*row.notes, f"FPS on {row.setting}: compare only with rows of the same note"))
        if row and row.setting
        else row
        for row in rows
    ]


def _other_protocols(board: Board, boards: list[Board]) -> list[str]:
    """Name the fields in which the dataset's other protocols differ from this board's."""
    notes = []
    mine = _fields(board)
    others = {other.protocol: other for other in boards if other.dataset == board.dataset and other.protocol}
    for other in others.values():
        if not board.protocol or other.protocol == board.protocol:
            continue
        theirs = _fields(other)
        paths = sorted(path for path in mine.keys() | theirs.keys() if mine.get(path) != theirs.get(path))
        told = [f"{path}: {_short(mine.get(path))} here, {_short(theirs.get(path))} there" for path in paths[:20]]
        more = [f"{len(paths) - 20} more fields"] if len(paths) > 20 else []
        why = "; ".join(told + more) or "the fields were not recorded"
        notes.append(f"not comparable with protocol {other.protocol}: {why}")
    return notes


def _fields(board: Board) -> dict[str, Any]:
    recorded = [fields for fields in board.cells["protocol_fields"] if fields]
    return dotted(recorded[0]) if recorded else {}


def _short(value: Any, limit: int = 80) -> str:
    text = "(not set)" if value is None else str(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
