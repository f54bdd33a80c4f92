"""Forward and backward of every method at logits of 2 x 21 x 65 x 65 and an embedding of 2 x 512 x 65 x 65."""

from __future__ import annotations

import pytest
import torch

from tests.benchmarks.kernels import NAMES, kernel, outputs, peak_mib
from tests.benchmarks.memory import PeakMemory

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.benchmark(group="methods")
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NAMES)
def test_forward_and_backward(benchmark, name, device):
    step = kernel(name, device)
    benchmark.extra_info["peak_mib"] = peak_mib(step, device)
    benchmark.pedantic(step, rounds=3)
    assert 0 < benchmark.extra_info["peak_mib"] < 2500


def test_the_sizes_are_those_of_the_table():
    found = outputs(0)
    assert found.logits.shape == (2, 21, 65, 65)
    assert found.embedding.shape == (2, 512, 65, 65)


def test_peak_memory_counts_what_is_alive_at_one_time_and_forgets_what_is_freed():
    with PeakMemory() as memory:
        for _ in range(4):
            one = torch.ones(2**18)  # 1 MiB, freed when the next is bound
        two = torch.cat([one, one])
        view = two[: 2**18]
        view += 1
    assert memory.peak_mib == pytest.approx(3)
    del one, two, view
    assert memory.live == 0
