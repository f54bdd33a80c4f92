"""Runs groups one after the other in this process."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from bench.base.device import find_device, make_fabric
from bench.base.errors import BenchError, Interrupted
from bench.base.files import storing, write_json
from bench.data.base import TargetSamples
from bench.matrix.cell import Cell, ModelSpec, TeacherSpec
from bench.matrix.settings import Settings
from bench.method import Specs
from bench.models.base import Model, output_spec
from bench.plan.build import build_spec
from bench.plan.groups import Group, Plan, PlannedCell
from bench.plan.support import image_size, pair_of
from bench.store.folders import CONFIG, FAILURE, STORE_SCHEMA, CellFolder, Record, RunFolder
from bench.tasks.metric import Evidence
from bench.train import record as outcome
from bench.train.checkpoint import resumed
from bench.train.costs import ModelCosts
from bench.train.evaluate import evaluate
from bench.train.events import Ended, GroupBegun, Reporter, Said
from bench.train.integrity import Tainted
from bench.train.lockstep import LockstepGroup
from bench.train.reason import describe_failure
from bench.train.setting import Setting, read_initial_weights
from bench.train.stop import StopRequest
from bench.train.teacher import TeacherSource, UnexpectedScore, require_expected
from bench.train.trainee import Trainee

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
    splits: Mapping[str, TargetSamples[Any]]

    def __post_init__(self) -> None:
        self.device = find_device(self.settings.device)
        self.fingerprint = self.plan.data.fingerprint(self.plan.cells[0].cell.dataset.splits)
        info = self.plan.data.info
        self.setting = Setting(
            info,
            self.plan.task,
            self.device,
            functools.partial(make_fabric, self.device),
            lambda spec: read_initial_weights(spec, self.plan.weights),
        )

    def train(self, groups: tuple[Group, ...], run: RunFolder) -> None:
        """Train groups in order.

        Raises:
            Interrupted: a stop was requested; all is checkpointed.
            BenchError: a sample could not be read; what is done is kept.
        """
        for group in groups:
            if self.stop.requested:
                raise Interrupted(self.stop.signal_number)
            GroupRun(self, group, run).run()

    def require_teachers(self, *, trained: bool) -> None:
        """Look at teachers before anybody learns from one: those of weights files, or those that were trained here.

        Args:
            trained: whether they were trained here; of these only such as have to reach a score are looked at.

        Raises:
            BenchError: a file does not fit, or a teacher is not what it is said to be; the request is mistaken.
            Interrupted: a stop was requested.
        """
        groups = {group.teacher.key: group for group in reversed(self.plan.groups) if group.teacher is not None}
        for key, group in groups.items():
            spec = group.teacher
            if spec is not None and bool(spec.trained_by) == trained and (key in self.plan.expected or not trained):
                GroupRun(self, group, self.plan.run).require_teacher(spec)


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
        self.size = self.recipe.augment.crop or image_size(engine.splits[first.dataset.eval_split])
        self.workers = engine.settings.workers_for(self.size)
        self.protocol = outcome.protocol(first, engine.plan.data.info, engine.plan.task, engine.fingerprint)
        self.costs = ModelCosts(run.path, engine.setting, self.recipe.precision, self.size)

    def run(self) -> None:
        """Train the group to the end; what goes wrong with its teacher fails those who listen to it."""
        engine = self.engine
        members = [
            planned for planned in self.group.cells if self._guarded(planned.cell, self._open, planned) is not None
        ]
        closely = False
        while True:
            teacher, teacher_record, members = self._with_teacher(members)
            trainees = [made for item in members if (made := self._guarded(item.cell, self._trainee, item)) is not None]
            if not trainees:
                return
            start = min(trainee.iteration for trainee in trainees)
            engine.reporter.tell(GroupBegun(self.group.name, [t.cell for t in trainees], start, self.recipe.iterations))
            try:
                self._loop(trainees, teacher, teacher_record, closely).run()
                return
            except Tainted as error:
                engine.reporter.tell(Said(f"{error}: back to the last checkpoints, to find who did it"))
                members, closely = [trainee.planned for trainee in error.members], True
                for trainee in error.members:  # some failed because of it
                    (trainee.folder.path / FAILURE).unlink(missing_ok=True)

    def _with_teacher(self, members: list[PlannedCell]) -> tuple[Model | None, Record | None, list[PlannedCell]]:
        """Return the teacher, what results tell of it, and who can train: without it, its listeners fail."""
        if self.group.teacher is None:
            return None, None, members
        try:
            return *self._load_teacher(self.group.teacher), members
        except BaseException as error:
            if self.engine.stop.is_asked_by(error) or isinstance(error, UnexpectedScore):
                raise
            for planned in (listener for listener in members if listener.cell.teacher):
                self._fail_at_start(planned.cell, error)
            return None, None, [planned for planned in members if not planned.cell.teacher]

    def _loop(
        self, trainees: list[Trainee], teacher: Model | None, teacher_record: Record | None, closely: bool
    ) -> LockstepGroup:
        engine = self.engine
        return LockstepGroup(
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
            closely=closely,
        )

    def _guarded(self, cell: Cell, action: Callable[[PlannedCell], T], planned: PlannedCell) -> T | None:
        """Do something for one member; None where that failed, which is recorded and does not stop its companions."""
        try:
            return action(planned)
        except BaseException as error:
            if self.engine.stop.is_asked_by(error):
                raise
            self._fail_at_start(cell, error)
            return None

    def _open(self, planned: PlannedCell) -> CellFolder:
        """Make a member's folder ready; what was there and is not to be used is moved out of the way."""
        folder = self.run_folder.cell(planned.cell.id)
        with storing(folder.path):
            self._make_ready(folder, planned)
        return folder

    def _make_ready(self, folder: CellFolder, planned: PlannedCell) -> None:
        engine, cell = self.engine, planned.cell
        if planned.state in ("stale", "corrupt") and folder.path.exists():
            moved = folder.set_aside(planned.state)
            engine.reporter.tell(Said(f"{cell.id}: {planned.state} ({planned.reason}); kept as {moved}"))
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.sweep()
        config = {"cell": cell.record(), "protocol": self.protocol, "provenance": self._provenance(planned)}
        write_json(folder.path / CONFIG, {"schema": STORE_SCHEMA, **config})
        (folder.path / FAILURE).unlink(missing_ok=True)

    def _provenance(self, planned: PlannedCell) -> Record:
        return {**planned.provenance, "dataset": self.engine.fingerprint}

    def _trainee(self, planned: PlannedCell) -> Trainee:
        """Set up one member, where its checkpoint stands if it has one."""
        cell = planned.cell
        student = self._outputs(cell.student)
        teacher = self._outputs(cell.teacher) if cell.teacher else student
        planned = replace(planned, provenance=self._provenance(planned))
        pair = pair_of(self.engine.plan.data, student, teacher, self.size)
        folder = self.run_folder.cell(cell.id)
        return resumed(
            lambda: Trainee(planned, folder, self.engine.setting, pair),
            lambda note: self.engine.reporter.tell(Said(f"{cell.id}: {note}")),
        )

    def _outputs(self, spec: ModelSpec) -> Specs:
        return output_spec(build_spec(spec, self.engine.setting.channels, device="meta"), self.size)

    def require_teacher(self, spec: TeacherSpec) -> None:
        """Load and score a teacher, whose scores are kept; what is no mistake in the request shows again later.

        Raises:
            BenchError: its file does not fit, or it is not what it is said to be.
            Interrupted: a stop was requested.
        """
        try:
            self._load_teacher(spec)
        except BaseException as error:
            mistake = BenchError if spec.weights_sha256 else UnexpectedScore
            if isinstance(error, mistake) or self.engine.stop.is_asked_by(error):
                raise

    def _load_teacher(self, spec: TeacherSpec) -> tuple[Model, Record]:
        """Return the frozen teacher, and what results tell of it."""
        engine = self.engine
        trained = TeacherSource(engine.plan, self.run_folder, self.protocol["hash"])
        model, metrics = trained.load(spec, engine.setting, self.recipe, self._score)
        require_expected(engine.plan, spec, metrics, f"{self.dataset.name} {self.dataset.eval_split}")
        return model, {"name": spec.name, "key": spec.key, "metrics": metrics, "efficiency": self.costs.of(spec)}

    def _score(self, model: Model) -> Record:
        engine = self.engine
        task, samples = engine.plan.task(engine.setting.info, self.recipe), engine.splits[self.dataset.eval_split]
        batch_size = self.recipe.eval_batch_size
        return evaluate(model, samples, task, engine.setting, batch_size, self.workers, engine.stop)[1]

    def _fail_at_start(self, cell: Cell, error: BaseException) -> None:
        folder = self.run_folder.cell(cell.id)
        reason = describe_failure(error)
        self.engine.reporter.tell(Ended(cell, "failed", reason))
        record = {"cell": cell.record(), "protocol": self.protocol, "status": "failed", "reason": reason}
        details = {"iteration": 0, "terms": {}, "traceback": "".join(traceback.format_exception(error))}
        _try(lambda: folder.fail({**record, **details, "created": outcome.now()}))

    def _finish(self, teacher: Record | None, trainee: Trainee, evidence: Evidence, metrics: Record) -> None:
        cell = trainee.cell
        efficiency = self.costs.of(cell.student)
        with storing(trainee.folder.path):
            outcome.write_result(
                trainee,
                evidence,
                metrics,
                protocol=self.protocol,
                teacher=teacher if cell.teacher else None,
                efficiency=efficiency,
            )
        self.engine.reporter.tell(Ended(cell, "done"))

    def _failed(self, trainee: Trainee, state: str, reason: str, details: dict[str, Any]) -> None:
        self.engine.reporter.tell(Ended(trainee.cell, state, reason))
        _try(lambda: outcome.write_failure(trainee, state, reason, details, self.protocol))


def _try(write: Callable[[], object]) -> None:
    """Write if possible; a full disk must not hide the failure that is being recorded."""
    try:
        write()
    except OSError:
        return
