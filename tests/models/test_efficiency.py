"""Parameters, operations and latency."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from bench.method import Outputs
from bench.models.base import SegmentationModel, count_parameters, output_spec
from bench.models.efficiency import MIN_RUNS, WARMUP_RUNS, count_flops, measure, measure_latency
from bench.models.nets.tiny_fpn import TinyFPN

CPU = torch.device("cpu")


class WithAuxiliary(SegmentationModel):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 4, 3, padding=1)
        self.auxiliary = nn.Conv2d(4, 2, 1)

    def forward(self, images: torch.Tensor) -> Outputs:
        return Outputs(self.body(images))


def test_macs_of_a_convolution_are_as_by_hand_and_flops_twice_that():
    record = measure(WithAuxiliary(), (8, 6), CPU, seconds=0)
    assert record["macs"] == 8 * 6 * 4 * 3 * 9
    assert record["flops"] == 2 * record["macs"]


def test_auxiliary_heads_are_no_inference_parameters():
    assert count_parameters(WithAuxiliary()) == 4 * 27 + 4


@pytest.mark.parametrize(
    ("widths", "lateral", "params"),
    [((8, 16, 32), 16, 21_027), ((12, 24, 48), 24, 46_799), ((32, 64, 128, 256), 64, 1_230_507)],
)
def test_tiny_fpns_have_their_stated_parameters_and_shapes(widths, lateral, params):
    model = TinyFPN(11, widths, lateral)
    assert count_parameters(model) == params
    spec = output_spec(model, (64, 64))
    assert (spec.logits.channels, spec.logits.stride) == (11, 4)
    assert (spec.embedding.channels, spec.embedding.stride) == (lateral, 4)
    assert [stage.stride for stage in spec.stages] == [4, 8, 16][: len(widths) - 1]
    assert [stage.channels for stage in spec.stages] == list(widths[1:])


def test_odd_sizes_and_single_images_work():
    model = TinyFPN(3, (4, 8, 8), 4).eval()
    assert model(torch.zeros(1, 3, 37, 21)).logits.shape == (1, 3, 10, 6)


def test_measuring_leaves_the_model_as_it_was():
    model = TinyFPN(3, (4, 8, 8), 4).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    measure(model, (32, 32), CPU, seconds=0)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert count_flops(model, (32, 32)) > 0


def test_latency_is_of_synchronised_single_runs_after_a_warm_up():
    calls = []

    def run() -> None:
        calls.append(None)
        time.sleep(0.002)

    times = measure_latency(run, CPU, seconds=0)
    assert len(times) == MIN_RUNS
    assert len(calls) == MIN_RUNS + WARMUP_RUNS
    assert all(0.002 <= seconds < 0.2 for seconds in times)


def test_the_record_names_its_settings():
    record = measure(TinyFPN(3, (4, 8, 8), 4), (32, 48), CPU, batch_size=2, seconds=0)
    assert record["input_size"] == [32, 48]
    assert record["batch_size"] == 2
    assert record["precision"] == "32-true"
    assert record["device"].startswith("cpu: ")
    assert record["peak_mem_mib"] is None
    assert 0 < record["latency_ms_p50"] <= record["latency_ms_p90"]
    assert record["fps"] == pytest.approx(2e3 / record["latency_ms_p50"])
