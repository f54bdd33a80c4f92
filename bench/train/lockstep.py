"""The lockstep loop: one batch, one teacher forward, then each cell's own step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from bench.base.errors import BenchError, Interrupted
from bench.data.base import TargetSamples
from bench.data.feed.loader import BatchOrder, train_loader
from bench.data.feed.transforms import build_train_transform
from bench.method import TaskOutputs
from bench.models.base import Model
from bench.tasks.base import Stacked
from bench.tasks.metric import Evidence
from bench.train.batches import Views, to_batch
from bench.train.checkpoint import save_checkpoint
from bench.train.events import Reporter, Scored, Stepped, TermsRead
from bench.train.integrity import Integrity, Tainted
from bench.train.memory import tensor_bytes
from bench.train.reason import ending
from bench.train.score import score
from bench.train.setting import Setting
from bench.train.shared import FrozenTeacher, Shared
from bench.train.stop import StopRequest
from bench.train.trainee import Trainee


@dataclass
class LockstepGroup:
    """One group in training.

    Attributes:
        trainees: the members, some perhaps resumed further than others.
        teacher: frozen, in evaluation mode; None where no member listens to one.
        train: training split.
        evaluate: evaluation split.
        setting: what the members share.
        reporter: told what happens.
        stop: asked after every iteration.
        finish: called with each trainee that reached the end and its final evidence and scores.
        failed: called with each trainee that ended without a result, its state, reason and details.
        workers: processes that load data.
        checkpoint_seconds: seconds of training between two checkpoints.
        closely: look after each member whether it changed what all share, in place of once an iteration.
        alive: members that neither ended nor failed.
    """

    trainees: list[Trainee]
    setting: Setting
    teacher: Model | None
    train: TargetSamples[Any]
    evaluate: TargetSamples[Any]
    reporter: Reporter
    stop: StopRequest
    finish: Callable[[Trainee, Evidence, dict[str, Any]], None]
    failed: Callable[[Trainee, str, str, dict[str, Any]], None]
    workers: int = 0
    checkpoint_seconds: float = 20.0
    closely: bool = False
    alive: list[Trainee] = field(init=False)

    def __post_init__(self) -> None:
        self.alive = list(self.trainees)
        self.recipe, self.task = self.trainees[0].recipe, self.trainees[0].task
        taps = frozenset(tap for trainee in self.trainees for tap in trainee.method.taps)
        self._frozen = FrozenTeacher(self.teacher, taps, self.setting.device, self.recipe.precision)
        for trainee in self.trainees:
            if self.teacher is not None and trainee.method.needs_teacher:
                trainee.teacher_bytes = tensor_bytes(self.teacher.state_dict().values())
        self._last_checkpoint = time.monotonic()
        self._listening: list[Trainee] = []
        self._integrity = Integrity(self._frozen, self.trainees, self.setting.device, closely=self.closely)

    def guarded(self, trainee: Trainee, action: Callable[[Trainee], object]) -> None:
        """Do something for one member; whatever goes wrong ends that member alone."""
        try:
            action(trainee)
        except BaseException as error:
            if self.stop.is_asked_by(error):
                raise
            self._drop(trainee, error)

    def _drop(self, trainee: Trainee, error: BaseException) -> None:
        self.alive.remove(trainee)
        self.failed(trainee, *ending(trainee, error))
        if isinstance(error, torch.OutOfMemoryError):
            torch.cuda.empty_cache()

    def run(self) -> None:
        """Train to the end, or until a stop is requested.

        Raises:
            Interrupted: a stop was requested; every member is checkpointed.
            BenchError: a sample could not be read; every member is checkpointed.
            Tainted: what the members share was changed; nothing of it is in a checkpoint or a result.
        """
        try:
            self._train()
        except Tainted:
            raise
        except BenchError:
            self._checkpoint_all()
            raise
        except BaseException as error:  # the loader failed: this group ends, others go on
            # a signal to the whole process group ends the loader's workers as well, which torch reports as a fault
            if self.stop.requested:
                self._checkpoint_all()
                raise Interrupted(self.stop.signal_number) from None
            if self.stop.is_asked_by(error):
                raise
            for trainee in list(self.alive):
                self._drop(trainee, error)

    def _train(self) -> None:
        start = min((trainee.iteration for trainee in self.alive), default=self.recipe.iterations)
        self._score_what_a_stop_left_out()
        for iteration, (images, target) in enumerate(self._batches(start), start):
            self._iterate(iteration, images, target)
            if not self.alive:
                self._integrity.require(self.alive)
                return
            if self.stop.requested and iteration + 1 < self.recipe.iterations:
                raise Interrupted(self.stop.signal_number)
        for trainee in list(self.alive):
            self.guarded(trainee, self._conclude)

    def _score_what_a_stop_left_out(self) -> None:
        """Take the scores of members that were stopped while they were scored on the way."""
        for trainee in list(self.alive):
            done = trainee.iteration
            missing = not trainee.evals or trainee.evals[-1]["iteration"] < done
            if missing and done in self.recipe.evaluation_points() and done < self.recipe.iterations:
                self.guarded(trainee, self._score)

    def _batches(self, start: int) -> Iterator[Stacked]:
        seed = self.trainees[0].cell.seed
        order = BatchOrder(len(self.train), self.recipe.batch_size, seed)
        info = self.setting.info
        transform = build_train_transform(self.recipe.augment, info, self.task.fills(info))
        yield from train_loader(
            self.train,
            transform,
            self.task.collate,
            order,
            seed=seed,
            start_iteration=start,
            iterations=self.recipe.iterations,
            workers=self.workers,
            pin_memory=self.setting.device.type == "cuda",
            augment_on=self.setting.device if self.setting.device.type == "cuda" else None,
        )

    def _iterate(self, iteration: int, images: Tensor, target: Any) -> None:
        live = [trainee for trainee in self.alive if trainee.iteration <= iteration]
        if len(live) > len(self._listening):
            self._settle()
        self._listening = live
        shared = self._share(live, images, target)
        for trainee in live:
            if trainee in self.alive:
                self.guarded(trainee, shared.step)
            if changed := self._integrity.changed(shared):
                if trainee in self.alive:
                    self._drop(trainee, RuntimeError(f"changed {changed}, which its companions share"))
                self._integrity.note(shared)  # what was written may hide what another member wrote uncounted before
                shared = self._share(live, images, target)
        self._integrity.note(shared)
        self._after(iteration + 1)

    def _share(self, live: list[Trainee], images: Tensor, target: Any) -> Shared:
        """Return what the members see; a teacher that fails takes its listeners with it."""
        batch = to_batch(images, target, self.task, self.setting.device)
        views = Views(batch.images, self.setting, self.recipe.channels_last)
        outputs: TaskOutputs | None = None
        try:
            if any(trainee.method.needs_teacher for trainee in live if trainee in self.alive):
                outputs = self._frozen.outputs(views)
                self._integrity.require_steady_teacher()
        except BaseException as error:
            if self.stop.is_asked_by(error):
                raise
            for trainee in live:
                if trainee.method.needs_teacher and trainee in self.alive:
                    self._drop(trainee, error)
        for trainee in live:
            views.of(trainee.student)
        return Shared(batch, views, outputs)

    def _after(self, done: int) -> None:
        recipe = self.recipe
        logged = done % recipe.log_every == 0 or done == recipe.iterations
        scored = done in recipe.evaluation_points()
        due = time.monotonic() - self._last_checkpoint >= self.checkpoint_seconds
        self.reporter.tell(Stepped(done, recipe.iterations))
        if not (logged or scored or due or self.stop.requested):
            return
        self._settle()
        self._integrity.require(self.alive)
        # one that was resumed at this iteration noted all this before its checkpoint was written
        for trainee in [one for one in self._listening if one in self.alive]:
            if logged:
                trainee.log()
                self.reporter.tell(TermsRead(trainee.cell, done, trainee.terms))
            if scored and done < recipe.iterations:
                self.guarded(trainee, self._score)
        if due and done < recipe.iterations:
            self._checkpoint_all()

    def _settle(self) -> None:
        teacher_s = self._frozen.watch.take()
        for trainee in self._listening:
            if trainee.method.needs_teacher:
                trainee.costs.teacher_s += teacher_s
        for trainee in list(self.alive):
            self.guarded(trainee, Trainee.settle)

    def _checkpoint_all(self) -> None:
        self._settle()
        if self._integrity.is_tainted():  # what was written before is whole, and the same happens again from there
            return
        for trainee in list(self.alive):
            self.guarded(trainee, save_checkpoint)
        self._last_checkpoint = time.monotonic()

    def _score(self, trainee: Trainee) -> tuple[Evidence, dict[str, Any]]:
        evidence, metrics = score(trainee, self.evaluate, self.workers, self.stop)
        metric = self.task.scoring.primary
        self.reporter.tell(Scored(trainee.cell, trainee.iteration, metric, metrics[metric.key]))
        return evidence, metrics

    def _conclude(self, trainee: Trainee) -> None:
        trainee.settle()
        trainee.require_finite_weights()
        counts, metrics = self._score(trainee)
        self.finish(trainee, counts, metrics)
        self.alive.remove(trainee)
