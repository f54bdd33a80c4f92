r"""Attention transfer: where the embedding is active.

Zagoruyko, Komodakis, "Paying More Attention to Attention: Improving the Performance of Convolutional Neural Networks
via Attention Transfer", ICLR 2017, arXiv 1612.03928.

.. math:: L = w \frac{1}{N} \sum_n \sum_m (\hat a^s_{nm} - \hat a^t_{nm})^2, \quad
    \hat a_n = \frac{a_n}{\lVert a_n \rVert_2}, \quad a_{nm} = \frac{1}{C} \sum_c f_{ncm}^2

over the positions m. The mean over channels cancels in the norm.

Taps: embedding, of one size; channels may differ. Terms: ``at``. Trainable parts: none. Ignored pixels are distilled
like all others.

Defaults: ``weight = 1.2207``. CIRKD (winycg/CIRKD, losses/at.py, scripts/train_kd/train_at.sh) weighs by 1e4 the
mean over images and positions. The vectors have norm 1 whatever the map, so that mean falls with the number of
positions; ours sums over them. Its crops of 512 x 1024 at stride 8 have 64 x 128 positions: 1e4 / 8192 = 1.2207. A
weight w given for a mean over M positions is w / M here: mmrazor (models/losses/at_loss.py, default 1) and the
authors' code (szagoruyko/attention-transfer, utils.py, 1e3) reduce as CIRKD does. CIRKD's script adds pixel KD of
weight 1: ``at+kd``.

Deviations: the paper takes the norm of the difference without the square, with a factor of one half, at several layers;
all codes take squares. One layer, the embedding, is compared, as in CIRKD.
"""

from __future__ import annotations

from torch import Tensor

from bench.method import (
    EVERY_TASK,
    Batch,
    Method,
    NonNegative,
    Outputs,
    Pair,
    Step,
    attention_map,
    methods,
    require_same_size,
    tap_of,
)

CIRKD_POSITIONS = 64 * 128


def attention_distance(student_map: Tensor, teacher_map: Tensor) -> Tensor:
    """Return the mean over images of the squared distance of the attention maps.

    Args:
        student_map: N x C x h x w.
        teacher_map: N x C' x h x w; no gradient flows into it.

    Returns:
        Scalar in 0..2, float32 or wider.
    """
    return (attention_map(student_map) - attention_map(teacher_map.detach())).square().sum(1).mean()


@methods.register("at")
class AT(Method):
    """Attention transfer of the embedding (Zagoruyko and Komodakis, ICLR 2017, arXiv 1612.03928)."""

    tasks = EVERY_TASK
    taps = ("embedding",)

    def __init__(self, pair: Pair, *, weight: NonNegative = 1e4 / CIRKD_POSITIONS) -> None:
        super().__init__(pair)
        require_same_size(pair, "embedding", "at")
        self.weight = weight

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the term ``at``."""
        distance = attention_distance(tap_of(student, "embedding"), tap_of(teacher, "embedding"))
        return {"at": self.weight * distance}
