"""Runs groups one after the other in this process."""

from __future__ import annotations

import functools
import json
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from bench.base import environment
from bench.base.device import find_device, make_fabric
from bench.base.errors import BenchError, Interrupted
from bench.base.files import digest, write_json
from bench.data.base import Samples
from bench.matrix.cell import Cell, ModelSpec, TeacherSpec
from bench.matrix.settings import Settings
from bench.method import Pair
from bench.models.base import SegmentationModel, output_spec
from bench.models.efficiency import measure
from bench.models.weights.published import under_own_names
from bench.models.weights.reading import load_into, read_weights
from bench.plan.build import build_spec
from bench.plan.groups import Group, Plan, PlannedCell
from bench.store.folders import CONFIG, FAILURE, SCHEMA, STUDENT, CellFolder, Record, RunFolder, read_result
from bench.tasks.segmentation.counts import Counts
from bench.tasks.segmentation.task import Segmentation
from bench.train import record as outcome
from bench.train.evaluate import evaluate
from bench.train.events import Ended, GroupBegun, Reporter, Said
from bench.train.lockstep import LockstepGroup, describe_failure
from bench.train.stop import StopRequest
from bench.train.trainee import Setting, Trainee, read_initial_weights

T = TypeVar("T")


@dataclass
class Engine:
    """Trains what a plan asks for.

    Attributes:
        plan: cells, groups and folders.
        settings: device, workers, behaviour.
        reporter: told what happens.
        stop: asked between steps.
        splits: verified samples by split name.
    """

    plan: Plan
    settings: Settings
    reporter: Reporter
    stop: StopRequest
    splits: Mapping[str, Samples]

    def __post_init__(self) -> None:
        self.device = find_device(self.settings.device)
        self.fingerprint = self.plan.data.fingerprint(self.plan.cells[0].cell.dataset.splits)
        info = self.plan.data.info
        self.setting = Setting(
            info,
            self.device,
            functools.partial(make_fabric, self.device),
            lambda spec: read_initial_weights(spec, self.plan.weights),
        )

    def train(self, groups: tuple[Group, ...], run: RunFolder) -> None:
        """Train groups in order.

        Raises:
            Interrupted: a stop was requested; all is checkpointed.
            BenchError: nothing of what follows can work; what is done is kept.
        """
        for group in groups:
            if self.stop.requested:
                raise Interrupted(self.stop.signal_number)
            GroupRun(self, group, run).run()


