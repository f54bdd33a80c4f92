import multiprocessing
import os
import random
import signal
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision import tv_tensors

from bench.base.errors import BenchError
from bench.data.base import Samples
from bench.data.facts import DatasetInfo
from bench.data.feed.augment import Augment
from bench.data.feed.loader import BatchOrder, cached_in_memory, eval_loader, train_loader
from bench.data.feed.transforms import build_train_transform
from bench.tasks.segmentation.task import Segmentation

INFO = DatasetInfo(("a", "b"), ((0, 0, 0), (9, 9, 9)), (0.2, 0.4, 0.6), (0.1, 0.1, 0.1), "made here")
COLLATE = Segmentation.collate
TRANSFORM = build_train_transform(
    Augment(scale=(0.5, 2.0), crop=8, shift=2, flip=0.5, jitter=0.3), INFO, Segmentation.fills(INFO)
)


class Made(Samples):
    """The red of sample i is i, green and blue are ramps; counts its decodings."""

    def __init__(self, sizes, broken=()):
        self.sizes, self.broken, self.decoded = sizes, broken, Counter()
        self.names = [f"s{index}" for index in range(len(sizes))]

    def __getitem__(self, index):
        if index in self.broken:
            raise BenchError(f"s{index}.png: broken", f"s{index}.png: really broken")
        self.decoded[index] += 1
        size = self.sizes[index]
        rows, columns = torch.meshgrid(*(torch.arange(side) * 4 for side in size), indexing="ij")
        return (
            tv_tensors.Image(torch.stack([torch.full(size, index), rows, columns]).to(torch.uint8)),
            tv_tensors.Mask(torch.full(size, index % 2, dtype=torch.uint8)),
        )


def load(samples, workers=0, start=0, iterations=6, seed=3, batch_size=4, transform=TRANSFORM):
    order = BatchOrder(len(samples), batch_size, seed)
    options = {"seed": seed, "start_iteration": start, "iterations": iterations, "workers": workers}
    return list(train_loader(samples, transform, COLLATE, order, **options))


def same(first, second):
    return len(first) == len(second) and all(
        torch.equal(a, b) for x, y in zip(first, second, strict=True) for a, b in zip(x, y, strict=True)
    )


@given(n=st.integers(1, 40), batch_size=st.integers(1, 50), seed=st.integers(0, 2**63 - 1))
def test_an_epoch_repeats_no_sample_and_batches_repeat_evenly(n, batch_size, seed):
    order = BatchOrder(n, batch_size, seed)
    batches = [order.indices(iteration) for iteration in range(order.batches_per_epoch)]
    assert {len(batch) for batch in batches} == {batch_size}
    for batch in batches:
        counts = [Counter(batch)[index] for index in range(n)]
        assert max(counts) - min(counts) <= 1
    if batch_size <= n:
        drawn = [index for batch in batches for index in batch]
        assert len(set(drawn)) == len(drawn) == n // batch_size * batch_size


def test_the_order_has_no_state_and_follows_the_seed():
    forward = [BatchOrder(30, 4, 7).indices(iteration) for iteration in range(20)]
    order = BatchOrder(30, 4, 7)
    assert [order.indices(iteration) for iteration in reversed(range(20))] == forward[::-1]
    assert [BatchOrder(30, 4, 8).indices(iteration) for iteration in range(20)] != forward
    assert forward[:7] != forward[7:14]


def test_an_empty_split_has_no_order():
    with pytest.raises(BenchError, match="empty"):
        BatchOrder(0, 4, 0)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(workers):
    samples = Made([(10, 12)] * 9)
    assert same(load(samples), load(samples, workers))


def test_training_can_start_anywhere():
    samples = Made([(10, 12)] * 9)
    assert same(load(samples)[4:], load(samples, start=4))
    assert load(samples, start=6) == []


def test_shapes_types_and_seeds():
    samples = Made([(10, 12)] * 9)
    batches = load(samples)
    for images, target in batches:
        assert (images.shape, images.dtype, type(images)) == ((4, 3, 8, 8), torch.uint8, torch.Tensor)
        assert (target.shape, target.dtype, type(target)) == ((4, 8, 8), torch.uint8, torch.Tensor)
    assert not same(batches, load(samples, seed=4))


def test_one_sample_is_augmented_differently_at_each_place():
    samples = Made([(40, 40)])
    batches = load(samples, batch_size=3)
    assert len({image.numpy().tobytes() for images, _ in batches for image in images}) > 10


