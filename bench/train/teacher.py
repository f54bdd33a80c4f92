"""The frozen teacher of a group: loaded, scored, and held against what it is said to reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from bench.base.errors import BenchError
from bench.base.files import digest
from bench.matrix.cell import TeacherSpec
from bench.matrix.recipe import Recipe
from bench.models.base import Model
from bench.models.weights.published import under_own_names
from bench.models.weights.reading import load_into, read_weights
from bench.plan.build import build_spec
from bench.plan.plan import Plan
from bench.store.folders import STUDENT, CellFolder, Record, RunFolder, read_result, remembered
from bench.train.setting import Setting


@dataclass(frozen=True)
class TeacherSource:
    """Finds the weights and the scores of a plan's teachers.

    Attributes:
        plan: where weights files and trained teachers are.
        run: folder of the run, which keeps scores of weights files.
        protocol: hash of how they are scored.
    """

    plan: Plan
    run: RunFolder
    protocol: str

    def load(
        self, spec: TeacherSpec, setting: Setting, recipe: Recipe, score: Callable[[Model], Record]
    ) -> tuple[Model, Record]:
        """Return a teacher on the training device, frozen and in evaluation mode, and its metrics.

        Args:
            spec: the teacher.
            setting: dataset and device.
            recipe: tells the memory format.
            score: evaluates a model; called once for each weights file and protocol.

        Raises:
            BenchError: the weights do not fit.
        """
        model = build_spec(spec, setting.channels)
        path, result = self.plan.weights.get(spec.weights_sha256 or ""), Record()
        if path is None:
            folder = self._trained(spec)
            path, result = folder.path / STUDENT, read_result(folder.path)
        load_into(model, under_own_names(model, read_weights(path)), f"{path} (teacher '{spec.name}')")
        if recipe.channels_last:
            model = model.to(memory_format=torch.channels_last)
        model = model.to(setting.device).eval().requires_grad_(False)
        kept = self.run.path / "teachers" / f"{digest([spec.key, self.protocol], 16)}.json"
        return model, result.get("metrics") or remembered(kept, lambda: score(model))

    def _trained(self, spec: TeacherSpec) -> CellFolder:
        """Return the folder of a teacher that was trained here.

        Raises:
            BenchError: it has no result, with the reason.
        """
        for planned in (one for one in self.plan.teachers if one.cell.key == spec.key):
            folder = self.plan.teachers_run.cell(planned.cell.id)
            state, record = folder.state()
            if planned.state == "corrupt" and state == "done":  # its weights, which are looked at for teachers alone
                state, record = planned.state, {"reason": planned.reason}
            if state == "done":
                return folder
            why = record.get("reason") or "see its folder under teachers/"
            raise BenchError(f"its teacher '{spec.name}' {state}: {why}")
        raise BenchError(f"teacher '{spec.name}' is not among the plan's teachers")


class UnexpectedScore(BenchError):  # noqa: N818 - a verdict on a teacher
    """A teacher is not what it is said to be, which stops the run: what learns from it would be worth nothing."""


def require_expected(plan: Plan, spec: TeacherSpec, metrics: Record, split: str) -> None:
    """Stop where a teacher is not what it is said to be.

    Args:
        plan: knows the scores that teachers must have.
        spec: the teacher.
        metrics: its scores.
        split: dataset and split, for messages.

    Raises:
        UnexpectedScore: a score is missing or too far off.
    """
    expected = plan.expected.get(spec.key)
    for key, wanted in (expected.scores if expected else {}).items():
        metric, score = plan.task.scoring.metric(key), metrics.get(key)
        assert metric is not None, key
        assert expected is not None
        if score is not None and abs(metric.scale * score - wanted) <= expected.tolerance:
            continue
        raise UnexpectedScore(
            f"teacher '{spec.name}' has {metric.text(score) or 'no'} {metric.header} on {split}, "
            f"{wanted:g} within {expected.tolerance:g} is expected. Usual causes: another normalisation of the "
            "images (mean, std, RGB or BGR), another order of the classes, another label encoding. Correct it, or "
            "change 'expected' in the matrix"
        )