class GroupRun:
    """One group in this process.

    Args:
        engine: the engine it belongs to.
        group: the group.
        run: the folder of its cells.
    """

    def __init__(self, engine: Engine, group: Group, run: RunFolder) -> None:
        self.engine, self.group, self.run_folder = engine, group, run
        first = group.cells[0].cell
        self.recipe, self.dataset = first.recipe, first.dataset
        self.size = (self.recipe.augment.crop or _image_size(engine.splits[first.dataset.eval_split]))[:2]
        self.workers = engine.settings.workers_for(self.size)
        self.protocol = outcome.protocol(first, engine.plan.data.info, engine.fingerprint)

    def run(self) -> None:
        """Train the group to the end; what goes wrong with its teacher fails those who listen to it."""
        engine = self.engine
        members = [
            planned for planned in self.group.cells if self._guarded(planned.cell, self._open, planned) is not None
        ]
        teacher, teacher_record = None, None
        try:
            teacher, teacher_record = self._teacher()
        except (BenchError, Interrupted):
            raise
        except Exception as error:  # noqa: BLE001 - the baseline and other groups need no such teacher
            for planned in (listener for listener in members if listener.cell.teacher):
                self._fail_at_start(planned.cell, error)
            members = [planned for planned in members if not planned.cell.teacher]
        trainees = [made for item in members if (made := self._guarded(item.cell, self._trainee, item)) is not None]
        if not trainees:
            return
        start = min(trainee.iteration for trainee in trainees)
        engine.reporter.tell(GroupBegun(self.group.name, [t.cell for t in trainees], start, self.recipe.iterations))
        loop = LockstepGroup(
            trainees=trainees,
            setting=engine.setting,
            teacher=teacher,
            train=engine.splits[self.dataset.train_split],
            evaluate=engine.splits[self.dataset.eval_split],
            reporter=engine.reporter,
            stop=engine.stop,
            finish=functools.partial(self._finish, teacher_record),
            failed=self._failed,
            workers=self.workers,
            checkpoint_seconds=engine.settings.checkpoint_seconds,
        )
        loop.run()

    def _guarded(self, cell: Cell, action: Callable[[PlannedCell], T], planned: PlannedCell) -> T | None:
        """Do something for one member; None where that failed, which is recorded and does not stop its companions."""
        try:
            return action(planned)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this member's
            self._fail_at_start(cell, error)
            return None

    def _open(self, planned: PlannedCell) -> CellFolder:
        """Make a member's folder ready; what was there and is not to be used is moved out of the way."""
        engine, cell = self.engine, planned.cell
        folder = self.run_folder.cell(cell.id)
        if planned.state in ("stale", "corrupt") and folder.path.exists():
            moved = folder.set_aside(planned.state)
            engine.reporter.tell(Said(f"{cell.id}: {planned.state} ({planned.reason}); kept as {moved}"))
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.sweep()
        config = {"cell": cell.record(), "protocol": self.protocol, "provenance": self._provenance(planned)}
        write_json(folder.path / CONFIG, {"schema": SCHEMA, **config})
        (folder.path / FAILURE).unlink(missing_ok=True)
        return folder

    def _provenance(self, planned: PlannedCell) -> Record:
        return {**planned.provenance, "dataset": self.engine.fingerprint}

    def _trainee(self, planned: PlannedCell) -> Trainee:
        """Set up one member, where its checkpoint stands if it has one."""
        cell = planned.cell
        student_spec = output_spec(self._meta(cell.student), self.size)
        teacher_spec = output_spec(self._meta(cell.teacher), self.size) if cell.teacher else student_spec
        planned = replace(planned, provenance=self._provenance(planned))
        info, size = self.engine.setting.info, (self.size[0], self.size[1])
        pair = Pair(info.num_classes, info.ignore_index, student_spec, teacher_spec, size)
        trainee = Trainee(planned, self.run_folder.cell(cell.id), self.engine.setting, pair)
        if note := trainee.load_checkpoint():
            self.engine.reporter.tell(Said(f"{cell.id}: {note}"))
        return trainee

    def _fail_at_start(self, cell: Cell, error: Exception) -> None:
        folder = self.run_folder.cell(cell.id)
        reason = describe_failure(error, folder.path)
        self.engine.reporter.tell(Ended(cell, "failed", reason))
        record = {"cell": cell.record(), "protocol": self.protocol, "status": "failed", "reason": reason}
        details = {"iteration": 0, "terms": {}, "traceback": "".join(traceback.format_exception(error))}
        _try(lambda: folder.fail({**record, **details, "created": outcome.now()}))

    def _meta(self, spec: ModelSpec) -> SegmentationModel:
        return build_spec(spec, self.engine.setting.info.num_classes, device="meta")

    def _teacher(self) -> tuple[SegmentationModel | None, Record | None]:
        spec, engine = self.group.teacher, self.engine
        if spec is None:
            return None, None
        model = build_spec(spec, engine.setting.info.num_classes)
        result: Record = {}
        if spec.weights_sha256:
            path = engine.plan.weights[spec.weights_sha256]
        else:
            folder = self._teacher_folder(spec)
            path, result = folder.path / STUDENT, read_result(folder.path)
        load_into(model, under_own_names(model, read_weights(path)), f"{path} (teacher '{spec.name}')")
        if self.recipe.channels_last:
            model = model.to(memory_format=torch.channels_last)
        model = model.to(engine.device).eval().requires_grad_(False)
        metrics = result.get("metrics") or self._score_given_teacher(spec, model)
        self._require_expected(spec, metrics)
        efficiency = self._efficiency(spec)
        return model, {"name": spec.name, "key": spec.key, "metrics": metrics, "efficiency": efficiency}

    def _require_expected(self, spec: TeacherSpec, metrics: Record) -> None:
        """Stop where a teacher is not what it is said to be: what learns from it would be worth nothing."""
        expected, score = self.engine.plan.expected.get(spec.key), metrics["miou"]
        if expected is None or (score is not None and abs(100 * score - expected.miou) <= expected.tolerance):
            return
        shown = "no" if score is None else f"{100 * score:.2f}"
        raise BenchError(
            f"teacher '{spec.name}' has {shown} mIoU on {self.dataset.name} {self.dataset.eval_split}, "
            f"{expected.miou:g} within {expected.tolerance:g} is expected. Usual causes: another normalisation of the "
            "images (mean, std, RGB or BGR), another order of the classes, another label encoding. Correct it, or "
            "change 'expected' in the matrix"
        )

    def _teacher_folder(self, spec: TeacherSpec) -> CellFolder:
        for planned in self.engine.plan.teachers:
            if planned.cell.key == spec.key:
                return self.engine.plan.teachers_run.cell(planned.cell.id)
        raise BenchError(f"teacher '{spec.name}' is not among the plan's teachers")

    def _score_given_teacher(self, spec: TeacherSpec, model: SegmentationModel) -> Record:
        """Evaluate a teacher from a weights file, once for each file and protocol."""
        engine = self.engine
        key = digest([spec.key, self.protocol["hash"]], 16)

        def score() -> Record:
            task = Segmentation(engine.setting.info, self.recipe)
            samples = engine.splits[self.dataset.eval_split]
            return evaluate(
                model, samples, task, engine.setting, self.recipe.eval_batch_size, self.workers, engine.stop
            )[1]

        return _remembered(self.run_folder.path / "teachers" / f"{key}.json", score)

    def _efficiency(self, spec: ModelSpec) -> Record:
        """Measure a model once in a run; every cell of the same model then shows the same figures."""
        device, precision = self.engine.device, self.recipe.precision
        settings = [spec.name, spec.options, list(self.size), precision, environment.device_name(device)]

        def take() -> Record:
            model = build_spec(spec, self.engine.setting.info.num_classes)
            return measure(model, self.size, device, precision=precision)

        return _remembered(self.run_folder.path / "efficiency" / f"{digest(settings, 16)}.json", take)

    def _finish(self, teacher: Record | None, trainee: Trainee, counts: Counts, metrics: Record) -> None:
        cell = trainee.cell
        outcome.write_result(
            trainee,
            counts,
            metrics,
            protocol=self.protocol,
            teacher=teacher if cell.teacher else None,
            efficiency=self._efficiency(cell.student),
        )
        self.engine.reporter.tell(Ended(cell, "done"))

    def _failed(self, trainee: Trainee, state: str, reason: str, details: dict[str, Any]) -> None:
        self.engine.reporter.tell(Ended(trainee.cell, state, reason))
        _try(lambda: outcome.write_failure(trainee, state, reason, details, self.protocol))


def _remembered(path: Path, make: Callable[[], Record]) -> Record:
    """Return what a file holds; make it and write it where that is absent or unreadable."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        stored = None
    if isinstance(stored, dict):
        return stored
    record = make()
    write_json(path, record)
    return record


def _try(write: Callable[[], object]) -> None:
    """Write if possible; a full disk must not hide the failure that is being recorded."""
    try:
        write()
    except OSError:
        return


def _image_size(samples: Samples) -> tuple[int, int]:
    height, width = samples[0][1].shape[-2:]
    return int(height), int(width)