def test_the_callers_generators_are_left_alone():
    def states():
        return (
            torch.get_rng_state().tolist(),
            random.getstate(),
            np.random.get_state()[1].tolist(),
            np.random.get_state()[2],
        )

    before = states()
    load(Made([(10, 12)] * 9))
    list(eval_loader(Made([(4, 4)] * 5), COLLATE, 2))
    assert states() == before


def test_the_callers_generators_do_not_matter():
    samples = Made([(10, 12)] * 9)
    torch.manual_seed(1)
    first = load(samples)
    torch.manual_seed(2)
    assert same(first, load(samples))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_sample_arrives_as_its_own_sentences(workers):
    samples = Made([(10, 12)] * 4, broken=(1,))
    for batches in (lambda: load(samples, workers), lambda: list(eval_loader(samples, COLLATE, 2, workers))):
        with pytest.raises(BenchError) as caught:
            batches()
        assert caught.value.problems == ("s1.png: broken", "s1.png: really broken")


def test_mixed_sizes_without_a_crop_are_explained():
    identity = build_train_transform(Augment(), INFO, {})
    with pytest.raises(BenchError, match=r"several sizes in one batch.*crop"):
        load(Made([(4, 4), (4, 5)]), transform=identity, batch_size=2)


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_keeps_the_order_and_parts_sizes(workers):
    small, large = (4, 6), (8, 6)
    samples = Made([small, small, large, large, large, small, large, small, small])
    batches = list(eval_loader(samples, COLLATE, 3, workers))
    assert [int(image[0, 0, 0]) for images, _ in batches for image in images] == list(range(9))
    for images, target in batches:
        assert 1 <= len(images) <= 3
        assert images.shape[-2:] == target.shape[-2:] == samples.sizes[int(images[0, 0, 0, 0])]
        assert target.dtype == torch.uint8


def test_equal_sizes_fill_the_batches():
    assert [len(images) for images, _ in eval_loader(Made([(4, 4)] * 7), COLLATE, 3)] == [3, 3, 1]


class Signals(Made):
    """Every sample tells whether its process ignores Ctrl-C."""

    def __getitem__(self, index):
        if multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGINT)
        return super().__getitem__(index)


def test_workers_survive_ctrl_c():
    assert len(list(eval_loader(Signals([(4, 4)] * 4), COLLATE, 2, workers=1))) == 2


def test_kept_samples_are_decoded_once_at_their_first_use():
    samples = Made([(4, 4)] * 5)
    kept = cached_in_memory(samples)
    assert kept.names == samples.names
    assert samples.decoded[3] == 0
    for _ in range(3):
        assert int(kept[3][0][0, 0, 0]) == 3
    assert samples.decoded[3] == 1


def test_too_large_samples_are_not_kept():
    samples = Made([(4, 4)] * 5)
    each = 4 * 4 * 4
    assert cached_in_memory(samples, 5 * each) is not samples
    assert cached_in_memory(samples, 5 * each - 1) is samples
    assert cached_in_memory(Made([])).names == []


def test_kept_samples_survive_augmentation():
    samples = Made([(10, 12)] * 6)
    kept = cached_in_memory(samples)
    assert same(load(kept), load(samples))
    assert same(load(kept), load(samples))
    assert (kept[2][0][0] == 2).all()


@pytest.mark.parametrize("workers", [0, 2])
def test_augmentation_on_a_device_draws_the_same_numbers(workers):
    samples = Made([(9, 12), (16, 8), (20, 20), (5, 5), (8, 8)])
    plain = load(samples)
    order = BatchOrder(len(samples), 4, 3)
    options = {"seed": 3, "start_iteration": 0, "iterations": 6, "workers": workers}
    assert same(
        list(train_loader(samples, TRANSFORM, COLLATE, order, **options, augment_on=torch.device("cpu"))), plain
    )


def test_a_fault_is_told_where_a_device_augments():
    samples = Made([(9, 12)] * 5, broken={0, 1, 2, 3, 4})
    loader = train_loader(
        samples,
        TRANSFORM,
        COLLATE,
        BatchOrder(5, 4, 3),
        seed=3,
        start_iteration=0,
        iterations=2,
        augment_on=torch.device("cpu"),
    )
    with pytest.raises(BenchError, match="really broken"):
        next(loader)
