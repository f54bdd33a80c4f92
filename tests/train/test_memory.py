"""Memory of training; the device's counters are played here, as tests run without one."""

from __future__ import annotations

import pytest
import torch

from bench.models.weights.reading import read_weights
from bench.train import memory, trainee
from bench.train.memory import MIB, StepMemory, tensor_bytes
from tests.harness import records, run, write_matrix


class Counters:
    """What a caching allocator would tell while a program allocates and frees."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.peak = 0
        monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _: setattr(self, "peak", self.now))
        monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: self.now)
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: self.peak)

    def take(self, size: int) -> None:
        self.now += size
        self.peak = max(self.peak, self.now)


def test_the_most_that_a_step_took_beyond_what_lay_there(monkeypatch):
    counters = Counters(monkeypatch)
    counters.take(1000)  # a companion
    watched = StepMemory(torch.device("cuda"))
    for sizes in ((50, -20), (10, 70, -60), (30,)):
        with watched:
            for size in sizes:
                counters.take(size)
        counters.take(500)  # another companion, between the steps
    assert watched.bytes == 80


def test_nothing_is_measured_elsewhere():
    watched = StepMemory(torch.device("cpu"))
    with watched:
        torch.ones(10)
    assert watched.bytes is None


def test_shared_storage_counts_once():
    weight = torch.ones(8, 4)
    assert tensor_bytes([weight, weight.view(4, 8), weight[:2], torch.ones(3)]) == 8 * 4 * 4 + 3 * 4


def test_a_cell_is_charged_for_its_weights_its_steps_and_the_teacher_it_listens_to(tmp_path, monkeypatch):
    class Played(memory.StepMemory):
        def __init__(self, device: torch.device) -> None:
            super().__init__(device)
            self.bytes = 3 * MIB

    monkeypatch.setattr(trainee, "StepMemory", Played)
    plan = run(write_matrix(tmp_path, methods=["none", "kd"]), tmp_path / "results")
    found = {name: record["cost"]["train_mem_mib"] for name, (_, record) in records(plan.run).items()}
    teacher = next(plan.teachers_run.cells())
    student = next(plan.run.cells())
    sizes = [sum(t.numel() for t in read_weights(c.path / "student.safetensors").values()) for c in (teacher, student)]
    assert found["none"] > 3 + 3 * 4 * (sizes[1] - 2) / MIB * 0.9  # weights and the two moments of AdamW
    assert found["kd"] - found["none"] == pytest.approx(4 * sizes[0] / MIB, rel=0.2)


def test_on_the_cpu_no_memory_is_told(tmp_path):
    plan = run(write_matrix(tmp_path, methods=["none"]), tmp_path / "results")
    assert records(plan.run)["none"][1]["cost"]["train_mem_mib"] is None
