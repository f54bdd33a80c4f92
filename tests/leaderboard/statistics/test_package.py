from __future__ import annotations

import statistics

import bench.leaderboard.statistics as own


def test_the_standard_librarys_module_of_the_same_name_stays_in_reach() -> None:
    assert statistics is not own
    assert statistics.fmean([1, 2]) == 1.5


def test_everything_named_is_there() -> None:
    assert sorted(own.__all__) == own.__all__
    assert all(hasattr(own, name) for name in own.__all__)
