"""One forward and backward of a method at the sizes of a 512 x 512 crop at stride 8: what tests and table measure."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from bench.base.registry import discover
from bench.method import Batch, Method, Outputs, OutputSpec, Pair, Step, TapSpec
from bench.method.registry import methods
from tests.benchmarks.memory import PeakMemory

discover()
NAMES = [
    name
    for name in methods.names()
    if methods.get(name).builder.__module__.startswith("bench.methods.") and methods.get(name).builder.needs_teacher
]
SIZE = (520, 520)
CLASSES = 21
SPEC = OutputSpec(TapSpec(CLASSES, 8), TapSpec(512, 8), (TapSpec(128, 4), TapSpec(256, 8), TapSpec(512, 8)))


def outputs(seed: int, device: str = "cpu") -> Outputs:
    """Return logits 2 x 21 x 65 x 65, an embedding 2 x 512 x 65 x 65 and three stages, with gradients."""
    generator = torch.Generator().manual_seed(seed)

    def draw(spec: TapSpec) -> torch.Tensor:
        side = round(SIZE[0] / spec.stride)
        return torch.randn(2, spec.channels, side, side, generator=generator).to(device).requires_grad_()

    assert SPEC.embedding is not None
    return Outputs(draw(SPEC.logits), draw(SPEC.embedding), tuple(draw(spec) for spec in SPEC.stages))


def kernel(name: str, device: str = "cpu") -> Callable[[], None]:
    """Return a step of a method with its defaults: terms, backward, and the adversaries' own losses and backward."""
    torch.manual_seed(0)
    entry = methods.get(name)
    method: Method = entry.builder(Pair(CLASSES, 255, SPEC, SPEC, SIZE), **entry.options.defaults())
    method.to(device).train()
    student, teacher = outputs(0, device), outputs(1, device).detach()
    leaves = [student.logits, student.embedding, *student.stages]
    batch = Batch(
        torch.rand(2, 3, *SIZE, device=device), blocks(torch.Generator().manual_seed(2)).to(device), ignore_index=255
    )
    adversaries = method.adversaries()
    trained = [parameter for adversary in adversaries for parameter in adversary.network.parameters()]

    def step() -> None:
        for leaf in (*leaves, *method.parameters()):
            if leaf is not None:
                leaf.grad = None
        now = Step(5, 10, torch.zeros((), device=device))
        for parameter in trained:
            parameter.requires_grad_(False)
        torch.autograd.backward(list(method(student, teacher, batch, now).values()))
        for parameter in trained:
            parameter.requires_grad_(True)
        for adversary in adversaries:
            torch.autograd.backward(list(adversary.loss(student.detach(), teacher, batch, now).values()))

    return step


def blocks(generator: torch.Generator) -> torch.Tensor:
    """Return labels 2 x 520 x 520 in squares of 40 pixels, one of 22 of them ignored."""
    coarse = torch.randint(0, CLASSES + 1, (2, SIZE[0] // 40, SIZE[1] // 40), generator=generator)
    labels = torch.where(coarse == CLASSES, 255, coarse)
    return labels.repeat_interleave(40, 1).repeat_interleave(40, 2)


def peak_mib(step: Callable[[], None], device: str = "cpu") -> float:
    """Return the peak memory of a step, beyond what was there before, in MiB."""
    if device != "cpu":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    with PeakMemory() as memory:
        step()
    return memory.peak_mib


def median_ms(step: Callable[[], None], rounds: int, device: str = "cpu") -> float:
    """Return the median time of a step in milliseconds, after one that is not counted."""
    times = []
    for _ in range(rounds + 1):
        if device != "cpu":
            torch.cuda.synchronize()
        start = time.perf_counter()
        step()
        if device != "cpu":
            torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times[1:])
