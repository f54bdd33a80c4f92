"""What a model costs at inference: parameters, MACs and FLOPs, latency and FPS, peak memory."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.base.environment import device_name
from bench.models.base import Model, count_parameters

WARMUP_RUNS = 10
MIN_RUNS = 20
MAX_RUNS = 200


def count_flops(model: Model, size: tuple[int, int]) -> int:
    """Return the floating-point operations of one image: convolutions and matrix products, 2 for each multiply-add.

    Args:
        model: on any device; a copy on the meta device is counted.
        size: input height and width.

    Source: ``torch.utils.flop_counter.FlopCounterMode``; normalisation, activations and resizing are not counted.
    """
    probe = copy.deepcopy(model).to("meta").eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        probe(torch.empty(1, 3, *size, device="meta"))
    return int(counter.get_total_flops())


def measure_latency(run: Callable[[], object], device: torch.device, seconds: float) -> list[float]:
    """Return the seconds of single runs after a warm-up, each one synchronised.

    Args:
        run: one forward pass.
        device: where it runs.
        seconds: time to spend; at least 20 and at most 200 runs are taken.
    """

    def timed() -> float:
        _synchronise(device)
        start = time.perf_counter()
        run()
        _synchronise(device)
        return time.perf_counter() - start

    for _ in range(WARMUP_RUNS):
        timed()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < MIN_RUNS or (len(times) < MAX_RUNS and time.perf_counter() < end):
        times.append(timed())
    return times


def measure(
    model: Model,
    size: tuple[int, int],
    device: torch.device,
    *,
    precision: str = "32-true",
    batch_size: int = 1,
    seconds: float = 1.0,
) -> dict[str, Any]:
    """Measure one model.

    Args:
        model: in any mode; a copy in evaluation mode is measured, so its state is unchanged.
        size: input height and width.
        device: where latency and memory are taken.
        precision: ``32-true``, or ``bf16-mixed`` / ``16-mixed`` for autocast.
        batch_size: images in one run.
        seconds: time to spend on the latency.

    Returns:
        ``params`` (without auxiliary heads and adapters), ``macs`` and ``flops`` of one image (1 MAC = 2 FLOPs),
        ``latency_ms_p50``, ``latency_ms_p90``, ``fps`` (images a second at the median), ``peak_mem_mib`` (CUDA only,
        else None) and the settings they hold for.
    """
    subject = copy.deepcopy(model).to(device).eval()
    images = torch.randn(batch_size, 3, *size, generator=torch.Generator().manual_seed(0)).to(device)
    dtype = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision)

    def run() -> object:
        with torch.inference_mode(), torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            return subject(images)

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    times = measure_latency(run, device, seconds)
    peak = torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else None
    flops = count_flops(model, size)
    p50 = statistics.median(times)
    return {
        "params": count_parameters(model),
        "macs": flops // 2,
        "flops": flops,
        "latency_ms_p50": 1e3 * p50,
        "latency_ms_p90": 1e3 * statistics.quantiles(times, n=10)[-1],
        "fps": batch_size / p50,
        "peak_mem_mib": peak,
        "input_size": list(size),
        "batch_size": batch_size,
        "precision": precision,
        "device": device_name(device),
        "n_runs": len(times),
    }


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
