"""Arms of chosen scores that no folder holds, for tests that need thousands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.base.files import canonical
from bench.leaderboard.arms import Arm, Arms, Conditions, Identity, Trial
from bench.tasks.metric import Scoring
from bench.tasks.segmentation.scores import SCORING


def fabricated(
    scores: Mapping[str, Sequence[float]], first: int = 0, scoring: Scoring = SCORING, dataset: str = "data"
) -> Arms:
    """Return an arm for each label.

    Args:
        scores: the primary metric of each seed, by label.
        first: the first seed.
        scoring: of the task.
        dataset: its name.
    """

    def arm(label: str, values: Sequence[float]) -> Arm:
        parts = [canonical({"name": name}) for name in (dataset, "big", "small", label)]
        key = scoring.primary.key
        trials = {
            seed: Trial(f"{label}{seed}", "done", metrics={key: float(value)})
            for seed, value in enumerate(values, first)
        }
        return Arm(Identity(*parts, label), Conditions("p", "{}"), trials, scoring)

    return Arms(tuple(arm(label, values) for label, values in scores.items()))
