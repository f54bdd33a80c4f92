"""One table across the pairs of a dataset: how far a method's gain carries from one pair to the next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from bench.leaderboard.rows import CONFIDENCE, Board, Row
from bench.leaderboard.statistics import mean_over_seeds
from bench.matrix.baseline import BASELINE
from bench.tasks.metric import Metric


@dataclass(frozen=True)
class AcrossRow:
    """A method over the pairs; gains as stored, None where a pair has no score of it.

    Attributes:
        label: the method with its non-default hyperparameters.
        method: registered name.
        rows: its row on each pair's board.
        gain_mean: mean over the pairs of the gain, each a mean over seeds.
        gain_low: lower end of the 95 % Student-t interval over the pairs; None for fewer than two.
        gain_high: upper end of it.
        n_pairs: pairs with a gain.
    """

    label: str
    method: str
    rows: tuple[Row | None, ...]
    gain_mean: float | None
    gain_low: float | None
    gain_high: float | None
    n_pairs: int


@dataclass(frozen=True)
class AcrossBoard:
    """The boards of one dataset and protocol side by side.

    Attributes:
        dataset: as on the boards.
        protocol: the hash that all of them share.
        boards: one a pair, in the order of the columns.
        rows: ``none`` first, then methods with a gain on every pair by their mean gain, then the others.
    """

    dataset: str
    protocol: str
    boards: tuple[Board, ...]
    rows: tuple[AcrossRow, ...]

    @property
    def metric(self) -> Metric:
        """The metric in which gains are told, that of all boards: one dataset has one task."""
        return self.boards[0].metric

    @property
    def title(self) -> str:
        """Dataset, number of pairs and protocol in one line."""
        return f"{self.dataset}: {len(self.boards)} pairs (protocol {self.protocol})"


def across_pairs(boards: Sequence[Board]) -> list[AcrossBoard]:
    """Put the boards of one dataset and protocol side by side, where there are at least two pairs.

    A protocol holds everything that may move a score but the pair, the method and the seed, so that boards of one hash
    differ in the pair alone.
    """
    alike = defaultdict(list)
    for board in boards:
        if board.protocol:
            alike[board.dataset, board.protocol].append(board)
    return [_across(dataset, protocol, found) for (dataset, protocol), found in alike.items() if len(found) > 1]


def _across(dataset: str, protocol: str, boards: list[Board]) -> AcrossBoard:
    of_method: dict[tuple[str, str], dict[int, Row]] = defaultdict(dict)
    for position, board in enumerate(boards):
        for row in board.rows:
            of_method[row.method, row.hyperparameters][position] = row
    rows = [_row(found, len(boards)) for found in of_method.values()]
    rows.sort(key=lambda row: (row.method != BASELINE, -row.n_pairs, -(row.gain_mean or 0.0), row.label))
    return AcrossBoard(dataset, protocol, tuple(boards), tuple(rows))


def _row(found: dict[int, Row], n_boards: int) -> AcrossRow:
    first = next(iter(found.values()))
    over_pairs = mean_over_seeds({position: row.gain_mean for position, row in found.items()}, CONFIDENCE)
    ends = over_pairs.interval
    return AcrossRow(
        first.label,
        first.method,
        tuple(found.get(position) for position in range(n_boards)),
        over_pairs.mean,
        ends.low if ends else None,
        ends.high if ends else None,
        over_pairs.n,
    )
