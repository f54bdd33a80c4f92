"""Datasets of image and label files: how they are checked, and what is told before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.data.base import Samples, SegmentationData
from bench.data.facts import Verdict
from bench.data.read.checking import check_samples
from bench.data.read.outlook import outlook


class FileData(SegmentationData):
    """Base class of datasets whose splits are files."""

    def check(self, splits: Mapping[str, Samples]) -> tuple[str, ...]:
        """Read every sample; return what is worth knowing.

        Raises:
            BenchError: all faults together.
        """
        return check_samples(splits, self.locations.cache, self.info, self.shared_allowed)

    def outlook(self, names: Sequence[str]) -> Verdict:
        """Return what a check will tell, as far as that costs little."""
        return outlook(self, names, self.locations.cache)
