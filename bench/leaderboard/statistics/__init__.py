"""Statistics of the leaderboard: intervals, tests, tie tiers and the gate; numbers only, no words for tables."""

from bench.leaderboard.statistics.bootstrap import (
    ImageInterval,
    Resampled,
    Resamples,
    image_difference,
    image_interval,
    resampled,
)
from bench.leaderboard.statistics.floor import Floor, own_spread, typical_spread
from bench.leaderboard.statistics.gate import Judgement, Verdict, judge, judge_together
from bench.leaderboard.statistics.multiple import holm
from bench.leaderboard.statistics.power import detectable_difference, t_test_power
from bench.leaderboard.statistics.reasons import Reason
from bench.leaderboard.statistics.seeds import (
    Difference,
    Interval,
    Scores,
    SeedMean,
    mean_over_seeds,
    paired_difference,
    welch_difference,
)
from bench.leaderboard.statistics.tiers import Comparison, Placing, Tiers, tie_tiers

__all__ = [
    "Comparison",
    "Difference",
    "Floor",
    "ImageInterval",
    "Interval",
    "Judgement",
    "Placing",
    "Reason",
    "Resampled",
    "Resamples",
    "Scores",
    "SeedMean",
    "Tiers",
    "Verdict",
    "detectable_difference",
    "holm",
    "image_difference",
    "image_interval",
    "judge",
    "judge_together",
    "mean_over_seeds",
    "own_spread",
    "paired_difference",
    "resampled",
    "t_test_power",
    "tie_tiers",
    "typical_spread",
    "welch_difference",
]
