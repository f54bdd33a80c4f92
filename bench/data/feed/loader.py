"""Batches that depend on the seed and the iteration alone, whatever the number of workers."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import pickle
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision import tv_tensors

from bench.base.errors import BenchError
from bench.base.registry import load_plugin, loaded_plugins
from bench.data.base import Samples

Key = tuple[int, int, int]
Pair = tuple[tv_tensors.Image, tv_tensors.Mask]


def derived_seed(*parts: int | str) -> int:
    """Return a 63-bit seed that differs wherever any part differs."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


class BatchOrder:
    """Which samples make which batch, without any state, so that training can begin at any iteration.

    Every epoch is a new permutation; its last incomplete batch is dropped. Where the batch is larger than the split,
    permutations are chained until it is full.

    Args:
        n_samples: size of the split.
        batch_size: samples in a batch.
        seed: of the permutations.
    """

    def __init__(self, n_samples: int, batch_size: int, seed: int) -> None:
        if n_samples < 1:
            raise BenchError("the training split is empty")
        self.n_samples, self.batch_size, self.seed = n_samples, batch_size, seed
        self.batches_per_epoch = max(1, n_samples // batch_size)
        self._permutation = lru_cache(maxsize=4)(self._draw)

    def _draw(self, epoch: int, part: int) -> tuple[int, ...]:
        generator = torch.Generator().manual_seed(derived_seed("order", self.seed, epoch, part))
        return tuple(torch.randperm(self.n_samples, generator=generator).tolist())

    def indices(self, iteration: int) -> list[int]:
        """Return the samples of the batch of an iteration."""
        epoch, number = divmod(iteration, self.batches_per_epoch)
        if self.batch_size <= self.n_samples:
            start = number * self.batch_size
            return list(self._permutation(epoch, 0)[start : start + self.batch_size])
        chained = itertools.chain.from_iterable(self._permutation(epoch, part) for part in itertools.count())
        return list(itertools.islice(chained, self.batch_size))


class _KeySampler(Sampler[list[Key]]):
    def __init__(self, order: BatchOrder, start: int, stop: int) -> None:
        self.order, self.start, self.stop = order, start, stop

    def __iter__(self) -> Iterator[list[Key]]:
        for iteration in range(self.start, self.stop):
            yield [(iteration, position, index) for position, index in enumerate(self.order.indices(iteration))]

    def __len__(self) -> int:
        return max(0, self.stop - self.start)


@contextlib.contextmanager
def own_stream(seed: int) -> Iterator[None]:
    """Let the global generators of python, numpy and torch begin at a seed; what they were before is put back."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


class _Portable(Dataset[Any]):
    """Can be sent to a worker that starts from nothing: plug-ins are loaded there before their classes are needed."""

    def __getstate__(self) -> dict[str, Any]:
        return {"plugins": loaded_plugins(), "content": pickle.dumps(self.__dict__)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for path in state["plugins"]:
            load_plugin(path)
        self.__dict__.update(pickle.loads(state["content"]))


@dataclass(frozen=True)
class Augmentation:
    """A transform whose random numbers depend on the seed and the place in the training alone.

    Attributes:
        transform: takes and returns an image and a mask.
        seed: of the training.
    """

    transform: Callable[..., Pair]
    seed: int

    def __call__(self, key: Key, image: tv_tensors.Image, mask: tv_tensors.Mask) -> Pair:
        """Return the augmented pair; the images' device is where it is computed, the numbers are drawn on the CPU."""
        iteration, position, _ = key
        with own_stream(derived_seed("augment", self.seed, iteration, position)):
            return self.transform(image, mask)


class _Augmented(_Portable):
    """Samples by key, augmented where that is wanted here. A fault is returned, not raised."""

    def __init__(self, samples: Samples, augmentation: Augmentation | None) -> None:
        self.samples, self.augmentation = samples, augmentation

    def __getitem__(self, key: Key) -> Pair | BenchError:
        try:
            image, mask = self.samples[key[2]]
            return self.augmentation(key, image, mask) if self.augmentation else (image, mask)
        except BenchError as error:
            return error


class _Plain(_Portable):
    def __init__(self, samples: Samples) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Pair | BenchError:
        try:
            return self.samples[index]
        except BenchError as error:
            return error


Stacked = tuple[Tensor, Tensor]


def _collate(items: Sequence[Pair | BenchError]) -> list[Stacked] | BenchError:
    """Stack neighbours of equal size; faults are handed on, as an exception that crosses processes arrives wrapped."""
    problems = [problem for item in items if isinstance(item, BenchError) for problem in item.problems]
    if problems:
        return BenchError(*dict.fromkeys(problems))
    pairs = [item for item in items if not isinstance(item, BenchError)]
    runs = itertools.groupby(pairs, key=lambda pair: tuple(pair[1].shape[-2:]))
    return [_stacked(list(run)) for _, run in runs]


def _stacked(pairs: Sequence[Pair]) -> Stacked:
    images = torch.stack([image.as_subclass(Tensor) for image, _ in pairs])
    masks = torch.stack([mask.as_subclass(Tensor) for _, mask in pairs])
    return images, masks


def _collate_raw(items: Sequence[Pair | BenchError]) -> list[Stacked] | BenchError:
    """Hand samples on one by one, to be augmented and stacked elsewhere."""
    batch = [_collate([item]) for item in items]
    problems = [problem for part in batch if isinstance(part, BenchError) for problem in part.problems]
    if problems:
        return BenchError(*dict.fromkeys(problems))
    return [stacked for part in batch if not isinstance(part, BenchError) for stacked in part]


def _augmented_on(
    device: torch.device, augmentation: Augmentation, keys: Sequence[Key], batch: Sequence[Stacked]
) -> list[Stacked] | BenchError:
    """Augment samples on a device and stack them."""
    pairs: list[Pair | BenchError] = []
    for key, (images, masks) in zip(keys, batch, strict=True):
        image = tv_tensors.Image(images[0].to(device, non_blocking=True))
        mask = tv_tensors.Mask(masks[0].to(device, non_blocking=True))
        pairs.append(augmentation(key, image, mask))
    return _collate(pairs)


def _checked(batch: list[Stacked] | BenchError) -> list[Stacked]:
    if isinstance(batch, BenchError):
        raise batch
    return batch


GRACE_S = 600
"""Longer than any step of the parent; workers notice by themselves when the parent is gone."""


def _start_worker(_: int) -> None:
    """Leave signals to the parent: Ctrl-C and a scheduler's SIGTERM reach the whole process group.

    A worker that died of one would fail the step that the parent is finishing; it ends when the parent lets it go, or
    after a while where the parent does not.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(GRACE_S))
    torch.set_num_threads(1)


def train_loader(
    samples: Samples,
    transform: Callable[..., Pair],
    order: BatchOrder,
    *,
    seed: int,
    start_iteration: int,
    iterations: int,
    workers: int = 0,
    pin_memory: bool = False,
    augment_on: torch.device | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches of iterations ``start_iteration`` to ``iterations - 1``.

    The batches are the same for any number of workers, and the caller's random generators are left as they are.

    Args:
        samples: the training split.
        transform: takes and returns an image and a mask.
        order: which samples make which batch.
        seed: of the augmentation.
        start_iteration: first iteration to yield.
        iterations: one past the last.
        workers: processes that load; 0 loads in this one.
        pin_memory: put batches into page-locked memory, for faster copies to CUDA.
        augment_on: compute the augmentation on this device, with the same random numbers; None leaves it to those who
            load.

    Yields:
        Images N x 3 x H x W and targets N x H x W, both uint8.

    Raises:
        BenchError: a sample cannot be read, or the samples of a batch differ in size.
    """
    augmentation = Augmentation(transform, seed)
    sampler = _KeySampler(order, start_iteration, iterations)
    loader = DataLoader(
        _Augmented(samples, None if augment_on else augmentation),
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=_collate_raw if augment_on else _collate,
        worker_init_fn=_start_worker,
        pin_memory=pin_memory,
        generator=torch.Generator().manual_seed(seed),
    )
    for keys, batch in zip(sampler, loader, strict=True):
        runs = _checked(batch)
        if augment_on:
            runs = _checked(_augmented_on(augment_on, augmentation, keys, runs))
        if len(runs) > 1:
            sizes = sorted({tuple(masks.shape[-2:]) for _, masks in runs})
            raise BenchError(
                f"images of several sizes in one batch: {sizes}. Set recipe.augment.crop to the size to train at."
            )
        yield runs[0]


def eval_loader(samples: Samples, batch_size: int, workers: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield a split in its order; only neighbours of equal size share a batch.

    Yields:
        Images N x 3 x H x W and targets N x H x W, both uint8, with N at most ``batch_size``.

    Raises:
        BenchError: a sample cannot be read.
    """
    loader = DataLoader(
        _Plain(samples),
        batch_size=batch_size,
        num_workers=workers,
        collate_fn=_collate,
        worker_init_fn=_start_worker,
        generator=torch.Generator(),
    )
    for batch in loader:
        yield from _checked(batch)


class InMemory(Samples):
    """Samples decoded at their first use and kept, up to a limit.

    Args:
        samples: what to keep.
        limit_bytes: the most to keep; what comes after that is decoded every time.
    """

    def __init__(self, samples: Samples, limit_bytes: int) -> None:
        self.samples = samples
        self.names = samples.names
        self._free_bytes = limit_bytes
        self._kept: dict[int, Pair] = {}

    @property
    def is_decoded(self) -> bool:
        """They are read from memory, after the first time."""
        return True

    def __getitem__(self, index: int) -> Pair:
        """Return the pair at ``index``."""
        if index in self._kept:
            return self._kept[index]
        image, mask = self.samples[index]
        self._free_bytes -= image.numel() + mask.numel()
        if self._free_bytes >= 0:
            self._kept[index] = (image, mask)
        return image, mask


def cached_in_memory(samples: Samples, limit_bytes: int = 2**30) -> Samples:
    """Return the samples with decoded pairs kept in memory, or unchanged where that would take too much.

    Args:
        samples: a split.
        limit_bytes: the most to keep; whether it is worth it is judged by the first sample's size.
    """
    if len(samples) == 0:
        return samples
    image, mask = samples[0]
    fits = len(samples) * (image.numel() + mask.numel()) <= limit_bytes
    return InMemory(samples, limit_bytes) if fits else samples
