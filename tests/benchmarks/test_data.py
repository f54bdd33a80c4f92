"""Images a second: decoded, kept decoded, augmented; and that a step does not wait for them."""

from __future__ import annotations

import pytest

from bench.data.feed.cache import GIB, keep_decoded
from tests.benchmarks.data import BATCH, batches, find_source, read_all, share_waiting

N = 16


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return find_source(tmp_path_factory.mktemp("photographs"), n=N)


@pytest.fixture(scope="module")
def kept(source, tmp_path_factory):
    samples = keep_decoded(source.samples, "benchmark", tmp_path_factory.mktemp("cache"), 8 * GIB).samples
    read_all(samples)()
    assert samples.is_decoded
    return samples


@pytest.mark.benchmark(group="data")
def test_decoded_from_the_files(benchmark, source):
    benchmark.extra_info["images"] = len(source.samples)
    benchmark.pedantic(read_all(source.samples), rounds=3)


@pytest.mark.benchmark(group="data")
def test_kept_decoded(benchmark, kept):
    benchmark.extra_info["images"] = len(kept)
    benchmark.pedantic(read_all(kept), rounds=3, warmup_rounds=1)


@pytest.mark.benchmark(group="data")
def test_augmented(benchmark, kept, source):
    benchmark.extra_info["images"] = 2 * BATCH
    benchmark.pedantic(lambda: list(batches(kept, source.info, 2)), rounds=3, warmup_rounds=1)


@pytest.mark.slow
def test_what_is_kept_decoded_comes_while_the_student_trains(kept, source):
    """Far above what is measured on an idle machine (docs/data.md), as tests share theirs with others."""
    assert share_waiting(kept, source.info, iterations=24, workers=1) < 0.5
