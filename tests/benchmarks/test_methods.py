"""Forward and backward of every method at logits of 2 x 21 x 65 x 65 and an embedding of 2 x 512 x 65 x 65."""

from __future__ import annotations

import pytest
import torch

from bench.method import Batch, Outputs, OutputSpec, Pair, Step, TapSpec
from bench.options import defaults
from bench.registry import discover, methods

discover()
NAMES = [name for name in methods.names() if methods.get(name).builder.__module__.startswith("methods.")]
SPEC = OutputSpec(TapSpec(21, 8), TapSpec(512, 8))


def outputs(seed: int) -> Outputs:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 21, 65, 65, generator=generator)
    return Outputs(logits.requires_grad_(), torch.randn(2, 512, 65, 65, generator=generator).requires_grad_())


@pytest.mark.benchmark(group="methods")
@pytest.mark.parametrize("name", [name for name in NAMES if name != "none"])
def test_forward_and_backward(benchmark, name):
    builder = methods.get(name).builder
    method = builder(Pair(21, 255, SPEC, SPEC), **defaults(builder))
    student, teacher = outputs(0), outputs(1)
    batch = Batch(torch.zeros(2, 3, 520, 520), torch.randint(0, 21, (2, 520, 520)), 255)

    def step() -> None:
        student.logits.grad = None
        sum(method(student, teacher, batch, Step(0, 1, torch.zeros(()))).values()).backward()

    benchmark.pedantic(step, rounds=5, warmup_rounds=1)
    assert torch.isfinite(student.logits.grad).all()
